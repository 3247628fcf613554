/** A disk without room, on a small file system of its own: what is refused, what goes on, and how the database comes back. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { lstat, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { platform, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { BALLAST_BYTES, freeBytes } from '#engines/ballast.ts';
import { signal, until } from '#engines/cluster/processes.ts';
import { EMBEDDED_DATABASE, postgresFolder, startPostgres } from '#engines/postgres.ts';
import { type PostgresEvent, supervisePostgres } from '#engines/postgres_supervisor.ts';
import { identify } from '#engines/processes.ts';
import { createPool } from '#platform/database/pool.ts';
import { migrateAll } from '#platform/database/upgrade.ts';
import { readSources } from '#services/calls/follow/sources.ts';
import { readConfig, SCHEMAS } from '#system';
import { primaryRoom } from '../../postgres_disks.ts';
import { testApi } from '../calls_api.ts';
import { startCommand } from '../command.ts';
import { createFastClock } from '../fast_clock.ts';
import { followedRow } from '../followed_file.ts';

const SIZE_MIB = 480;
const LIMIT_MS = 60_000;
/** A minute between two looks for room is a second. */
const PACE = 60;
const folder = await mkdtemp(join(tmpdir(), 'trunkline-full-disk-'));
const skip = mounted(folder);
after(async () => {
  if (!skip) execFileSync('umount', ['--lazy', folder]);
  await rm(folder, { recursive: true, force: true });
});

