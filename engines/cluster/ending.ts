/** `down` and `destroy`, and the end of processes that a killed supervisor left. */
import { readdir, rm, rmdir } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { endEpmd } from '#engines/broker_node.ts';
import { isAlive } from '#engines/processes.ts';
import { drillsFolder } from './drills/results.ts';
import { unfinishedFile } from './folders.ts';
import { brokersHome, HAPROXIES_MAX, localLayout } from './layout.ts';
import { endGroup, endPostgres, readersOf, signal, until } from './processes.ts';
import { hasSecrets, secretsFile } from './secrets.ts';
import { unmountSmallDisk } from './small_disk.ts';
import { readState, removeState, type TierState } from './state.ts';
import { databaseEnvironmentFile } from './tier.ts';

const SUPERVISOR_STOP_LIMIT_MS = 150_000;
const POSTGRES_STOP_LIMIT_MS = 10_000;

/**
 * Stops the tier of a data folder, also one that another process started. The data stays.
 * @returns false when none was running
 */
export async function stopCluster(data: string): Promise<boolean> {
  const folder = resolve(data);
  // The folder must be known as a tier's: `run`, which is deleted here, is a common name of folders.
  if (!(await hasSecrets(folder))) return false;
  const state = await readState(folder);
  if (state && isAlive(state.supervisor)) {
    signal(state.supervisor.pid, 'SIGTERM');
    // A frozen supervisor is woken, since it could not obey.
    signal(state.supervisor.pid, 'SIGCONT');
    await until(() => !isAlive(state.supervisor), SUPERVISOR_STOP_LIMIT_MS);
    if (isAlive(state.supervisor)) signal(state.supervisor.pid, 'SIGKILL');
  }
  const left = await endLeftovers(folder, await readState(folder));
  await removeState(folder);
  return state !== undefined || left;
}

/**
 * Stops the tier and deletes its files in the folder, with all data; and the folder, unless other things are in it too.
 * @returns the names of those other things; undefined when no tier was ever made there, and nothing is touched then
 */
export async function destroyCluster(data: string): Promise<readonly string[] | undefined> {
  const folder = resolve(data);
  if (!(await hasSecrets(folder))) return undefined;
  await stopCluster(data);
  const layout = localLayout({ data: folder, haproxies: HAPROXIES_MAX, rabbitmq: true });
  const { configuration, logs, run } = layout.folders;
  // A killed drill may have left it mounted.
  for (const node of layout.nodes) await unmountSmallDisk(node);
  const folders = [
    configuration,
    logs,
    run,
    drillsFolder(folder),
    ...layout.etcds.map((etcd) => etcd.folder),
    ...layout.nodes.map((n) => dirname(n.folder)),
    brokersHome(folder),
  ];
  // The secrets last: while they exist, an interrupted deletion can be started again.
  const files = [databaseEnvironmentFile(folder), unfinishedFile(folder), secretsFile(folder)];
  for (const own of [...folders, ...files]) await rm(own, { recursive: true, force: true });
  const others = await readdir(folder);
  if (others.length === 0) await rmdir(folder);
  return others;
}

/**
 * Ends the parts that a killed supervisor left: the processes that the state file names (their start times are compared),
 * and all others that read a configuration file of the tier.
 * @returns whether there was any process to end
 */
export async function endLeftovers(data: string, state: TierState | undefined): Promise<boolean> {
  const portBase = state?.settings.portBase ?? undefined;
  const layout = localLayout({
    data,
    portBase,
    haproxies: HAPROXIES_MAX,
    rabbitmq: state?.settings.rabbitmq,
  });
  const named = Object.values(state?.parts ?? {}).map((part) => part.process);
  const left = [...named, ...readersOf(layout.folders.configuration)];
  // Patroni stops its PostgreSQL; servers without time for that are ended below.
  await Promise.all(left.map((leader) => endGroup(leader, 'SIGTERM', POSTGRES_STOP_LIMIT_MS)));
  for (const node of layout.nodes) await endPostgres(node.folder, POSTGRES_STOP_LIMIT_MS);
  for (const { epmdPort } of layout.brokers.slice(0, 1)) await endEpmd(epmdPort);
  await rm(layout.folders.run, { recursive: true, force: true });
  return left.length > 0;
}
