/**
 * Calls to sum up, as many as wanted, in the product's own tables: 36 months, a thousand accounts. Account 1 has a
 * twentieth of all calls, so its number grows with the table's; the others share the rest. An account's calls go in turn
 * to five pairs of direction and country, so that each day of the smallest table has all five: what consumption reads is a row for
 * each day and pair, and their number must not be what makes the larger tables slower.
 *
 * Each month is a transaction of its own: rows first, then the indexes that the product has, then ATTACH; usage is summed
 * from the rows by SQL, by the rules of services/calls/intake/usage.ts.
 */

import { createPool, type Pool, withTransaction } from '#platform/database/pool.ts';
import { migrateAll } from '#platform/database/upgrade.ts';
import { addMonths, type Month, startOfMonth } from '#services/calls/months.ts';
import { SCHEMAS } from '#system';

export const ACCOUNTS = 1_000;
/** Of account 1, of all calls. */
export const SHARE = 20;
export const ZONE = 'Europe/Berlin';
const FIRST_MONTH: Month = 202401;
const MONTHS = 36;
/** Months that are filled at once: a connection is a processor here. */
const AT_ONCE = 2;
const ACCOUNTS_A_PIECE = 50;

const FILL_SETTINGS = `SET LOCAL work_mem = '256MB'; SET LOCAL maintenance_work_mem = '256MB';
  SET LOCAL max_parallel_maintenance_workers = 0`;

/** Server settings for it: nothing of it need outlive the machine, and nothing else may run while it is measured. */
export const SERVER_SETTINGS = {
  wal_level: 'minimal',
  max_wal_senders: '0',
  fsync: 'off',
  full_page_writes: 'off',
  autovacuum: 'off',
};

/**
 * Fills an empty database.
 * @param onProgress told of each piece of work that is done, as a share of all
 */
export async function fillCalls(
  url: string,
  calls: number,
  onProgress: (done: number, of: number) => void,
): Promise<void> {
  const pool = createPool({
    url,
    applicationName: 'bench-fill',
    size: AT_ONCE,
    onIdleError: () => undefined,
  });
  try {
    await migrateAll(pool, SCHEMAS);
    await pool.query(
      `INSERT INTO calls.accounts (i_account, code, name, currency, time_zone, country)
       SELECT n, 'a' || n, 'a' || n, 'EUR', $1, 'DE' FROM generate_series(1, $2::int) n`,
      [ZONE, ACCOUNTS],
    );
    const { rows: indexes } = await pool.query<{ definition: string }>(
      `SELECT pg_get_indexdef(indexrelid) AS definition FROM pg_index WHERE indrelid = 'calls.cdrs'::regclass`,
    );
    const months = Array.from({ length: MONTHS }, (_, i) => addMonths(FIRST_MONTH, i));
    const pieces = Array.from({ length: ACCOUNTS / ACCOUNTS_A_PIECE }, (_, i) => i * ACCOUNTS_A_PIECE + 1);
    let done = 0;
    const tell = () => onProgress(++done, months.length + pieces.length);
    await inTurn(months, async (month) => {
      await fillMonth(
        pool,
        month,
        calls,
        indexes.map(({ definition }) => definition),
      );
      tell();
    });
    // Zones' days reach over the ends of months: summed when all quarters are there.
    await inTurn(pieces, async (first) => {
      await sumDays(pool, first, first + ACCOUNTS_A_PIECE);
      tell();
    });
    await pool.query('VACUUM ANALYZE calls.usage_quarters');
    await pool.query('VACUUM ANALYZE calls.usage_days');
    await pool.query('ANALYZE calls.accounts');
    await pool.query('CHECKPOINT');
  } finally {
    await pool.end();
  }
}

