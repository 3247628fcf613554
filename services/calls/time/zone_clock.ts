/**
 * From instants to the wall clocks of a zone (zone_rules.ts goes the other way).
 *
 * temporal-polyfill knows the rules but takes microseconds to milliseconds for a result, and an export needs three
 * times a row. So the clock caches the last period between two changes of the offset.
 */
import { Temporal } from 'temporal-polyfill';
import { MICROS_PER_MS, type Micros, wallText } from './instants.ts';
import { zoneSpelling } from './zone_rules.ts';

/** A period in which a zone's offset stays the same: from ≤ t < to. */
interface Period {
  readonly from: Micros;
  readonly to: Micros;
  /** Offset from UTC, east positive. */
  readonly offset: Micros;
}

export interface ZoneClock {
  /** As the time zone database spells it. */
  readonly timeZone: string;
  /** Offset from UTC in microseconds, east positive. */
  offsetAt(at: Micros): Micros;
  /** The first change of the offset after `at`; Infinity when there is none. */
  changeAfter(at: Micros): Micros;
  /** The date of the wall calendar, YYYY-MM-DD. */
  dateAt(at: Micros): string;
  /** The first instant of a day. For a day that the zone left out, the first instant after it. */
  startOfDay(date: string): Micros;
  /** RFC 3339 with the zone's offset. */
  text(at: Micros): string;
}

const MICROS_PER_MINUTE = 60_000_000;
/** No offset, and no change of one, is larger than this. */
const FAR_MICROS = 2 * 86_400_000_000;

const clocks = new Map<string, ZoneClock>();

/** A clock for an IANA zone, whatever the case of its name. Undefined where there is no such zone. */
export function zoneClock(name: string): ZoneClock | undefined {
  const known = clocks.get(name);
  if (known) return known;
  const timeZone = zoneSpelling(name);
  if (timeZone === null) return undefined;
  const clock = clocks.get(timeZone) ?? makeClock(timeZone);
  // Only correct spellings are cached: there are some 600 of them, and countless other ways to write them.
  clocks.set(timeZone, clock);
  return clock;
}

function makeClock(timeZone: string): ZoneClock {
  let period: Period = { from: 0, to: 0, offset: 0 };
  const periodAt = (at: Micros): Period => {
    if (at < period.from || at >= period.to) period = readPeriod(timeZone, at);
    return period;
  };
  const offsetAt = (at: Micros) => periodAt(at).offset;
  return {
    timeZone,
    offsetAt,
    changeAfter: (at) => periodAt(at).to,
    dateAt: (at) => wallText(at + offsetAt(at)).slice(0, 10),
    startOfDay: (date) => {
      const wall = Date.parse(date) * MICROS_PER_MS;
      const { from, to, offset } = periodAt(wall - offsetAt(wall));
      const start = wall - offset;
      // Far from any change the wall clock has one reading. Otherwise the polyfill knows the rules.
      if (start - from > FAR_MICROS && to - start > FAR_MICROS) return start;
      return Temporal.PlainDate.from(date).toZonedDateTime({ timeZone }).epochMilliseconds * MICROS_PER_MS;
    },
    text: (at) => {
      const offset = offsetAt(at);
      // Before 1972 some offsets had seconds, which RFC 3339 can't write. The wall clock is written as that of a zone of whole
      // minutes, so that the text still names exactly this instant.
      const minutes = Math.trunc(offset / MICROS_PER_MINUTE);
      return wallText(at + minutes * MICROS_PER_MINUTE) + offsetText(minutes);
    },
  };
}

function offsetText(minutes: number): string {
  const size = Math.abs(minutes);
  const two = (n: number) => String(n).padStart(2, '0');
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

function readPeriod(timeZone: string, at: Micros): Period {
  const instant = Temporal.Instant.fromEpochMilliseconds(Math.floor(at / MICROS_PER_MS));
  const zoned = instant.toZonedDateTimeISO(timeZone);
  const micros = (change: Temporal.ZonedDateTime | null) =>
    change === null ? undefined : change.epochMilliseconds * MICROS_PER_MS;
  const next = micros(zoned.getTimeZoneTransition('next'));
  // "previous" means strictly before, and the instant may be the change itself.
  const previous = micros(zoned.add({ milliseconds: 1 }).getTimeZoneTransition('previous'));
  return {
    from: previous ?? Number.NEGATIVE_INFINITY,
    to: next ?? Number.POSITIVE_INFINITY,
    offset: zoned.offsetNanoseconds / 1_000,
  };
}
