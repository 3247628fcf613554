/** `down` and `destroy`, and what to do about processes that a killed supervisor left. */
import { rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { isAlive } from '#engines/processes.ts';
import { localLayout } from './layout.ts';
import { endGroup, endPostgres, signal, until } from './processes.ts';
import { readState, removeState, type TierState } from './state.ts';

const SUPERVISOR_STOP_LIMIT_MS = 150_000;
const PART_STOP_LIMIT_MS = 5_000;
const POSTGRES_STOP_LIMIT_MS = 10_000;

/**
 * Stops the tier of a data folder, whoever started it. The data stays.
 * @returns false when none was running
 */
export async function stopCluster(data: string): Promise<boolean> {
  const folder = resolve(data);
  const state = await readState(folder);
  if (!state) return false;
  if (isAlive(state.supervisor)) {
    signal(state.supervisor.pid, 'SIGTERM');
    await until(() => !isAlive(state.supervisor), SUPERVISOR_STOP_LIMIT_MS);
    if (isAlive(state.supervisor)) signal(state.supervisor.pid, 'SIGKILL');
  }
  const left = await readState(folder);
  if (left) await endLeftovers(folder, left);
  return true;
}

/** Stops the tier and deletes its folder, with all data. */
export async function destroyCluster(data: string): Promise<void> {
  await stopCluster(data);
  await rm(resolve(data), { recursive: true, force: true });
}

/** Ends the processes that the state file names, and only these: their start times are compared. */
export async function endLeftovers(data: string, state: TierState): Promise<void> {
  const { portBase, haproxies } = state.settings;
  const layout = localLayout({ data, haproxies, portBase: portBase ?? undefined });
  for (const [name, part] of Object.entries(state.parts).reverse()) {
    await endGroup(
      part.process,
      'SIGTERM',
      name.startsWith('node') ? POSTGRES_STOP_LIMIT_MS : PART_STOP_LIMIT_MS,
    );
  }
  for (const node of layout.nodes) await endPostgres(node.folder, POSTGRES_STOP_LIMIT_MS);
  await removeState(data);
}
