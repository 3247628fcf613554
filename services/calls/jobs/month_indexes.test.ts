import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withTransaction } from '#platform/database/pool.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { createLogger } from '#platform/telemetry/logger.ts';
import { testDatabase } from '#tests/postgres.ts';
import { ensureMonths } from '../partitions.ts';
import { indexAllMonths, indexMonth } from './month_indexes.ts';

const { pool } = await testDatabase();
const INDEXES = [
  'calls.cdrs_by_cli_in',
  'calls.cdrs_by_cld_in',
  'calls.cdrs_by_import',
  'calls.cdrs_by_linkage',
  'calls.cdrs_long',
];
const WHOLE = INDEXES.map(() => true);

/** As a database is on which the migration has just run: the months are there, and the indexes are of none of them. */
async function withoutIndexes(months: number[]): Promise<void> {
  await ensureMonths(pool, months);
  const { rows } = await pool.query(
    `SELECT pg_get_indexdef(i::regclass) AS definition FROM unnest($1::text[]) i`,
    [INDEXES],
  );
  await pool.query(INDEXES.map((name) => `DROP INDEX ${name}`).join(';'));
  for (const { definition } of rows) await pool.query(definition);
}

const valid = async (): Promise<boolean[]> =>
  (
    await pool.query(
      'SELECT indisvalid AS valid FROM pg_index WHERE indexrelid = ANY ($1::regclass[]::oid[]) ORDER BY indexrelid',
      [INDEXES],
    )
  ).rows.map(({ valid }) => valid);

const onMonths = async (): Promise<number> =>
  (
    await pool.query(
      'SELECT count(*)::int AS n FROM pg_inherits WHERE inhparent = ANY ($1::regclass[]::oid[])',
      [INDEXES],
    )
  ).rows[0].n;

test('new months have the indexes from the start', async () => {
  await ensureMonths(pool, [202501]);
  assert.equal(await indexMonth(pool), undefined);
  assert.deepEqual(await valid(), WHOLE);
});

test('months that were there get them one after the other, newest first, from wherever it was cut off', async () => {
  await withoutIndexes([202502, 202503]);
  assert.deepEqual([await onMonths(), await valid()], [0, WHOLE.map(() => false)]);
  assert.equal(await indexMonth(pool), 202503);
  // A month that is made meanwhile has them.
  await ensureMonths(pool, [202504]);
  assert.equal(await onMonths(), 2 * INDEXES.length);
  const stopping = new AbortController();
  await indexAllMonths({ pool, clock: systemClock, logger: createLogger('test', 'silent') }, stopping.signal);
  assert.deepEqual([await onMonths(), await valid()], [4 * INDEXES.length, WHOLE]);
  assert.equal(await indexMonth(pool), undefined);
});

test('gives way where a month is in use, and leaves nothing half made', async () => {
  await withoutIndexes([]);
  await withTransaction(pool, async ({ client }) => {
    await client.query('LOCK TABLE calls.cdrs_202504 IN ROW EXCLUSIVE MODE');
    await assert.rejects(indexMonth(pool), { code: '55P03' });
  });
  assert.equal(await onMonths(), 0);
  assert.equal(await indexMonth(pool), 202504);
});

test('two at once do each month once', async () => {
  const done = await Promise.all([indexMonth(pool), indexMonth(pool), indexMonth(pool), indexMonth(pool)]);
  assert.deepEqual(done.sort(), [202501, 202502, 202503, undefined]);
  assert.deepEqual(await valid(), WHOLE);
});
