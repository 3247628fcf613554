/** PostgreSQL's calendar, which reaches further than JavaScript's: from 4713 BC to the year 294276. */

/** Of 2000-01-01, from which PostgreSQL counts, counted from 1970-01-01. */
export const DAY_OF_EPOCH = 10_957;
export const SECONDS_PER_DAY = 86_400;
const MS_PER_DAY = 86_400_000;
/** After so many days the calendar begins anew. */
const DAYS_IN_400_YEARS = 146_097;

/**
 * RFC 3339 in UTC; before Christ, and beyond the year 9999, in PostgreSQL's way.
 * @param seconds since 2000
 * @param decimals of a second, as ".5"; '' for none
 */
export function secondsText(seconds: number, decimals: string): string {
  const day = Math.floor(seconds / SECONDS_PER_DAY);
  const [year, monthAndDay] = dateOf(day);
  const date = `${String(year > 0 ? year : 1 - year).padStart(4, '0')}${monthAndDay}`;
  const clock = new Date((seconds - day * SECONDS_PER_DAY) * 1_000).toISOString().slice(11, 19);
  return `${date}T${clock}${decimals}${year > 0 ? 'Z' : '+00 BC'}`;
}

/**
 * Seconds since 2000 of a date and a time in UTC.
 * @param year as astronomers count: 0 is 1 BC
 * @param monthAndDay as "-MM-DD"
 * @param clock as "HH:MM:SS"
 */
export function secondsOf(year: number, monthAndDay: string, clock: string): number {
  // JavaScript reads years of four digits.
  const alike = 2_000 + (year % 400);
  const cycles = (year - alike) / 400;
  const since1970 = Date.parse(`${alike}${monthAndDay}T${clock}Z`) / 1_000;
  return since1970 + (cycles * DAYS_IN_400_YEARS - DAY_OF_EPOCH) * SECONDS_PER_DAY;
}

/**
 * @param day since 2000
 * @returns the year and "-MM-DD"
 */
export function dateOf(day: number): readonly [number, string] {
  const since1970 = day + DAY_OF_EPOCH;
  // JavaScript's calendar ends before PostgreSQL's.
  const cycles = Math.floor(since1970 / DAYS_IN_400_YEARS);
  const date = new Date((since1970 - cycles * DAYS_IN_400_YEARS) * MS_PER_DAY);
  return [date.getUTCFullYear() + 400 * cycles, date.toISOString().slice(4, 10)];
}
