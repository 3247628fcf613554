/**
 * The state file: what the monitor knows and what it has still to deliver, in one file that is replaced whole. Because
 * a change of state and the alerts that tell of it are written together, a kill at any moment loses neither; a kill
 * between sending and recording sends once more (see deliveries.ts).
 */
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type AlertBook, emptyBook } from './alerts.ts';
import type { Delivery } from './deliveries.ts';
import { emptyOutageBook, type OutageBook } from './outages.ts';

const VERSION = 1;

export interface MonitorState {
  readonly version: typeof VERSION;
  readonly alerts: AlertBook;
  readonly outages: OutageBook;
  readonly deliveries: Delivery[];
  /** Numbers notices. */
  notices: number;
  /** When the last heartbeat was, steady milliseconds. */
  heartbeatAt?: number;
}

export const emptyState = (): MonitorState => ({
  version: VERSION,
  alerts: emptyBook(),
  outages: emptyOutageBook(),
  deliveries: [],
  notices: 0,
});

export interface ReadState {
  readonly state: MonitorState;
  /** When it was written, steady milliseconds; 0: never. */
  readonly savedAt: number;
  /** Where a damaged file was put, and what is wrong with it. */
  readonly damaged?: { readonly file: string; readonly why: string };
}

/**
 * Reads the state. A file that is damaged is put aside, and the monitor begins anew.
 * @param now wall-clock milliseconds, for the name of a damaged file
 * @throws Error when the file can't be read at all (rights, a failing disk)
 */
export async function readStateFile(path: string, now: number): Promise<ReadState> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { state: emptyState(), savedAt: 0 };
    throw error;
  }
  try {
    const { saved_at, ...state } = JSON.parse(text) as MonitorState & { saved_at: number };
    if (state.version !== VERSION) throw new Error(`its version is ${state.version}, not ${VERSION}`);
    const complete = state.alerts?.active && state.outages?.processes && Array.isArray(state.deliveries);
    if (!complete || !Number.isFinite(saved_at)) throw new Error('parts of it are missing');
    return { state, savedAt: saved_at };
  } catch (error) {
    const file = `${path}.damaged-${now}`;
    await rename(path, file);
    return { state: emptyState(), savedAt: 0, damaged: { file, why: (error as Error).message } };
  }
}

export interface StateFile {
  /**
   * Writes the state if it has changed since the last write. Calls wait for each other.
   * @throws Error when it could not be written; the file is then as it was, and the next call tries again
   */
  save(state: MonitorState, savedAt: number): Promise<void>;
}

export function createStateFile(path: string): StateFile {
  let written = '';
  let last: Promise<void> = Promise.resolve();

  async function write(body: string, savedAt: number): Promise<void> {
    if (body === written) return;
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const draft = `${path}.new`;
    try {
      const file = await open(draft, 'w', 0o600);
      try {
        await file.writeFile(`{"saved_at":${savedAt},${body.slice(1)}\n`);
        // Without it a power cut may leave the new name with no content.
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(draft, path);
    } catch (error) {
      await rm(draft, { force: true }).catch(() => undefined);
      throw error;
    }
    written = body;
  }

  return {
    save: (state, savedAt) => {
      const body = JSON.stringify(state);
      last = last.catch(() => undefined).then(() => write(body, savedAt));
      return last;
    },
  };
}
