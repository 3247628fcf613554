/** What `import cdrs` promises of crashes and repeats, with real processes and real kills. */
import assert from 'node:assert/strict';
import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import type { Pool } from '#platform/database/pool.ts';
import { BATCH_ROWS } from '#services/calls/intake/import_file.ts';
import { runCommand, startCommand } from '#tests/command.ts';
import { testDatabase } from '#tests/postgres.ts';
import { asteriskRows, tables } from '#tests/promised_tables.ts';

const folder = await mkdtemp(join(tmpdir(), 'trunkline-import-'));
after(() => rm(folder, { recursive: true, force: true }));

const ROWS = 60_000;
const file = join(folder, 'Master.csv');
await writeFile(file, asteriskRows(0, ROWS));
const importOf = (...paths: string[]) => ['import', 'cdrs', ...paths, '--create-accounts', '--json'];
const SET_ASIDE = ROWS / 1000;
/** Spread over the file by how much of it is committed, so that a slow start does not move them. */
const KILLS = 10;

const clean = await testDatabase();
const first = await runCommand(importOf(file), { DATABASE_URL: clean.url });
const expected = await tables(clean.url);

test('an import tells what it did, and ends with 3 when rows were set aside', () => {
  assert.equal(first.code, 3, first.err);
  const { read, stored, duplicates, set_aside } = JSON.parse(first.out);
  assert.deepEqual(
    { read, stored, duplicates, set_aside },
    { read: ROWS, stored: ROWS - SET_ASIDE, duplicates: 0, set_aside: SET_ASIDE },
  );
  assert.match(first.err, /Asterisk/);
});

test('the same file again, also gzipped and from standard input, adds nothing', async () => {
  const packed = join(folder, 'Master.csv.gz');
  await writeFile(packed, gzipSync(asteriskRows(0, 5_000)));
  for (const [args, input] of [
    [importOf(file), undefined],
    [importOf(packed), undefined],
    [importOf('-'), asteriskRows(0, 400)],
  ] as const) {
    const again = await runCommand(args, { DATABASE_URL: clean.url }, input);
    const { read, duplicates, stored, set_aside } = JSON.parse(again.out);
    assert.deepEqual([stored, duplicates + set_aside], [0, read]);
  }
  const { rejected: _, ...now } = (await tables(clean.url)) as { rejected: unknown };
  const { rejected: __, ...was } = expected as { rejected: unknown };
  assert.deepEqual(now, was);
});

/** How far the import that began last has come: rows whose batch is committed; -1 before it has begun. */
async function rowsCommitted(pool: Pool, begunBefore: number): Promise<number> {
  const { rows } = await pool.query(
    'SELECT read::int AS read FROM calls.imports WHERE i_import > $1 ORDER BY i_import DESC LIMIT 1',
    [begunBefore],
  );
  return rows[0]?.read ?? -1;
}

test('killed at any moment, started again: the same tables', async () => {
  const database = await testDatabase();
  const keptAfterKill: number[] = [];
  for (let kill = 0; kill < KILLS; kill++) {
    const { rows } = await database.pool.query(
      'SELECT coalesce(max(i_import), 0) AS last FROM calls.imports',
    );
    const { child, ended } = startCommand(importOf(file), { DATABASE_URL: database.url });
    // Each kill comes further on in the file than the one before: first before a batch is committed, then between two.
    const wanted = Math.floor((kill * (ROWS - BATCH_ROWS)) / KILLS);
    let over = false;
    void ended.then(() => (over = true));
    while (!over && (await rowsCommitted(database.pool, rows[0].last)) < wanted) await sleep(2);
    child.kill('SIGKILL');
    assert.equal((await ended).signal, 'SIGKILL', `kill ${kill}: the import had ended before it`);
    keptAfterKill.push((await database.pool.query('SELECT count(*)::int AS n FROM calls.cdrs')).rows[0].n);
  }
  const partly = keptAfterKill.filter((rows) => rows > 0 && rows < ROWS - SET_ASIDE);
  assert.ok(partly.length >= KILLS / 2, `rows that were kept after each kill: ${keptAfterKill}`);
  assert.equal((await runCommand(importOf(file), { DATABASE_URL: database.url })).code, 3);
  assert.deepEqual(await tables(database.url), expected);
});

test('an import stays below 300 MB of memory', { skip: process.platform !== 'linux' }, async () => {
  const database = await testDatabase();
  const { child, ended } = startCommand(importOf(file), { DATABASE_URL: database.url });
  let peakKb = 0;
  for (let over = false; !over; over = await Promise.race([ended.then(() => true), sleep(50, false)])) {
    const status = await readFile(`/proc/${child.pid}/status`, 'utf8').catch(() => '');
    peakKb = Math.max(peakKb, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0));
  }
  assert.equal((await ended).code, 3);
  assert.ok(peakKb > 50_000 && peakKb < 300 * 1024, `${peakKb} kB`);
});

