/**
 * A zone's rules from 1970 to 2099: from a wall-clock time to its offset from UTC.
 *
 * Wall-clock time here is milliseconds since 1970 as if the clock on the wall stood in UTC. A zone's offset is constant
 * except for a change now and then. Around a change some wall-clock times come twice (clocks set back) or never (clocks
 * set forward, or a whole day left out). temporal-polyfill knows the rules but takes microseconds to milliseconds for a
 * result, and an import needs some ten million. So the changes are cached, a slice of some 13 months at a time, at the
 * first use. The cache is bounded: some 600 zone names × 121 slices of at most a few changes.
 */
import { Temporal } from 'temporal-polyfill';

/** Wall-clock times that a change of the zone's offset repeats (`before` > `after`) or skips (`before` < `after`). */
export interface ZoneChange {
  /** The repeated or skipped wall-clock time: from ≤ t < to. */
  readonly from: number;
  readonly to: number;
  /** Offsets from UTC in milliseconds, east positive. */
  readonly before: number;
  readonly after: number;
}

interface Slice {
  /** The offset at the slice's begin, before any of its changes. */
  readonly offset: number;
  readonly changes: readonly ZoneChange[];
}

/** About 398 days: a change or four each. */
const SLICE_MS = 2 ** 35;
/** No offset is further from UTC than this. Changes within it may reach into a slice. */
const MARGIN_MS = 36 * 3_600_000;
const MAX_ZONE_NAME_LENGTH = 64;

const rulesByZone = new Map<string, ZoneRules>();

/** The offset in milliseconds at a wall-clock time, or the change that repeats or skips that time. */
export type ZoneRules = (wallMs: number) => number | ZoneChange;

/** The IANA name as the time zone database spells it. Null where there is no such zone. Offsets are no zones. */
export function zoneSpelling(name: string): string | null {
  if (name.length > MAX_ZONE_NAME_LENGTH || !/^[A-Za-z]/.test(name)) return null;
  try {
    return zonedAt(0, name).timeZoneId;
  } catch {
    return null;
  }
}

/**
 * The rules of a zone, for wall-clock times of the years 1970 to 2099 and a day around them.
 * @throws RangeError for a name that is not an IANA zone in its own spelling.
 */
export function zoneRules(timeZone: string): ZoneRules {
  const known = rulesByZone.get(timeZone);
  if (known) return known;
  const spelling = zoneSpelling(timeZone);
  if (spelling !== timeZone) {
    const hint = spelling ? `; it is spelled ${spelling}` : '';
    throw new RangeError(`${JSON.stringify(timeZone.slice(0, 80))} is not an IANA time zone${hint}`);
  }
  const rules = cachedRules(timeZone);
  rulesByZone.set(timeZone, rules);
  return rules;
}

function cachedRules(timeZone: string): ZoneRules {
  const slices = new Map<number, Slice>();
  let currentIndex = Number.NaN;
  let current: Slice = { offset: 0, changes: [] };
  return (wallMs) => {
    const index = Math.floor(wallMs / SLICE_MS);
    if (index !== currentIndex) {
      current = slices.get(index) ?? readSlice(timeZone, index);
      slices.set(index, current);
      currentIndex = index;
    }
    let offset = current.offset;
    for (const change of current.changes) {
      if (wallMs < change.from) break;
      if (wallMs < change.to) return change;
      offset = change.after;
    }
    return offset;
  };
}

function readSlice(timeZone: string, index: number): Slice {
  const end = (index + 1) * SLICE_MS + MARGIN_MS;
  let at: Temporal.ZonedDateTime | null = zonedAt(index * SLICE_MS - MARGIN_MS, timeZone);
  const offset = offsetMs(at);
  const changes: ZoneChange[] = [];
  for (let before = offset; ; ) {
    at = at.getTimeZoneTransition('next');
    if (at === null || at.epochMilliseconds >= end) return { offset, changes };
    const after = offsetMs(at);
    const from = at.epochMilliseconds + Math.min(before, after);
    changes.push({ from, to: from + Math.abs(after - before), before, after });
    before = after;
  }
}

function zonedAt(instantMs: number, timeZone: string): Temporal.ZonedDateTime {
  return Temporal.Instant.fromEpochMilliseconds(instantMs).toZonedDateTimeISO(timeZone);
}

function offsetMs(at: Temporal.ZonedDateTime): number {
  return at.offsetNanoseconds / 1_000_000;
}
