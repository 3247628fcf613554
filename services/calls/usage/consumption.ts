/**
 * Consumption: a range of time cut into buckets by a zone's wall clock, and the sums of each.
 *
 * Buckets begin where the wall clock shows a full hour, the beginning of a day, of a week or of a month, so a day of a change of
 * clocks has 23 or 25 hours. A change that is not at a full hour ends an hour early: Lord Howe's clocks are set by
 * half an hour, and the wall clock does not show the same hour on either side. The first and the last bucket are cut to `from`
 * and `to`.
 */
import type { BucketSpans, DaySpan, InBucket, Midnight, TimeSpan, UsageSums } from '../store/usage_rows.ts';
import type { Micros } from '../time/instants.ts';
import type { ZoneClock } from '../time/zone_clock.ts';
import { addDays, coverRange } from './usage_cover.ts';

export const GRANULARITIES = ['hour', 'day', 'week', 'month', 'total'] as const;
export type Granularity = (typeof GRANULARITIES)[number];

/** The most buckets of one answer; a year by hour has 8,784. */
export const MAX_BUCKETS = 10_000;

const HOUR_MICROS = 3_600_000_000;

/**
 * The instants between the buckets: the first is `from`, the last is `to`.
 * @returns undefined when there would be more than MAX_BUCKETS
 */
export function bucketBounds(
  from: Micros,
  to: Micros,
  granularity: Granularity,
  zone: ZoneClock,
): Micros[] | undefined {
  const next = NEXT_BOUND[granularity];
  const bounds = [from];
  for (let at = next(from, zone); at < to; at = next(at, zone)) {
    if (bounds.length >= MAX_BUCKETS) return undefined;
    bounds.push(at);
  }
  bounds.push(to);
  return bounds;
}

const NEXT_BOUND: Record<Granularity, (at: Micros, zone: ZoneClock) => Micros> = {
  hour: nextHour,
  day: (at, zone) => nextDay(at, zone, (date) => addDays(date, 1)),
  week: (at, zone) => nextDay(at, zone, nextMonday),
  month: (at, zone) => nextDay(at, zone, firstOfNextMonth),
  total: () => Number.POSITIVE_INFINITY,
};

/** The wall clock's next full hour, or the change of the clocks before it. */
function nextHour(at: Micros, zone: ZoneClock): Micros {
  const intoHour = modulo(at + zone.offsetAt(at), HOUR_MICROS);
  return Math.min(at + HOUR_MICROS - intoHour, zone.changeAfter(at));
}

const modulo = (n: number, by: number) => ((n % by) + by) % by;

/** The first instant of the next day. A day that the zone left out begins with the one after it. */
function nextDay(at: Micros, zone: ZoneClock, following: (date: string) => string): Micros {
  for (let date = following(zone.dateAt(at)); ; date = following(date)) {
    const start = zone.startOfDay(date);
    if (start > at) return start;
  }
}

/** Weeks are those of ISO 8601: they begin on Mondays. */
function nextMonday(date: string): string {
  const weekday = new Date(date).getUTCDay(); // Sunday is 0
  return addDays(date, weekday === 0 ? 1 : 8 - weekday);
}

function firstOfNextMonth(date: string): string {
  const year = Number(date.slice(0, 4));
  const month = Number(date.slice(5, 7));
  return new Date(Date.UTC(year, month, 1)).toISOString().slice(0, 10);
}

/** The first instant of the month that the wall calendar shows. */
export function startOfMonthAt(at: Micros, zone: ZoneClock): Micros {
  return zone.startOfDay(`${zone.dateAt(at).slice(0, 7)}-01`);
}

/**
 * @param accountZone undefined: without the sums by day
 * @param firstBucket number of the bucket that begins at the first of `bounds`
 */
export function spansOfBuckets(
  bounds: readonly Micros[],
  accountZone: ZoneClock | undefined,
  firstBucket = 0,
): BucketSpans {
  const days: InBucket<DaySpan>[] = [];
  const midnights: Midnight[] = [];
  const quarters: InBucket<TimeSpan>[] = [];
  const calls: InBucket<TimeSpan>[] = [];
  for (let index = 0; index < bounds.length - 1; index++) {
    const bucket = firstBucket + index;
    const cover = coverRange({ from: bounds[index]!, to: bounds[index + 1]! }, accountZone);
    if (cover.days) days.push({ ...cover.days, bucket });
    for (const midnight of cover.midnights) {
      if (midnights.at(-1)?.day !== midnight.day) midnights.push(midnight);
    }
    for (const span of cover.quarters) quarters.push({ ...span, bucket });
    for (const span of cover.calls) calls.push({ ...span, bucket });
  }
  return { days, midnights, quarters, calls };
}

/** Spans of consecutive buckets, as one span of all of them. */
export function joinSpans(parts: readonly BucketSpans[]): BucketSpans {
  return {
    days: parts.flatMap(({ days }) => days),
    // Where one part ends, the next one begins.
    midnights: parts
      .flatMap(({ midnights }) => midnights)
      .filter(({ day }, index, all) => all[index - 1]?.day !== day),
    quarters: parts.flatMap(({ quarters }) => quarters),
    calls: parts.flatMap(({ calls }) => calls),
  };
}

export const NO_USAGE: UsageSums = { calls: 0, answered: 0, seconds: 0, billed_seconds: 0, cost: [] };
