/** Calls to page through, in the product's own tables: some accounts' of the last three months, of three years. */

import type { Pool } from '#platform/database/pool.ts';
import { migrateAll } from '#platform/database/upgrade.ts';
import { addMonths, monthOf } from '#services/calls/months.ts';
import { ensureMonths, ensureMonthsAhead } from '#services/calls/partitions.ts';
import { SCHEMAS } from '#system';

export const ACCOUNTS = 100;
const SPAN_S = 92 * 86_400;
/** PostgreSQL plans a statement for every month that it could reach, empty or not. */
const MONTHS_BACK = 35;

/**
 * Fills the tables with `rows` calls up to now, their accounts and their sums by day, unless they hold some already.
 * @param accounts by how many accounts the calls are made, in turn
 */
export async function fillCalls(pool: Pool, rows: number, accounts = ACCOUNTS): Promise<void> {
  await migrateAll(pool, SCHEMAS);
  const end = Date.now();
  await ensureMonths(
    pool,
    Array.from({ length: MONTHS_BACK }, (_, i) => addMonths(monthOf(end), -1 - i)),
  );
  await ensureMonthsAhead(pool, end);
  const { rowCount } = await pool.query('SELECT 1 FROM calls.cdrs LIMIT 1');
  if (rowCount) return;
  await pool.query(
    `INSERT INTO calls.accounts (i_account, code, name, currency, time_zone)
     SELECT n, 'a' || n, 'a' || n, 'EUR', 'UTC' FROM generate_series(1, $1::int) AS n`,
    [accounts],
  );
  await pool.query(
    `INSERT INTO calls.cdrs (i_cdr, i_account, start_time, connect_time, disconnect_time, duration_s,
       billed_duration_s, cost, currency, country, direction, result, cli, cld, cld_in, call_id, source, source_key,
       disconnect_cause, description, remote_ip, user_agent, flags)
     SELECT to_char(t AT TIME ZONE 'UTC', 'YYYYMM')::bigint * 10000000000 + i, 1 + i % $2::int, t,
       t + interval '4.25 s', t + make_interval(secs => 4.25 + talk), talk + 4.25, talk,
       CASE WHEN i % 3 > 0 THEN round(talk * 0.0123, 6) END, 'EUR', 'GB',
       (ARRAY['outbound', 'inbound', 'internal'])[1 + i % 3], 'answered', '+4930' || 10000000 + i % 9000000,
       '+4420' || 70000000 + i * 7 % 9000000, '0044 20 ' || 70000000 + i * 7 % 9000000,
       md5(i::text)::uuid, 'freeswitch-1', md5('key' || i), 'NORMAL_CLEARING', 'United Kingdom, fixed',
       '10.0.' || i % 250 || '.7', 'Yealink SIP-T46S 66.85.0.5', NULL
     FROM (SELECT i, to_timestamp($3::float8 + i * $4::float8 / $1::int) AS t, round((20 + i % 600 + i % 8 * 0.125)::numeric, 3) AS talk
           FROM generate_series(0, $1::int - 1) AS i) AS calls`,
    [rows, accounts, end / 1000 - SPAN_S, SPAN_S],
  );
  await pool.query(
    `INSERT INTO calls.usage_days
     SELECT i_account, (start_time AT TIME ZONE 'UTC')::date, direction, country, currency, count(*), count(*), count(*), 0,
       sum(duration_s), sum(billed_duration_s), sum(cost)
     FROM calls.cdrs GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5`,
  );
  await pool.query(`INSERT INTO calls.watermarks (source, last_disconnect) VALUES ('freeswitch-1', now())`);
  await pool.query(
    `WITH import AS (INSERT INTO calls.imports (file, format, source, options, told_to, told_at)
                     VALUES ('POST /cdrs', 'posted', 'freeswitch-1', '{}', now(), now()) RETURNING i_import)
     INSERT INTO calls.account_sources SELECT i_account, 'freeswitch-1', i_import FROM calls.accounts, import`,
  );
  await pool.query('VACUUM ANALYZE calls.cdrs, calls.usage_days, calls.accounts');
}
