/** Calls that a version before stored are recognised, whatever of this is new. */
import assert from 'node:assert/strict';
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { migrate } from '#platform/database/migrate.ts';
import { testDatabase } from '#tests/postgres.ts';
import { POSTED_BEFORE, TOLD_BEFORE } from '#tests/stored_before.ts';
import { importWritten } from '#tests/written_calls.ts';
import { parseMapping } from '../formats/mapping.ts';
import { POSTED_FIELDS, recordFromFields } from '../formats/posted_record.ts';
import { ensureMonths } from '../partitions.ts';
import { calls } from '../service.ts';
import { openPostSource } from './import_source.ts';
import { takeIn } from './intake.ts';

const SAMPLES = new URL('../../../tests/samples/', import.meta.url);
const folder = await mkdtemp(join(tmpdir(), 'trunkline-before-'));
after(() => rm(folder, { recursive: true, force: true }));
const { pool } = await testDatabase();
const NEW_ACCOUNTS = { currency: 'EUR', timeZone: 'UTC', country: 'DE' };

/** The last migration of the version that stored them. */
const LAST_BEFORE = '0003';

/** The tables as that version left them, and then brought up to date. */
async function upgrade(): Promise<void> {
  await pool.query('DROP SCHEMA calls CASCADE');
  for (const file of await readdir(calls.migrations.folder)) {
    if (file.slice(0, 4) <= LAST_BEFORE) await cp(join(calls.migrations.folder, file), join(folder, file));
  }
  await migrate(pool, { ...calls.migrations, folder });
  await ensureMonths(pool, [202_603]);
  const tables = JSON.parse(await readFile(new URL('stored-before.json', SAMPLES), 'utf8'));
  for (const [table, rows] of Object.entries(tables)) {
    await pool.query(
      `INSERT INTO calls.${table} OVERRIDING SYSTEM VALUE
       SELECT * FROM jsonb_populate_recordset(NULL::calls.${table}, $1::jsonb)`,
      [JSON.stringify(rows)],
    );
  }
  await pool.query(
    `SELECT setval('calls.imports_i_import_seq', 1000), setval('calls.accounts_i_account_seq', 1000)`,
  );
  await migrate(pool, calls.migrations);
}

await upgrade();
const count = async () => (await pool.query('SELECT count(*) AS n FROM calls.cdrs')).rows[0].n;
const before = await count();

async function importAgain(told: (typeof TOLD_BEFORE)[number], timeZone: string) {
  const { map, mapName, ...read } = told.read;
  const text = told.text ?? (await readFile(new URL(told.file, SAMPLES), 'utf8'));
  return importWritten(
    pool,
    {
      format: told.format,
      text,
      read: { timeZone, ...read, ...(map && { mapping: parseMapping(map, mapName!) }) },
    },
    told.file,
    { source: told.source, newAccounts: NEW_ACCOUNTS },
  );
}

test('calls of every format are recognised', async () => {
  assert.ok(before >= 50);
  for (const told of TOLD_BEFORE) {
    const counts = await importAgain(told, 'Europe/Berlin');
    assert.deepEqual(
      [counts.stored, counts.completed, counts.conflicts, counts.rejected, counts.duplicates],
      [0, 0, 0, 0, counts.read],
      told.file,
    );
  }
  assert.equal(await count(), before);
});

test('so are they in another time zone, and by a map of another name', async () => {
  for (const told of TOLD_BEFORE) {
    const { mapName } = told.read;
    const renamed = mapName === undefined ? told : { ...told, read: { ...told.read, mapName: 'another' } };
    const counts = await importAgain(renamed, 'Asia/Kathmandu');
    assert.deepEqual([counts.stored, counts.duplicates], [0, counts.read], told.file);
  }
  assert.equal(await count(), before);
});

test('so are posts', async () => {
  const importSource = await openPostSource(pool, {
    file: 'POST /cdrs',
    format: POSTED_FIELDS,
    source: 'posted',
    readOptions: { timeZone: 'UTC' },
    newAccounts: NEW_ACCOUNTS,
  });
  const rows = POSTED_BEFORE.map((value, index) => ({
    row: { line: index + 1, bytes: Buffer.from(JSON.stringify(value)), offset: 0, ended: true },
    parsed: recordFromFields(value, new Map()),
  }));
  const outcomes = await takeIn(pool, importSource, rows);
  assert.deepEqual(new Set(outcomes.map(({ kind }) => kind)), new Set(['duplicate']));
  assert.equal(await count(), before);
});

test('one that lacks a value is completed', async () => {
  const told = TOLD_BEFORE.find(({ file }) => file === 'no-ids.csv')!;
  const counts = await importAgain(
    { ...told, read: { ...told.read, map: [...told.read.map!, 'Id=call_id'] } },
    'Europe/Berlin',
  );
  assert.deepEqual([counts.stored, counts.completed, counts.duplicates], [0, 2, 2]);
  const { rows } = await pool.query(
    `SELECT call_id FROM calls.cdrs WHERE source = 'no-ids' AND call_id = 'x-1'`,
  );
  assert.equal(rows.length, 2, 'two of the three rows say the same');
});

test('the sources that were called by their maps count as one from now on', async () => {
  const { rows } = await pool.query('SELECT source FROM calls.watermarks ORDER BY 1');
  assert.ok(rows.some(({ source }) => source === 'mapped'));
  assert.ok(!rows.some(({ source }) => source === 'carrier' || source === 'twice'));
});
