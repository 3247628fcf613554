/**
 * The state file: the monitor's state and its undelivered messages, in one file that is replaced whole. Because
 * a change of state and its messages are written together, a kill at any moment loses neither. After a kill
 * between sending and recording, a message is sent once more (see deliveries.ts).
 */
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeOwnFolder, readOwnFile } from '#platform/lifecycle/own_files.ts';
import type { AlertBook } from './alert_book.ts';
import { emptyBook } from './alerts.ts';
import type { Delivery } from './deliveries.ts';
import { emptyOutageBook, type OutageBook } from './outages.ts';
import { stateFault } from './state_schema.ts';

/** Raised with each change that earlier versions can't read: they then report a later version. Version 1 is read as well. */
const VERSION = 2;

export interface MonitorState {
  readonly version: typeof VERSION;
  readonly alerts: AlertBook;
  readonly outages: OutageBook;
  readonly deliveries: Delivery[];
  /** The number of notices so far. */
  notices: number;
  /** The time of the last heartbeat, steady milliseconds. */
  heartbeatAt?: number;
}

export const emptyState = (): MonitorState => ({
  version: VERSION,
  alerts: emptyBook(),
  outages: emptyOutageBook(),
  deliveries: [],
  notices: 0,
});

/** Alerts, silences and waiting messages are bounded: this is more than their largest size. */
const MAX_STATE_BYTES = 64 * 1024 * 1024;

export interface ReadState {
  readonly state: MonitorState;
  /** The time of its last write, steady milliseconds; 0: never. */
  readonly savedAt: number;
  /**
   * The new path of a file that can't be read (its old path, if it could not be moved), and the reason. `isLater`: it is of a
   * later version, as after a roll-back, and not damaged.
   */
  readonly aside?: { readonly file: string; readonly why: string; readonly isLater: boolean };
}

/**
 * Reads the state. A file that is damaged or can't be read is renamed, and the monitor starts with an empty state: repeated
 * alerts are better than none. Never rejects.
 * @param now wall-clock milliseconds, for the new name of the file
 */
export async function readStateFile(path: string, now: number): Promise<ReadState> {
  try {
    const read: unknown = JSON.parse(await readOwnFile(path, { maxBytes: MAX_STATE_BYTES }));
    if (versionOf(read) > VERSION) throw new LaterStateError(`it is of version ${versionOf(read)}`);
    const fault = stateFault(read);
    if (fault !== undefined) throw new Error(fault);
    const { saved_at, ...state } = read as MonitorState & { saved_at: number };
    const { processes, leader, ended = {}, told = {} } = state.outages;
    const outages = { processes, ended, told, ...(leader !== undefined && { leader }) };
    const alerts = { ...emptyBook(), ...state.alerts };
    return { state: { ...state, version: VERSION, alerts, outages }, savedAt: saved_at };
  } catch (error) {
    const begun = { state: emptyState(), savedAt: 0 };
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return begun;
    const isLater = error instanceof LaterStateError;
    const file = `${path}.${isLater ? 'later' : 'damaged'}-${now}`;
    return rename(path, file).then(
      () => ({ ...begun, aside: { file, why: message, isLater } }),
      ({ message: also }: Error) => ({
        ...begun,
        aside: { file: path, why: `${message}; ${also}`, isLater },
      }),
    );
  }
}

/** A state that a later version of the program wrote. */
class LaterStateError extends Error {
  override name = 'LaterStateError';
}

const versionOf = (read: unknown): number => {
  const version = (read as { version?: unknown } | null)?.version;
  return typeof version === 'number' ? version : 0;
};

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
    await makeOwnFolder(dirname(path));
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
