/**
 * Covers a range of time with existing sums: whole days of the account's own time zone
 * (calls.usage_days), whole quarters of an hour (calls.usage_quarters), and at most two ends of less than a quarter that
 * must be counted from the calls themselves.
 *
 *   from                                                             to
 *    |··calls··|──quarters──|════════════ days ════════════|──quarters──|··calls··|
 *
 * PostgreSQL's knowledge of the zone decides the instants of a stored day, and Node may have another year's edition of
 * the time zone database. So days are used only between midnights that PostgreSQL confirms (`Midnight`) in the same
 * statement that sums them. Where it does not confirm one, the caller sums again from quarters.
 */
import type { Cover, Midnight, TimeSpan } from '../store/usage_rows.ts';
import { MICROS_PER_MS, type Micros } from '../time/instants.ts';
import type { ZoneClock } from '../time/zone_clock.ts';

export const QUARTER_MICROS = 15 * 60_000_000;

/** An end that is null is open: everything on that side. */
export interface Range {
  readonly from: Micros | null;
  readonly to: Micros | null;
}

/** No day of any zone is shorter, so that an hour's cover need not look for one. */
const SHORTEST_DAY_MICROS = 20 * 3_600_000_000;
/** Clocks are set back by less than this, so a change further from midnight can't take them over it. */
const MARGIN_MICROS = 3 * 3_600_000_000;
/** How many successive midnights are tried: an odd one stands alone, except in zones whose offset had seconds. */
const MIDNIGHT_TRIES = 3;
/** CDRs start from 1970 to 2099, so one of these can stand for an open end. */
const BEFORE_ALL = Date.UTC(1969, 11, 1) * 1_000;
const AFTER_ALL = Date.UTC(2100, 1, 1) * 1_000;

/** @param zone the account's; undefined: without days */
export function coverRange(range: Range, zone: ZoneClock | undefined): Cover {
  const mayHoldDay = range.from === null || range.to === null || range.to - range.from >= SHORTEST_DAY_MICROS;
  const inner = zone && mayHoldDay ? wholeDays(range, zone) : undefined;
  if (!inner) return coverByQuarters([{ from: range.from ?? BEFORE_ALL, to: range.to ?? AFTER_ALL }]);
  const { first, end } = inner;
  const rests: TimeSpan[] = [];
  if (range.from !== null && first) rests.push({ from: range.from, to: first.at });
  if (range.to !== null && end) rests.push({ from: end.at, to: range.to });
  return {
    ...coverByQuarters(rests),
    days: { from: first?.day ?? '-infinity', to: end?.day ?? 'infinity' },
    midnights: [first, end].filter((midnight) => midnight !== null),
  };
}

/** The first and the last usable midnight of the range. Null for an open end. */
function wholeDays(
  range: Range,
  zone: ZoneClock,
): { first: Midnight | null; end: Midnight | null } | undefined {
  const first = range.from === null ? null : findMidnight(range.from, 1, zone);
  const end = range.to === null ? null : findMidnight(range.to, -1, zone);
  if (first === undefined || end === undefined) return undefined;
  if (first && end && first.day >= end.day) return undefined;
  return { first, end };
}

/** The nearest usable midnight at `at` or after it (step 1), or at it or before it (step -1). */
function findMidnight(at: Micros, step: 1 | -1, zone: ZoneClock): Midnight | undefined {
  let day = zone.dateAt(at);
  for (let tries = 0; tries <= MIDNIGHT_TRIES; tries++, day = addDays(day, step)) {
    const midnight = { at: zone.startOfDay(day), day };
    const reached = step === 1 ? midnight.at >= at : midnight.at <= at;
    if (reached && isFit(midnight, zone)) return midnight;
  }
  return undefined;
}

/** Day and quarters both begin here, and no part of the day before comes later, and no part of this day earlier. */
function isFit({ at, day }: Midnight, zone: ZoneClock): boolean {
  if (at % QUARTER_MICROS !== 0 || zone.dateAt(at) !== day) return false;
  const wallMidnight = Date.parse(day) * MICROS_PER_MS;
  const before = at - MARGIN_MICROS;
  const changeBefore = zone.changeAfter(before);
  // Clocks that are set back over midnight show it twice: a change before it, when they had passed midnight, …
  if (changeBefore <= at && changeBefore + zone.offsetAt(before) > wallMidnight) return false;
  const changeAfter = zone.changeAfter(at);
  // … or one after it that takes them to the day before (St John's did, at 00:01).
  return changeAfter > at + MARGIN_MICROS || changeAfter + zone.offsetAt(changeAfter) >= wallMidnight;
}

/** @param day YYYY-MM-DD */
export function addDays(day: string, count: number): string {
  return new Date(Date.parse(day) + count * 86_400_000).toISOString().slice(0, 10);
}

function coverByQuarters(spans: readonly TimeSpan[]): Cover {
  const quarters: TimeSpan[] = [];
  const calls: TimeSpan[] = [];
  const add = (to: TimeSpan[], from: Micros, end: Micros) => {
    if (from < end) to.push({ from, to: end });
  };
  for (const span of spans) {
    const first = Math.ceil(span.from / QUARTER_MICROS) * QUARTER_MICROS;
    const end = Math.floor(span.to / QUARTER_MICROS) * QUARTER_MICROS;
    if (first >= end) {
      add(calls, span.from, span.to);
      continue;
    }
    add(calls, span.from, first);
    add(quarters, first, end);
    add(calls, end, span.to);
  }
  return { days: null, midnights: [], quarters, calls };
}
