/**
 * Ten million calls over 36 months, quickly: loaded without indexes, which are then made as the migration made them.
 * A thousand accounts; account 1 has a hundredth of all calls, so that its plans are those of a busy customer, four legs a call. Eighteen stand
 * below account 2; nineteen moved from below 29 to below 30, and half of all others from below 69 to below 70.
 */
import type { Pool } from '#platform/database/pool.ts';
import { addMonths } from '#services/calls/months.ts';
import { ensureMonths } from '#services/calls/partitions.ts';

export const CALLS = 10_000_000;
export const MONTHS = 36;
const FIRST_MONTH = 202401;
export const FROM = '2024-01-01T00:00:00Z';
export const TO = '2027-01-01T00:00:00Z';
/** When accounts 31 to 49 moved from below account 29 to below account 30. */
export const MOVED = '2025-05-10T22:00:00Z';

/** Fills calls.cdrs and its usage tables of an empty, migrated database. */
export async function fillBigTable(pool: Pool, calls: number = CALLS): Promise<void> {
  await pool.query(`
    INSERT INTO calls.accounts (i_account, code, name, currency, time_zone, country, i_parent)
    SELECT n, 'a' || n, 'a' || n, 'EUR', 'Europe/Berlin', 'DE', CASE WHEN n BETWEEN 3 AND 20 THEN 2 END
    FROM generate_series(1, 1000) n;
    INSERT INTO calls.account_parents (i_account, i_parent, since, until)
    SELECT n, parent, since, until
    FROM generate_series(31, 1000) n,
         (VALUES (29, '-infinity'::timestamptz, '${MOVED}'::timestamptz), (30, '${MOVED}'::timestamptz, 'infinity'::timestamptz)) AS v (parent, since, until)
    WHERE n < 50 OR n > 500;
    UPDATE calls.account_parents SET i_parent = i_parent + 40 WHERE i_account > 500;
    INSERT INTO calls.former_codes (code, i_account) SELECT 'old' || n, n FROM generate_series(1, 1000) n`);
  await ensureMonths(
    pool,
    Array.from({ length: MONTHS }, (_, i) => addMonths(FIRST_MONTH, i)),
  );
  const indexes = await pool.query<{ name: string; definition: string }>(`
    SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS definition
    FROM pg_index i WHERE i.indrelid = 'calls.cdrs'::regclass`);
  await pool.query(indexes.rows.map((index) => `DROP INDEX ${index.name}`).join(';'));
  await pool.query(
    `
    INSERT INTO calls.cdrs (i_cdr, i_account, start_time, connect_time, disconnect_time, duration_s, billed_duration_s,
      cost, i_import, line, currency, country, direction, result, cli, cld, cli_in, cld_in,
      call_id, source, source_key, linked_id)
    SELECT to_char(at, 'YYYYMM')::bigint * 10000000000 + n, account, at, CASE WHEN n % 10 < 7 THEN at END, at + '1 min',
      60, CASE WHEN n % 10 < 7 THEN 55 ELSE 0 END, 0.01, n / 100000, n, 'EUR', 'GB', 'outbound',
      CASE WHEN n % 10 < 7 THEN 'answered' WHEN n % 200 = 8 THEN 'failed' ELSE 'busy' END,
      '+4930231250' || n % 50, '+44207946' || lpad((n * 7919 % 100000)::text, 5, '0'),
      CASE WHEN n % 3 = 0 THEN '030231250' || n % 50 END,
      CASE WHEN n % 2 = 0 THEN '0044207946' || lpad((n * 7919 % 100000)::text, 5, '0') END, 'c' || n, 'test', 'k' || n,
      CASE WHEN n % 100 = 0 THEN 'l' || n / 400 END
    FROM (
      SELECT n, $1::timestamptz + ($2::timestamptz - $1::timestamptz) * (n::float8 / $3::bigint) AS at,
             CASE WHEN n % 100 = 0 THEN 1 ELSE 2 + (n * 7907 % 999) END AS account
      FROM generate_series(0, $3::bigint - 1) n) AS numbered`,
    [FROM, TO, calls],
  );
  // Parents' definitions name ONLY nothing: made on the parent, they are made on every month.
  for (const { definition } of indexes.rows) await pool.query(definition.replace(' ON ONLY ', ' ON '));
  await pool.query(`
    INSERT INTO calls.usage_quarters
    SELECT i_account, date_bin('15 min', start_time, '2000-01-01Z'), direction, country, currency, count(*),
      count(*) FILTER (WHERE result = 'answered'), count(*) FILTER (WHERE billed_duration_s > 0), count(*) FILTER (WHERE result = 'failed'),
      sum(duration_s), sum(billed_duration_s), sum(cost)
    FROM calls.cdrs WHERE i_account <= 20 GROUP BY 1, 2, 3, 4, 5`);
  await pool.query(`
    INSERT INTO calls.usage_days
    SELECT i_account, (quarter AT TIME ZONE 'Europe/Berlin')::date, direction, country, currency, sum(calls),
      sum(answered), sum(non_zero), sum(errors), sum(seconds), sum(billed_seconds), sum(cost)
    FROM calls.usage_quarters GROUP BY 1, 2, 3, 4, 5`);
  await pool.query(`
    WITH import AS (
      INSERT INTO calls.imports (file, format, source, options, told_to, told_at)
      SELECT 'POST /cdrs', 'posted', 'switch ' || n, '{}', now(), now() FROM generate_series(1, 3) n
      RETURNING i_import, source),
    mark AS (INSERT INTO calls.watermarks (source, last_disconnect) SELECT source, now() FROM import)
    INSERT INTO calls.account_sources (i_account, source, i_import)
    SELECT i_account, source, i_import FROM calls.accounts, import`);
  await pool.query('VACUUM ANALYZE');
}
