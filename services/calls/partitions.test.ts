import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testDatabase } from '#tests/postgres.ts';
import { addMonths, monthOf, startOfMonth } from './months.ts';
import { ensureMonths, ensureMonthsAhead, removeOldMonths } from './partitions.ts';

const { pool } = await testDatabase();

async function months(): Promise<number[]> {
  const found = await pool.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class JOIN pg_inherits ON inhrelid = oid
     WHERE inhparent = 'calls.cdrs'::regclass ORDER BY 1`,
  );
  return found.rows.map((row) => Number(row.name.slice('cdrs_'.length)));
}

test('months are counted in UTC and over year ends', () => {
  assert.equal(monthOf(Date.parse('2026-12-31T23:59:59.999Z')), 202612);
  assert.equal(monthOf(Date.parse('2027-01-01T00:00:00Z')), 202701);
  assert.equal(addMonths(202612, 1), 202701);
  assert.equal(addMonths(202601, -1), 202512);
  assert.equal(addMonths(202611, -36), 202311);
  assert.equal(startOfMonth(202602), '2026-02-01T00:00:00.000Z');
});

test('the same month asked for by many at once is made once', async () => {
  const made = await Promise.all(
    Array.from({ length: 8 }, () => ensureMonths(pool, [199902, 199903, 199902])),
  );
  assert.deepEqual(made.flat().sort(), [199902, 199903]);
  assert.deepEqual(await months(), [199902, 199903]);
});

test('a long reader does not hold up a new month', async () => {
  const reader = await pool.connect();
  try {
    await reader.query('BEGIN');
    await reader.query('SELECT count(*) FROM calls.cdrs');
    assert.deepEqual(await ensureMonths(pool, [199904]), [199904]);
  } finally {
    await reader.query('ROLLBACK');
    reader.release();
  }
});

test('retention removes whole months and their usage, and keeps the rest of a day cut in two', async () => {
  await pool.query(
    'DELETE FROM calls.usage_quarters; DELETE FROM calls.usage_days; DELETE FROM calls.accounts',
  );
  // 2026-08-31 23:30Z is the first of September in Kathmandu: that day is cut by the end of the month in UTC.
  await pool.query(`
    INSERT INTO calls.accounts (i_account, code, name, currency, time_zone) VALUES (1, 'k', 'k', 'NPR', 'Asia/Kathmandu');
    INSERT INTO calls.usage_quarters
    SELECT 1, q, 'outbound', '', 'NPR', 1, 1, 1, 0, 60, 60, 1.5
    FROM unnest('{2026-08-31 23:30Z, 2026-09-01 00:15Z, 2026-09-01 20:00Z}'::timestamptz[]) q;
    INSERT INTO calls.usage_days VALUES (1, '2026-09-01', 'outbound', '', 'NPR', 2, 2, 2, 0, 120, 120, 3),
                                        (1, '2026-09-02', 'outbound', '', 'NPR', 1, 1, 1, 0, 60, 60, 1.5)`);
  const now = Date.parse('2026-11-21T00:00:00Z');
  await ensureMonths(pool, [202608, 202609, 202610]);
  assert.deepEqual(await ensureMonthsAhead(pool, now), [202611]);
  assert.deepEqual(await ensureMonthsAhead(pool, Date.parse('2026-11-24T00:00:00Z')), [202612]);

  assert.deepEqual(await removeOldMonths(pool, now, 2), [199902, 199903, 199904, 202608]);

  assert.deepEqual(await months(), [202609, 202610, 202611, 202612]);
  const days = await pool.query('SELECT day, calls, cost FROM calls.usage_days ORDER BY 1');
  assert.deepEqual(days.rows, [
    { day: '2026-09-01', calls: 1, cost: '1.5' },
    { day: '2026-09-02', calls: 1, cost: '1.5' },
  ]);
  const quarters = await pool.query('SELECT min(quarter) AS first FROM calls.usage_quarters');
  assert.equal(quarters.rows[0].first, '2026-09-01T00:15:00Z');
  assert.deepEqual(await removeOldMonths(pool, now, 2), []);
});
