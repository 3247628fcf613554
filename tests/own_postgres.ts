/** A PostgreSQL of a test's own, to be killed, frozen, slowed down and started again. Linux only: it reads /proc. */
import { execFileSync, spawn } from 'node:child_process';
import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { platform, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { familyOf, freezeFamily, signal, until } from '#engines/cluster/processes.ts';
import { freePort, type RunningPostgres, startPostgres } from '#engines/postgres.ts';
import { identify } from '#engines/processes.ts';
import { createPool, type Pool } from '#platform/database/pool.ts';
import { migrateAll } from '#platform/database/upgrade.ts';
import { SCHEMAS } from '#system';

const DATABASE = 'trunkline';
/**
 * Nothing here needs the disk to have it: processes are killed, not the machine. A commit that is answered is with the
 * operating system all the same (synchronous_commit is on): what a killed PostgreSQL held of its log in its own memory is gone.
 */
const FAST = { fsync: 'off', full_page_writes: 'off', shared_buffers: '32MB' };
const ENDED_LIMIT_MS = 10_000;
const SLOW_DOWN = fileURLToPath(new URL('slow_down.ts', import.meta.url));

/** Why suites that need one are skipped here; false where they run. */
export const ownPostgresSkip: string | false =
  platform() === 'linux' ? false : 'process trees are read from /proc';

type Settings = Readonly<Record<string, string>>;

export interface OwnPostgres {
  readonly url: string;
  readonly folder: string;
  /** The postmaster and every process of it; empty when it is down. */
  pids(): number[];
  /** kill -9 of the postmaster; resolves when its orphans, which see that it is gone, have ended too. */
  kill(): Promise<void>;
  /** SIGSTOP of all of it; connections are taken by the kernel and nobody answers. */
  freeze(): void;
  thaw(): void;
  /** Lets it run for a twentieth of the time; the returned function ends that. */
  slow(): () => Promise<void>;
  /** Starts it again, on the same port. */
  start(): Promise<void>;
  /** Stops it in good order: connections are told and closed. */
  stop(): Promise<void>;
}

export interface OwnDatabase extends OwnPostgres {
  /** The test's own connections. */
  readonly pool: Pool;
}

/** Starts one with a migrated database; it is gone after the file's last test. Call it at the top of the file. */
export async function ownDatabase(settings: Settings = {}): Promise<OwnDatabase> {
  const postgres = await startOwn(await temporaryFolder(), settings);
  const pool = createPool({
    url: postgres.url,
    applicationName: 'test',
    size: 5,
    onIdleError: () => undefined,
  });
  await migrateAll(pool, SCHEMAS);
  after(async () => {
    await pool.end();
    await destroy(postgres);
  });
  return { ...postgres, pool };
}

/** Streaming replicas of a database, which is stopped for a moment to be copied; gone after the file's last test. */
export async function ownReplicas(primary: OwnPostgres, count: number): Promise<OwnPostgres[]> {
  await primary.stop();
  const folders: string[] = [];
  const { username, password, port } = new URL(primary.url);
  for (let n = 0; n < count; n++) {
    const folder = await temporaryFolder();
    const cluster = join(folder, 'cluster');
    execFileSync('cp', ['-a', join(primary.folder, 'cluster'), join(primary.folder, 'password'), folder]);
    await appendFile(
      join(cluster, 'postgresql.auto.conf'),
      `primary_conninfo = 'host=127.0.0.1 port=${port} user=${username} password=${password}'\n`,
    );
    await writeFile(join(cluster, 'standby.signal'), '');
    folders.push(folder);
  }
  await primary.start();
  const replicas: OwnPostgres[] = [];
  for (const folder of folders) {
    const replica = await startOwn(folder, { wal_retrieve_retry_interval: '200ms' });
    after(() => destroy(replica));
    replicas.push(replica);
  }
  return replicas;
}

async function startOwn(folder: string, settings: Settings): Promise<OwnPostgres> {
  const port = await freePort();
  const launch = () =>
    startPostgres({ folder, database: DATABASE, port, settings: { ...FAST, ...settings } });
  let running: RunningPostgres | undefined = await launch();
  const { url } = running;
  let frozen: number[] = [];

  const own: OwnPostgres = {
    url,
    folder,
    pids: () => (running && identify(running.pid) ? familyOf(running.pid) : []),
    kill: async () => {
      const pids = own.pids();
      signal(running!.pid, 'SIGKILL');
      if (!(await until(() => pids.every((pid) => !identify(pid)), ENDED_LIMIT_MS)))
        throw new Error(`processes of a killed PostgreSQL live on: ${pids.filter((pid) => identify(pid))}`);
      // Where nobody waits for orphans the dead postmaster stays a zombie, and the next one would take it for alive.
      await rm(join(folder, 'cluster', 'postmaster.pid'), { force: true });
      await own.stop();
    },
    freeze: () => {
      frozen = freezeFamily(running!.pid);
    },
    thaw: () => {
      for (const pid of frozen.splice(0)) signal(pid, 'SIGCONT');
    },
    slow: () => {
      const slower = spawn(process.execPath, [SLOW_DOWN, String(running!.pid)], { stdio: 'inherit' });
      const ended = new Promise<void>((done) => slower.once('exit', () => done()));
      return () => {
        slower.kill();
        return ended;
      };
    },
    start: async () => {
      running = await launch();
    },
    stop: async () => {
      await running?.stop();
      running = undefined;
    },
  };
  return own;
}

async function destroy(postgres: OwnPostgres): Promise<void> {
  postgres.thaw();
  await postgres.stop();
  await rm(postgres.folder, { recursive: true, force: true });
}

const temporaryFolder = () => mkdtemp(join(tmpdir(), 'trunkline-own-'));
