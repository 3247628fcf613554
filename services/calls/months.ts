/** Months of UTC, by which calls are partitioned. */

/** A month in UTC as yyyymm, the way it stands in a partition's name and in i_cdr. */
export type Month = number;

/** A CDR may start from 1970 to the end of this year. Any other start comes from a broken clock or a broken file. */
export const LAST_CALL_YEAR = 2099;

/** @param time milliseconds since 1970 */
export function monthOf(time: number): Month {
  const date = new Date(time);
  return date.getUTCFullYear() * 100 + date.getUTCMonth() + 1;
}

/** @param count may be negative */
export function addMonths(month: Month, count: number): Month {
  const index = Math.floor(month / 100) * 12 + (month % 100) - 1 + count;
  return Math.floor(index / 12) * 100 + (index % 12) + 1;
}

/** First instant of a month, RFC 3339. */
export function startOfMonth(month: Month): string {
  return new Date(Date.UTC(Math.floor(month / 100), (month % 100) - 1)).toISOString();
}
