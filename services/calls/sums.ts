/** Sums over calls and usage, which must be the same after a back-up is restored. */
import type { Sums } from '#platform/database/backup/take.ts';

const ORDERED = 'GROUP BY 1 ORDER BY 1';
/** Account, month in UTC and currency: the key of a line of sums. */
const keyOf = (account: string, time: string, currency: string) =>
  `(${account} || ' ' || to_char(${time}, 'YYYY-MM') || ' ' || ${currency}) COLLATE "C"`;

const USAGE_COLUMNS = ['calls', 'answered', 'non-zero', 'errors', 'seconds', 'billed seconds', 'cost'];
const usageSums = `sum(calls), sum(answered), sum(non_zero), sum(errors), trim_scale(sum(seconds)),
  trim_scale(sum(billed_seconds)), trim_scale(sum(cost))`;

// An older back-up's sums must still be computed in this way: a change is a new name beside the old one.
export const CALLS_SUMS: readonly Sums[] = [
  {
    name: 'calls by account, month and currency',
    columns: ['calls', 'seconds', 'billed seconds', 'cost', 'cost known'],
    sql: `SELECT ${keyOf('i_account', "start_time AT TIME ZONE 'UTC'", 'currency')}, count(*), trim_scale(sum(duration_s)),
              trim_scale(sum(billed_duration_s)), trim_scale(sum(cost)), count(cost)
            FROM calls.cdrs ${ORDERED}`,
  },
  {
    name: 'usage by quarter of an hour, by account, month and currency',
    columns: USAGE_COLUMNS,
    sql: `SELECT ${keyOf('i_account', "quarter AT TIME ZONE 'UTC'", 'currency')}, ${usageSums}
            FROM calls.usage_quarters ${ORDERED}`,
  },
  {
    name: 'usage by day, by account, month and currency',
    columns: USAGE_COLUMNS,
    sql: `SELECT ${keyOf('i_account', 'day', 'currency')}, ${usageSums} FROM calls.usage_days ${ORDERED}`,
  },
];
