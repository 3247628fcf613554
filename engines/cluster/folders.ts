/** Folders, files and ports of a local tier, before anything starts. */
import { chown, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { type EngineUser, engineUser, saysAbsent } from '#engines/processes.ts';
import { configurationFiles, patroniLogs } from './configuration.ts';
import { brokersHome, composeLayout, type Layout, portsOf } from './layout.ts';
import { haproxyLimits, openFilesLimit } from './limits.ts';
import { configurationOf } from './patroni.ts';
import { findPrograms, type Programs } from './programs.ts';
import { hasSecrets, readOrMakeSecrets, type Secrets } from './secrets.ts';
import { databaseEnvironmentFile, type Tier, tierAddresses, writeDatabaseEnvironment } from './tier.ts';
import { monitorEnvironmentFile, monitorEnvironmentText, watchedParts } from './watched.ts';

/** ulimits.nofile of compose.yaml. */
const CONTAINER_OPEN_FILES = 65_536;
/** The folder of PostgreSQL in the image of infrastructure/postgres/Dockerfile. */
const CONTAINER_POSTGRES_PROGRAMS = '/usr/lib/postgresql/15/bin';

/** Makes the folders in which engines write, for their user alone. */
export async function makeFolders(layout: Layout, user: EngineUser | undefined): Promise<void> {
  const { configuration, logs, run } = layout.folders;
  const nodes = layout.nodes.flatMap((node) => [dirname(node.folder), patroniLogs(layout, node)]);
  const brokers = layout.brokers.map(({ folder }) => folder);
  const home = brokers.length > 0 ? [brokersHome(layout.folders.data)] : [];
  const etcds = layout.etcds.map((etcd) => etcd.folder);
  for (const folder of [configuration, logs, run, ...etcds, ...nodes, ...home, ...brokers]) {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    if (user) await chown(folder, user.uid, user.gid);
  }
}

/**
 * Writes all configuration files again; they hold secrets.
 * @param openFiles the limit of open files that HAProxy runs under
 */
export async function writeConfiguration(
  layout: Layout,
  secrets: Secrets,
  programs: Programs,
  synchronous: boolean,
  user: EngineUser | undefined,
  openFiles: number,
): Promise<void> {
  const limits = haproxyLimits(openFiles);
  const files = configurationFiles({
    layout,
    secrets,
    synchronous,
    postgresPrograms: programs.postgres,
    haproxyMaxconn: limits.maxconn,
    haproxyClients: limits.clients,
  });
  for (const file of files) {
    await writeFile(file.path, file.text, { mode: 0o600 });
    if (user) await chown(file.path, user.uid, user.gid);
  }
}

/** Writes the files of a running tier again, before it reloads them. */
export async function rewriteConfiguration(tier: Tier): Promise<void> {
  const synchronous = (await configurationOf(tier.layout.nodes)).synchronous_mode === true;
  const { pid } = await tier.processOf(tier.layout.haproxies[0]!.name);
  const openFiles = openFilesLimit(pid);
  await writeConfiguration(tier.layout, tier.secrets, findPrograms(), synchronous, engineUser(), openFiles);
}

/**
 * Writes the configuration of the containers in compose.yaml into `folder`, with secrets that are made the first time. Also
 * writes the files with the tier's addresses for services and the monitor.
 * @returns the paths of the files
 */
export async function renderForContainers(folder: string, synchronous: boolean): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const layout = composeLayout();
  const secrets = await readOrMakeSecrets(folder);
  const limits = haproxyLimits(CONTAINER_OPEN_FILES);
  const files = configurationFiles({
    layout,
    secrets,
    synchronous,
    postgresPrograms: CONTAINER_POSTGRES_PROGRAMS,
    haproxyMaxconn: limits.maxconn,
    haproxyClients: limits.clients,
  }).map((file) => ({ path: join(folder, basename(file.path)), text: file.text }));
  for (const file of files) await writeFile(file.path, file.text, { mode: 0o600 });
  await writeDatabaseEnvironment(folder, tierAddresses(layout, secrets));
  const watched = monitorEnvironmentFile(folder);
  await writeFile(watched, monitorEnvironmentText(watchedParts(layout, secrets)), { mode: 0o600 });
  return [...files.map((file) => file.path), databaseEnvironmentFile(folder), watched];
}

/** Exists from before the first file of a new tier until the tier serves for the first time. */
export const unfinishedFile = (data: string): string => join(data, 'unfinished');

/**
 * Marks a new tier as unfinished. Where an earlier start was interrupted, deletes its halves: a database without its roles, or
 * an incomplete copy, which Patroni would neither finish nor replace. They hold no client's data, since the addresses with
 * the password are published when the tier serves.
 */
export async function beginAnew(layout: Layout): Promise<void> {
  const { data } = layout.folders;
  if (!(await hasSecrets(data))) await writeFile(unfinishedFile(data), '');
  const unfinished = await stat(unfinishedFile(data)).then(
    () => true,
    () => false,
  );
  if (!unfinished) return;
  for (const half of [
    ...layout.etcds.map((etcd) => etcd.folder),
    ...layout.nodes.map((node) => dirname(node.folder)),
    ...layout.brokers.map(({ folder }) => folder),
  ]) {
    await rm(half, { recursive: true, force: true });
  }
}

/**
 * A tier uses folders such as `etc` and `log`, so it refuses a folder with other things in it.
 * @throws Error when `data` is not empty and no tier was ever made in it
 */
export async function refuseOtherThings(data: string): Promise<void> {
  if (await hasSecrets(data)) return;
  const found = await readdir(data).catch(nothingIfAbsent([]));
  // A start that is interrupted before the secrets leaves these; `up --detach` has opened the supervisor's log already.
  if (found.some((name) => !/^(log|unfinished|state\.json.*)$/.test(name))) {
    throw new Error(`${data} holds other things than a tier: choose an empty folder, or a new one (--data)`);
  }
}

/** @throws Error when data of an earlier run belongs to another user than that of the engines now */
export async function refuseForeignFolders(layout: Layout, user: EngineUser | undefined): Promise<void> {
  const uid = user?.uid ?? process.getuid?.();
  for (const node of [...layout.nodes, ...layout.brokers]) {
    const found = await stat(node.folder).catch(nothingIfAbsent(undefined));
    if (found && found.uid !== uid) {
      throw new Error(
        `${node.folder} belongs to user ${found.uid}, the engines would run as user ${uid}: ` +
          'start the tier as the user that made it, or give the folder to the other with chown -R',
      );
    }
  }
}

/** @throws Error that names each port of the tier that another process listens on */
export async function refuseTakenPorts(layout: Layout): Promise<void> {
  const taken: string[] = [];
  for (const { part, port } of portsOf(layout)) {
    if (!(await isFree(layout.internalListen, port))) taken.push(`${port} (${part})`);
  }
  if (taken.length > 0) {
    throw new Error(
      `another process listens already on port ${taken.join(', ')}: choose other ports with --port-base (of trunkline up --cluster: --cluster-port-base)`,
    );
  }
}

/** @throws Error when that can't be found out, or this user may not use the port */
function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((answer, unknown) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') answer(false);
      else unknown(error);
    });
    server.listen(port, host, () => server.close(() => answer(true)));
  });
}

/** Turns the error of an absent file into `nothing`, and throws any other error on. */
const nothingIfAbsent =
  <T>(nothing: T) =>
  (error: unknown): T => {
    if (saysAbsent(error)) return nothing;
    throw error;
  };