test('two imports of one file at once: the same tables', async () => {
  const database = await testDatabase();
  const both = await Promise.all(
    [1, 2].map(() => runCommand(importOf(file), { DATABASE_URL: database.url })),
  );
  // Each row that is set aside is told by the one that set it aside first: that may be one of them for all rows.
  const codes = both.map((how) => how.code).sort();
  assert.ok([0, 3].includes(codes[0]!) && codes[1] === 3, both.map((how) => how.err).join('\n'));
  assert.deepEqual(await tables(database.url), expected);
});

test('a file that grows, cut in the middle of a row at first, and two files that overlap', async () => {
  const database = await testDatabase();
  const growing = join(folder, 'growing.csv');
  const whole = asteriskRows(0, 3_000);
  await writeFile(growing, whole.slice(0, whole.length / 3));
  const env = { DATABASE_URL: database.url };
  await runCommand(importOf(growing), env);
  await appendFile(growing, whole.slice(whole.length / 3));
  await runCommand(importOf(growing), env);
  const overlapping = join(folder, 'overlapping.csv');
  await writeFile(overlapping, asteriskRows(2_000, 5_000));
  await runCommand(importOf(growing, overlapping), env);
  const found = (await database.pool.query('SELECT count(*) AS n FROM calls.cdrs')).rows[0].n;
  assert.equal(found, 5_000 - 5);
  const cut = await database.pool.query(
    `SELECT code FROM calls.rejected_cdrs WHERE code <> 'bad_value' AND code <> 'bad_number'`,
  );
  assert.deepEqual(cut.rows, [], 'the row that was cut at first is no longer set aside');
});

test('nothing is stored by a dry run, and it tells the same figures', async () => {
  const database = await testDatabase();
  const dry = await runCommand([...importOf(file), '--dry-run'], { DATABASE_URL: database.url });
  assert.equal(dry.code, 3, dry.err);
  const figures = (text: string) => {
    const { read, stored, duplicates, set_aside, reasons } = JSON.parse(text);
    return { read, stored, duplicates, set_aside, reasons };
  };
  assert.deepEqual(figures(dry.out), figures(first.out));
  assert.equal((await database.pool.query('SELECT count(*) AS n FROM calls.accounts')).rows[0].n, 0);
});

test('on the embedded database: killed, joined, and left stopped', async () => {
  const env = { DATA_DIR: join(folder, 'data') };
  const small = join(folder, 'small.csv');
  await writeFile(small, asteriskRows(0, 20_000));
  const killed = startCommand(importOf(small), env);
  await killed.said('Asterisk');
  killed.child.kill('SIGKILL');
  await killed.ended;
  const [a, b] = await Promise.all([runCommand(importOf(small), env), runCommand(importOf(small), env)]);
  // Each row that is set aside is told by the one that set it aside first.
  for (const { code, err } of [a, b]) assert.ok(code === 0 || code === 3, err);
  assert.ok([a.code, b.code].includes(3), `${a.err}\n${b.err}`);
  const doctor = await runCommand(['doctor', '--json'], env);
  const postgres = JSON.parse(doctor.out).find((finding: { part: string }) => finding.part === 'postgresql');
  assert.match(postgres.says, /not running/, 'the last command out stopped the server');
});

test('what cannot be read is told, with exit status 1', async () => {
  const env = { DATABASE_URL: clean.url };
  const missing = await runCommand(['import', 'cdrs', join(folder, 'nowhere.csv')], env);
  assert.deepEqual([missing.code, /nowhere.csv: no such file/.test(missing.err)], [1, true]);
  const unknown = await runCommand(['import', 'cdrs', '-'], env, 'hello\nworld\n');
  assert.equal(unknown.code, 1);
  assert.match(unknown.err, /--format/);
  const cutGzip = join(folder, 'cut.gz');
  const whole = gzipSync(asteriskRows(10_000, 14_000));
  await writeFile(cutGzip, whole.subarray(0, whole.length * 0.8));
  const cut = await runCommand(importOf(cutGzip), env);
  assert.equal(cut.code, 1, cut.err);
  assert.match(cut.err, /cut.gz/);
  const told = JSON.parse(cut.out);
  assert.ok(told.read > 0 && told.read < 4_000, 'what was read until then is told');
  assert.equal(told.stored + told.duplicates + told.set_aside, told.read);
  const empty = await runCommand(['import', 'cdrs', ''], env);
  assert.deepEqual([empty.code, /a file name is empty/.test(empty.err)], [1, true], empty.err);
});

test('calls that retention removes next are told', async () => {
  const database = await testDatabase();
  const old = join(folder, 'old.csv');
  await writeFile(old, asteriskRows(0, 400).replaceAll('"2026-', '"2001-'));
  const env = { DATABASE_URL: database.url, CDR_RETENTION_MONTHS: '2' };
  const dry = await runCommand([...importOf(old), '--dry-run'], env);
  assert.equal(JSON.parse(dry.out).older_than_retention, 400, dry.err);
  const imported = await runCommand(['import', 'cdrs', old, '--create-accounts'], env);
  assert.match(imported.out, /400 of the calls stored are older than CDR_RETENTION_MONTHS keeps/);
  const again = await runCommand(importOf(old), { DATABASE_URL: database.url });
  assert.equal(JSON.parse(again.out).older_than_retention, 0);
});
