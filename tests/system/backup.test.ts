/** What `backup`, `restore` and `drill restore` promise of crashes, with real processes and real kills. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createPool } from '#platform/database/pool.ts';
import { importDemo } from '#services/calls/jobs/demo.ts';
import { runCommand, startCommand } from '#tests/command.ts';
import { testDatabase } from '#tests/postgres.ts';
import { assertUsageIsExact } from '#tests/usage.ts';

const folder = await mkdtemp(join(tmpdir(), 'trunkline-backups-'));
after(() => rm(folder, { recursive: true, force: true }));
const database = await testDatabase();
await importDemo(database.pool, Date.parse('2026-11-29T12:00:00Z'));
/** Enough for some seconds of COPY, and of restoring it: numbers of their own, so that it can't be compressed away. */
const ROWS = 400_000;
await database.pool.query(
  `INSERT INTO calls.cdrs (i_cdr, i_account, start_time, duration_s, billed_duration_s, currency, direction, result, cli,
                           cld, call_id, source, source_key)
   SELECT 2026110000000000 + 5000000 + n, 1, '2026-11-01T00:00:00Z'::timestamptz + n * interval '1 s', 60, 60, 'EUR', 'outgoing',
          'answered', '+4930' || n, '+4420' || n, md5(n::text), 'bulk', md5((-n)::text)
   FROM generate_series(1, $1::int) AS n`,
  [ROWS],
);
const key = randomBytes(32).toString('base64');
const env = { DATABASE_URL: database.url, BACKUP_KEY: key };
const calls = async (pool = database.pool) =>
  Number((await pool.query('SELECT count(*) AS n FROM calls.cdrs')).rows[0].n);

const whole = join(folder, 'whole');
await mkdir(whole);
const made = await runCommand(['backup', whole, '--json'], env);

test('backup writes one whole file for its owner alone, into a folder, while the database is in use', async () => {
  assert.equal(made.code, 0, made.err);
  const { file, rows, encrypted, bytes } = JSON.parse(made.out);
  assert.deepEqual(await readdir(whole), [file.slice(whole.length + 1)]);
  assert.ok(rows > ROWS && encrypted);
  const found = await stat(file);
  assert.equal(found.mode & 0o777, 0o600);
  assert.equal(found.size, bytes);
});

/** A back-up into a folder, of which such a share is written; or which has ended, where it did so before. */
async function startBackup(path: string, share: number): Promise<ReturnType<typeof startCommand>> {
  const before = await readdir(path);
  const command = startCommand(['backup', path], env);
  let isOver = false;
  void command.ended.then(() => {
    isOver = true;
  });
  while (!isOver) {
    const name = (await readdir(path)).find((one) => !before.includes(one));
    const found = name && (await stat(join(path, name)).catch(() => undefined));
    if (found && found.size >= JSON.parse(made.out).bytes * share) break;
    await sleep(2);
  }
  return command;
}

test('a back-up that is killed leaves nothing that is taken for one, whenever that is', async () => {
  const killed = join(folder, 'killed');
  await mkdir(killed);
  const { file } = JSON.parse(made.out);
  let during = 0;
  for (let kill = 1; kill <= 5; kill++) {
    // By how much of it is written: by time, a kill could come when it is whole and only its process has not ended.
    const command = await startBackup(killed, kill / 10);
    command.child.kill('SIGKILL');
    if ((await command.ended).signal === 'SIGKILL') during++;
    await sleep(1_000); // The next one has another second in its name.
  }
  assert.ok(during > 0, 'no back-up was cut off: nothing was tried');
  const names = await readdir(killed);
  assert.equal(names.filter((name) => name.endsWith('.backup')).length, 5 - during);
  const left = names.find((name) => name.endsWith('.partial'))!;
  const refused = await runCommand(['restore', '--verify', join(killed, left)], env);
  assert.equal(refused.code, 1);
  assert.match(refused.err, /not whole|no whole|no back-up/);
  for (const name of names) await rm(join(killed, name));
  const nothing = await runCommand(['restore', '--verify', killed], env);
  assert.match(nothing.err, /there is no back-up in/);
  const again = await runCommand(['restore', '--verify', whole, '--json'], env);
  assert.equal(again.code, 0, again.err);
  assert.equal(JSON.parse(again.out).file, file);
});

test('Ctrl-C ends a back-up and leaves no file', async () => {
  const ended = join(folder, 'ended');
  await mkdir(ended);
  const command = await startBackup(ended, 0.1);
  command.child.kill('SIGINT');
  assert.equal((await command.ended).code, 130);
  assert.deepEqual(await readdir(ended), []);
});

