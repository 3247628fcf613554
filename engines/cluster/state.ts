/**
 * The running processes in a file of the data folder: the supervisor and the parts, with their start times, so that
 * `down` ends exactly these even when the supervisor was killed.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ProcessIdentity } from '#engines/processes.ts';
import { readOwnFile } from '#platform/lifecycle/own_files.ts';

export interface TierSettings {
  readonly portBase: number | null;
  readonly haproxies: number;
  /** The number of clients that the tier must hold. */
  readonly clients: number;
  /** Whether three nodes of RabbitMQ belong to it; a state of before them does not say. */
  readonly rabbitmq?: boolean;
}

export interface PartState {
  readonly process: ProcessIdentity;
  /** Start time, milliseconds since 1970. */
  readonly since: number;
  readonly restarts: number;
}

export interface TierState {
  readonly supervisor: ProcessIdentity;
  readonly settings: TierSettings;
  readonly ready: boolean;
  readonly parts: Readonly<Record<string, PartState>>;
}

const stateFile = (data: string) => join(data, 'state.json');

/**
 * @returns undefined when no tier runs, or was left running, in `data`
 * @throws Error when there is an unreadable state: whether a tier runs is not known then
 */
export async function readState(data: string): Promise<TierState | undefined> {
  try {
    return JSON.parse(await readOwnFile(stateFile(data))) as TierState;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new Error(`whether a tier runs in ${data} is not known: its state.json can't be read`, { cause });
  }
}

/**
 * Replaces the file as a whole, so that a reader never finds half of it. Writes at once, before any other work: a
 * supervisor that is killed must have named every process that it started.
 */
export function writeState(data: string, state: TierState): void {
  const draft = `${stateFile(data)}.new`;
  writeFileSync(draft, `${JSON.stringify(state, null, 2)}\n`);
  renameSync(draft, stateFile(data));
}

export async function removeState(data: string): Promise<void> {
  for (const file of [stateFile(data), `${stateFile(data)}.new`]) await rm(file, { force: true });
}
