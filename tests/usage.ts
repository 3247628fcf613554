/** What the usage tables must say. */
import assert from 'node:assert/strict';
import type { Pool } from '#platform/database/pool.ts';

const SUMMED = `count(*) AS calls, count(*) FILTER (WHERE result = 'answered') AS answered,
  count(*) FILTER (WHERE billed_duration_s > 0) AS non_zero, count(*) FILTER (WHERE result = 'failed') AS errors,
  trim_scale(sum(duration_s))::text AS seconds, trim_scale(sum(billed_duration_s))::text AS billed_seconds,
  trim_scale(sum(cost))::text AS cost`;
const KEPT = `calls, answered, non_zero, errors, trim_scale(seconds)::text AS seconds,
  trim_scale(billed_seconds)::text AS billed_seconds, trim_scale(cost)::text AS cost`;
const KEY = 'direction, country, currency';

/** Both usage tables must say what a plain sum over the calls says, to the last digit. */
export async function assertUsageIsExact(pool: Pool): Promise<void> {
  const plain = await pool.query(`
    SELECT i_account, date_bin('15 min', start_time, '2000-01-01Z') AS at, direction,
      coalesce(country, '') AS country, currency, ${SUMMED}
    FROM calls.cdrs GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5`);
  const quarters = await pool.query(
    `SELECT i_account, quarter AS at, ${KEY}, ${KEPT} FROM calls.usage_quarters ORDER BY 1, 2, 3, 4, 5`,
  );
  assert.deepEqual(quarters.rows, plain.rows);
  const plainDays = await pool.query(`
    SELECT i_account, (start_time AT TIME ZONE time_zone)::date AS at, direction,
      coalesce(c.country, '') AS country, c.currency, ${SUMMED}
    FROM calls.cdrs c JOIN calls.accounts USING (i_account) GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5`);
  const days = await pool.query(
    `SELECT i_account, day AS at, ${KEY}, ${KEPT} FROM calls.usage_days ORDER BY 1, 2, 3, 4, 5`,
  );
  assert.deepEqual(days.rows, plainDays.rows);
}