test('a restore that is killed leaves the database as it was, and the next one is whole', async () => {
  const target = await testDatabase();
  await importDemo(target.pool, Date.parse('2026-11-20T12:00:00Z'));
  const before = await calls(target.pool);
  const restoreEnv = { ...env, DATABASE_URL: target.url };
  let during = 0;
  for (let kill = 1; kill <= 3; kill++) {
    const command = startCommand(['restore', whole, '--replace', '--yes'], restoreEnv);
    await Promise.race([command.said(/% {2}calls/), command.ended]);
    await sleep(kill * 100);
    command.child.kill('SIGKILL');
    if ((await command.ended).signal !== 'SIGKILL') continue;
    during++;
    assert.equal(await calls(target.pool), before);
  }
  assert.ok(during > 0, 'no restore was cut off: nothing was tried');
  const restored = await runCommand(['restore', whole, '--replace', '--yes'], restoreEnv);
  assert.equal(restored.code, 0, restored.err);
  assert.equal(await calls(target.pool), await calls());
  const verified = await runCommand(['restore', '--verify', whole], restoreEnv);
  assert.equal(verified.code, 0, verified.err);
  const trail = await runCommand(['audit', 'list', '--action', 'database.restore', '--json'], restoreEnv);
  const [entry, ...more] = JSON.parse(trail.out);
  assert.deepEqual([more, entry.detail.replaced, entry.after.rows], [[], true, JSON.parse(made.out).rows]);
  assert.match(entry.by_id, /^terminal:/);
  // It was filled beside the usage tables.
  await target.pool.query(`DELETE FROM calls.cdrs WHERE source = 'bulk'`);
  await assertUsageIsExact(target.pool);
});

test('a database with rows is not restored over unasked, and the message says how', async () => {
  const refused = await runCommand(['restore', whole], env);
  assert.equal(refused.code, 1);
  assert.match(refused.err, /not empty.*--replace/s);
});

test('while a service runs on it, or where rows would go, nothing is restored unconfirmed, and it is said what runs', async () => {
  const target = await testDatabase();
  await importDemo(target.pool, Date.parse('2026-11-20T12:00:00Z'));
  const targetEnv = { ...env, DATABASE_URL: target.url };
  const before = await calls(target.pool);
  const loses = await runCommand(['restore', whole, '--replace'], targetEnv);
  assert.deepEqual([loses.code, await calls(target.pool)], [2, before]);
  assert.match(loses.err, /will be deleted for the back-up of 2[\s\S]*--yes must confirm/);
  const service = createPool({
    url: target.url,
    applicationName: 'trunkline-calls',
    size: 1,
    onIdleError: () => undefined,
  });
  after(() => service.end());
  await service.query('SELECT 1');
  for (const more of [[], ['--replace']]) {
    const refused = await runCommand(['restore', whole, ...more], targetEnv);
    assert.deepEqual([refused.code, await calls(target.pool)], [2, before]);
    assert.match(
      refused.err,
      /^calls runs on the database, from [\d.:]+$[\s\S]*stop the services, or give --yes/m,
    );
  }
  const verified = await runCommand(['restore', '--verify', whole], targetEnv);
  assert.equal(verified.code, 1, 'it only compares');
  assert.match(verified.err, /^The database differs: /m);
  const restored = await runCommand(['restore', whole, '--replace', '--yes'], targetEnv);
  assert.equal(restored.code, 0, restored.err);
});

test('drill restore judges the newest back-up in a server of its own: PASS with times, or FAIL with the reason', async () => {
  const scratch = join(folder, 'scratch');
  await mkdir(scratch, { mode: 0o755 });
  const drillEnv = { BACKUP_DIR: whole, BACKUP_KEY: key };
  const passed = await runCommand(['drill', 'restore', '--scratch', scratch, '--json'], drillEnv);
  assert.equal(passed.code, 0, passed.err);
  const report = JSON.parse(passed.out);
  assert.ok(report.passed && report.rto_s > 0 && report.rpo_s > 0 && report.rows > ROWS);
  const bytes = await readFile(report.file);
  const broken = join(folder, 'broken.backup');
  await writeFile(broken, bytes.subarray(0, bytes.length - 5));
  const failed = await runCommand(['drill', 'restore', broken, '--scratch', scratch], drillEnv);
  assert.equal(failed.code, 1, failed.err);
  assert.match(failed.out, /not whole[\s\S]*\nFAIL\n/);
  assert.deepEqual(await readdir(scratch), []);
});