async function inTurn<T>(all: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  const left = [...all];
  const worker = async () => {
    for (let one = left.shift(); one !== undefined; one = left.shift()) await work(one);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

async function fillMonth(pool: Pool, month: Month, calls: number, indexes: readonly string[]): Promise<void> {
  const all = lengthOf(startOfMonth(FIRST_MONTH), startOfMonth(addMonths(FIRST_MONTH, MONTHS)));
  const [from, to] = [startOfMonth(month), startOfMonth(addMonths(month, 1))];
  const numberAt = (time: string) => Math.ceil((calls * lengthOf(startOfMonth(FIRST_MONTH), time)) / all);
  const table = `calls.cdrs_${month}`;
  await withTransaction(pool, async ({ client }) => {
    await client.query(FILL_SETTINGS);
    await client.query(`CREATE TABLE ${table} (LIKE calls.cdrs INCLUDING DEFAULTS)`);
    await client.query(callsBetween(table), [
      ...[startOfMonth(FIRST_MONTH), all / 1_000 / calls, month * 1e10],
      ...[numberAt(from), numberAt(to), ACCOUNTS, SHARE],
    ]);
    for (const definition of indexes)
      await client.query(definition.replace(/INDEX \S+ ON ONLY calls\.cdrs /, `INDEX ON ${table} `));
    await client.query(
      `ALTER TABLE calls.cdrs ATTACH PARTITION ${table} FOR VALUES FROM ('${from}') TO ('${to}')`,
    );
    await client.query(
      `INSERT INTO calls.usage_quarters
       SELECT i_account, date_bin('15 min', start_time, '2000-01-01Z'), direction, coalesce(country, ''), currency,
         count(*), count(*) FILTER (WHERE result = 'answered'), count(*) FILTER (WHERE billed_duration_s > 0),
         count(*) FILTER (WHERE result = 'failed'), sum(duration_s), sum(billed_duration_s), sum(cost)
       FROM ${table} GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5`,
    );
  });
  await pool.query(`VACUUM ANALYZE ${table}`);
}

const lengthOf = (from: string, to: string) => Date.parse(to) - Date.parse(from);

/**
 * The calls from number $4 to $5, evenly over time from $1 on, $2 seconds apart; $3 the month in i_cdr, $6 accounts, of
 * which the first has every $7th call.
 */
function callsBetween(table: string): string {
  return `
    INSERT INTO ${table} (i_cdr, i_account, start_time, connect_time, disconnect_time, duration_s, billed_duration_s,
      cost, i_import, line, currency, country, direction, result, cli, cld, call_id, source, source_key,
      disconnect_cause)
    SELECT $3::bigint + n, account, at, CASE WHEN answered THEN at + interval '5 s' END,
      at + make_interval(secs => 5 + talk), 5 + talk, talk,
      CASE WHEN answered AND pair < 3 THEN round(talk * 0.0123, 4) END, NULL, n, 'EUR',
      (ARRAY['DE', 'GB', 'FR', 'DE', 'AT'])[pair + 1], CASE WHEN pair < 3 THEN 'outbound' ELSE 'inbound' END,
      CASE WHEN answered THEN 'answered' WHEN n / 7 % 100 = 8 THEN 'failed' ELSE 'busy' END,
      '+4930231250' || n % 50, '+44207946' || lpad((n * 7919 % 100000)::text, 5, '0'), 'c' || n, 'switch-1', 'k' || n,
      CASE WHEN answered THEN '16' ELSE '17' END
    FROM (
      SELECT n, $1::timestamptz + make_interval(secs => n * $2::float8) AS at,
        CASE WHEN n % $7::int = 0 THEN 1 ELSE 2 + n * 7907 % ($6::int - 1) END AS account,
        CASE WHEN n % $7::int = 0 THEN n / $7::int % 5 ELSE n / ($6::int - 1) % 5 END AS pair,
        n / 7 % 10 < 7 AS answered, CASE WHEN n / 7 % 10 < 7 THEN 20 + n % 600 + n % 8 * 0.125 ELSE 0 END AS talk
      FROM generate_series($4::bigint, $5::bigint - 1) n) AS numbered`;
}

async function sumDays(pool: Pool, first: number, end: number): Promise<void> {
  await pool.query(
    `INSERT INTO calls.usage_days
     SELECT i_account, (quarter AT TIME ZONE $1)::date, direction, country, currency, sum(calls), sum(answered),
       sum(non_zero), sum(errors), sum(seconds), sum(billed_seconds), sum(cost)
     FROM calls.usage_quarters WHERE i_account >= $2 AND i_account < $3
     GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5`,
    [ZONE, first, end],
  );
}