/** Why the test is skipped; false: the file system is there. */
function mounted(path: string): string | false {
  if (platform() !== 'linux' || process.getuid?.() !== 0)
    return 'a small file system can be mounted by root alone';
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE_MIB}m,mode=0755`, 'tmpfs', path], {
      stdio: 'pipe',
    });
    return false;
  } catch (error) {
    return `no small file system can be mounted here: ${(error as Error).message.split('\n').at(-1)}`;
  }
}

const filler = join(folder, 'filler');
/** Takes all the room that there is. */
async function fill(): Promise<void> {
  for (let size = 1024 * 1024; size >= 1024; size >>= 4) {
    const piece = Buffer.alloc(size, 'x');
    try {
      for (;;) await writeFile(filler, piece, { flag: 'a' });
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
    }
  }
  assert.equal(await freeBytes(folder), 0);
}
/** Takes what there is but for so much. */
async function fillTo(leaveBytes: number): Promise<void> {
  const piece = Buffer.alloc(1024 * 1024, 'x');
  while ((await freeBytes(folder)) > leaveBytes) await writeFile(filler, piece, { flag: 'a' });
}
const makeRoom = () => rm(filler, { force: true });

async function kill(pid: number, postgres: string): Promise<void> {
  signal(pid, 'SIGKILL');
  assert.ok(await until(() => identify(pid) === undefined, LIMIT_MS));
  // Where nobody waits for orphans the dead postmaster stays a zombie, and the next one would take it for alive.
  await rm(join(postgres, 'cluster', 'postmaster.pid'), { force: true });
}

test('a full disk: posts are refused with their own code and reads work; PostgreSQL comes back with the ballast, which is made again when there is space', {
  skip,
  timeout: 300_000,
}, async () => {
  const options = {
    folder: join(folder, 'postgres'),
    database: 'trunkline',
    settings: { fsync: 'off', shared_buffers: '32MB', min_wal_size: '32MB', max_wal_size: '48MB' },
  };
  const ballast = join(options.folder, 'ballast');
  const events: PostgresEvent[] = [];
  const happened = (event: PostgresEvent) => until(() => events.includes(event), LIMIT_MS);
  const kept = await supervisePostgres(options, createFastClock(PACE), (event) => events.push(event));
  const pool = createPool({ url: kept.url, applicationName: 'test', size: 2, onIdleError: () => undefined });
  await migrateAll(pool, SCHEMAS);
  assert.ok(await happened('ballast_made'), String(events));
  assert.equal((await stat(ballast)).size, BALLAST_BYTES);

  const api = await testApi({}, { database: { url: kept.url, pool } });
  const key = await api.key('operator');
  const account = await api.account('acme');
  let number = 0;
  const records = (count: number) =>
    Array.from({ length: count }, () => ({
      ...{
        account: 'acme',
        call_id: `c${number++}`,
        start_time: '2026-03-01T12:00:00Z',
        cli: '+493023125001',
      },
      ...{ cld: '+442079460001', duration_s: 60, result: 'no_answer', description: 'x'.repeat(500) },
    }));
  assert.equal((await api.post(records(10), key)).status, 200);

  await fill();
  let refused = await api.post(records(500), key);
  for (let tries = 0; tries < 40 && refused.status === 200; tries++)
    refused = await api.post(records(500), key);
  assert.deepEqual([refused.status, refused.body.code], [503, 'disk_full'], refused.text);
  assert.ok(Number(refused.headers.get('retry-after')) >= 1);
  for (const path of [
    `/cdrs?i_account=${account}`,
    `/consumption?i_account=${account}&from=2026-03-01&to=2026-03-02`,
  ])
    assert.equal((await api.get(path, key)).status, 200, path);
  assert.equal((await api.get('/health/ready', null)).status, 200);

  const joined = await startPostgres(options);
  await fill();
  events.length = 0;
  await kill(joined.pid, options.folder);
  assert.ok(await happened('restarted'), String(events));
  assert.ok(events.includes('ballast_released'), String(events));
  await assert.rejects(lstat(ballast), { code: 'ENOENT' });
  const reads = async () => (await api.get(`/cdrs?i_account=${account}`, key)).status === 200;
  assert.ok(await until(reads, LIMIT_MS));

  await makeRoom();
  assert.ok(await happened('ballast_made'), String(events));
  assert.ok(await until(async () => (await api.post(records(10), key)).status === 200, LIMIT_MS));
  await joined.stop();
  await api.stop();
  await pool.end();
  await kept.stop();
});

test('on a full disk a process can join and leave the database, since neither takes space; without a ballast the error says why the database does not start', {
  skip,
  timeout: 300_000,
}, async () => {
  const options = { folder: join(folder, 'another'), database: 'it', settings: { shared_buffers: '32MB' } };
  await mkdir(options.folder, { recursive: true });
  const first = await startPostgres(options);
  await fill();
  const second = await startPostgres(options);
  assert.equal(second.url, first.url);
  await second.stop();
  assert.ok(identify(first.pid), 'the first one still uses it');
  await kill(first.pid, options.folder);
  await fill();
  await assert.rejects(startPostgres(options), /did not start/);
  await makeRoom();
  const again = await startPostgres(options);
  assert.equal(again.url, first.url, 'its port is kept');
  await again.stop();
  await first.stop();
  assert.ok((await readFile(join(options.folder, 'port'), 'utf8')).length > 0);
});

test('from 95 % on an import and a followed file wait and give the reason, posts are stored, and both continue by themselves when there is space', {
  skip,
  timeout: 300_000,
}, async () => {
  const data = join(folder, 'installation');
  const config = readConfig({ DATA_DIR: data });
  const postgres = await startPostgres({
    folder: postgresFolder(config),
    database: EMBEDDED_DATABASE,
    settings: { fsync: 'off', shared_buffers: '32MB', min_wal_size: '32MB', max_wal_size: '48MB' },
  });
  const { url } = postgres;
  const pool = createPool({ url, applicationName: 'test', size: 2, onIdleError: () => undefined });
  await migrateAll(pool, SCHEMAS);
  const rows = (from: number) => Array.from({ length: 100 }, (_, n) => followedRow(from + n)).join('');
  const [path, followed] = [join(folder, 'whole.csv'), join(folder, 'Master.csv')];
  await writeFile(path, rows(0));
  await writeFile(followed, rows(100));
  await fillTo(SIZE_MIB * 1024 * 1024 * 0.04);

  const sources = readSources(JSON.stringify([{ path: followed, time_zone: 'UTC', create_accounts: true }]));
  const room = primaryRoom(config, url)!;
  const api = await testApi({ sources }, { database: { url, pool }, room });
  const key = await api.key('operator');
  await api.account('acme');
  const source = async () => (await api.get('/monitoring', key)).body.data.sources[0];
  assert.ok(await until(async () => (await source())?.state === 'waiting', LIMIT_MS));
  const importing = startCommand(['import', 'cdrs', path, '--create-accounts', '--json'], { DATA_DIR: data });
  const why = /primary: 9[5-9] % of \S+installation\S+ is used/;
  assert.match(await importing.said(/waits: .*/), why);
  assert.match((await source()).detail, why);
  assert.match((await api.get('/metrics', null)).text, /^files_wait_for_room\{.*\} 1$/m);
  const record = {
    ...{ account: 'acme', call_id: 'posted', start_time: '2026-03-01T12:00:00Z', cli: '+493023125001' },
    ...{ cld: '+442079460001', duration_s: 60, result: 'no_answer' },
  };
  assert.equal((await api.post([record], key)).status, 200);
  const calls = async () => (await pool.query('SELECT count(*)::int AS n FROM calls.cdrs')).rows[0].n;
  await sleep(3_000);
  assert.equal(await calls(), 1, 'the post alone');

  await makeRoom();
  const { code, out, err } = await importing.ended;
  assert.deepEqual([code, JSON.parse(out).stored], [0, 100], err);
  assert.equal(err.match(/waits: /g)?.length, 1, err);
  assert.ok(await until(async () => (await calls()) === 201, LIMIT_MS));
  assert.ok(await until(async () => (await source()).state === 'following', LIMIT_MS));
  await api.stop();
  await pool.end();
  await postgres.stop();
});
