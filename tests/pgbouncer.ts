/** One PgBouncer in transaction mode before a PostgreSQL, for tests and benchmarks. */
import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '#engines/postgres.ts';
import { engineUser } from '#engines/processes.ts';

const START_LIMIT_MS = 10_000;
const START_POLL_MS = 20;

/** Where PgBouncer is installed; undefined where it is not. */
export function findPgBouncer(): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/usr/local/sbin'];
  return folders
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, 'pgbouncer'))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

export interface PgBouncerOptions {
  /** The PostgreSQL behind it. */
  readonly url: string;
  /** Connections that it holds to PostgreSQL. */
  readonly poolSize: number;
  /** More of pgbouncer.ini. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** @returns the URL of the same database through it, and its end */
export async function startPgBouncer(
  options: PgBouncerOptions,
): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const program = findPgBouncer();
  if (!program) throw new Error('PgBouncer is not installed');
  const target = new URL(options.url);
  const database = target.pathname.slice(1);
  const port = await freePort();
  const user = engineUser();
  const folder = await mkdtemp(join(tmpdir(), 'trunkline-pgbouncer-'));
  const file = join(folder, 'pgbouncer.ini');
  const settings = {
    listen_addr: '127.0.0.1',
    listen_port: String(port),
    unix_socket_dir: '',
    auth_type: 'any',
    pool_mode: 'transaction',
    default_pool_size: String(options.poolSize),
    max_client_conn: '200',
    ignore_startup_parameters: 'statement_timeout',
    ...options.settings,
  };
  const { hostname, port: targetPort } = target;
  const login = { user: decodeURIComponent(target.username), password: decodeURIComponent(target.password) };
  const to = Object.entries({ host: hostname, port: targetPort, dbname: database, ...login })
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${name}='${value}'`)
    .join(' ');
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
  await writeFile(file, `[databases]\n${database} = ${to}\n[pgbouncer]\n${lines.join('\n')}\n`, {
    mode: 0o600,
  });
  if (user) await Promise.all([chown(folder, user.uid, user.gid), chown(file, user.uid, user.gid)]);

  const child = spawn(program, [file], {
    stdio: ['ignore', 'ignore', 'pipe'],
    ...(user && { uid: user.uid, gid: user.gid }),
  });
  let said = '';
  child.stderr.on('data', (text) => {
    said += text;
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const stop = async () => {
    child.kill('SIGKILL');
    await ended;
    await rm(folder, { recursive: true });
  };
  const deadline = Date.now() + START_LIMIT_MS;
  while (!(await listens(port))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      await stop();
      throw new Error(`PgBouncer did not start: ${said}`);
    }
    await sleep(START_POLL_MS);
  }
  target.port = String(port);
  return { url: target.href, stop };
}

function listens(port: number): Promise<boolean> {
  return new Promise((answer) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      answer(true);
    });
    socket.once('error', () => answer(false));
  });
}
