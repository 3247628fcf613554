/**
 * Times of a file as a zone's clocks show them, written from PostgreSQL's binary form.
 *
 * Hardly an hour sees a zone change its offset, and a file's calls come in their order: so what the zone's clocks show is
 * found out once for each hour of UTC, and only what differs within it (minutes, seconds and their decimals) is written anew.
 */
import {
  type CellRules,
  copyBytes,
  EPOCH_MICROS,
  everydayMicros,
  MICROS_PER_HOUR,
  writeWithinHour,
} from '#platform/database/fast_read/fast_read.ts';
import { FIRST_YEAR, type Micros, readInstant } from '../time/instants.ts';
import type { ZoneClock } from '../time/zone_clock.ts';

/** An instant, RFC 3339, as the zone's clocks show it; '' for none. */
export function zonedTime(text: string | null, zone: ZoneClock): string {
  if (text === null) return '';
  const read = readInstant(text);
  // What PostgreSQL gives is RFC 3339; if ever it were not, the time itself is worth more than its zone.
  return read.kind === 'instant' ? zone.text(read.at) : text;
}

/** For a column of timestamptz in binary form: zonedTime, and the same on bytes. */
export function timeRules(zone: ZoneClock): CellRules {
  // Calls begin in one hour and end in the next.
  let hour = NO_HOUR;
  let other = NO_HOUR;
  return {
    text: (text) => zonedTime(text, zone),
    bytes: (from, fromAt, to, toAt) => {
      const micros = everydayMicros(from, fromAt);
      const number = Math.floor(micros / MICROS_PER_HOUR);
      if (hour.number !== number)
        [hour, other] = [other.number === number ? other : readHour(number, zone), hour];
      return hour.shown ? writeTime(hour.shown, micros - number * MICROS_PER_HOUR, to, toAt) : -1;
    },
  };
}

/** Characters of "2026-11-21T04", and of the offset "+05:45". */
const HOUR_LENGTH = 13;
const OFFSET_LENGTH = 6;
const MICROS_PER_MINUTE = 60_000_000;

/** An hour of UTC, counted from 2000, and what the zone's clocks show in it, where that is one thing. */
interface Hour {
  readonly number: number;
  readonly shown: ShownHour | undefined;
}

interface ShownHour {
  /** "2026-11-21T09", and what comes behind it, where the zone's hours are not those of UTC. */
  readonly hour: DataView<ArrayBuffer>;
  readonly nextHour: DataView<ArrayBuffer>;
  /** What the clocks show of the first one when the hour of UTC begins. */
  readonly minutes: number;
  readonly offset: DataView<ArrayBuffer>;
}

const NO_HOUR: Hour = { number: Number.NaN, shown: undefined };
const FIRST_MICROS: Micros = Date.UTC(FIRST_YEAR) * 1_000;
const viewOf = (text: string) => new DataView(new TextEncoder().encode(text).buffer);

function readHour(number: number, zone: ZoneClock): Hour {
  const begin = number * MICROS_PER_HOUR + EPOCH_MICROS;
  return { number, shown: begin >= FIRST_MICROS ? shownHour(begin, zone) : undefined };
}

function shownHour(begin: Micros, zone: ZoneClock): ShownHour | undefined {
  if (zone.changeAfter(begin) < begin + MICROS_PER_HOUR) return undefined;
  const shown = zone.text(begin);
  const minutes = Number(shown.slice(HOUR_LENGTH + 1, HOUR_LENGTH + 3));
  const next = minutes === 0 ? shown : zone.text(begin + (60 - minutes) * MICROS_PER_MINUTE);
  return {
    hour: viewOf(shown.slice(0, HOUR_LENGTH)),
    nextHour: viewOf(next.slice(0, HOUR_LENGTH)),
    minutes,
    offset: viewOf(shown.slice(-OFFSET_LENGTH)),
  };
}

/** @param micros of the hour of UTC that have passed */
function writeTime(shown: ShownHour, micros: number, to: DataView<ArrayBuffer>, toAt: number): number {
  const inNext = micros >= (60 - shown.minutes) * MICROS_PER_MINUTE;
  copyBytes(inNext ? shown.nextHour : shown.hour, 0, to, toAt, HOUR_LENGTH);
  const ahead = inNext ? shown.minutes - 60 : shown.minutes;
  const end = writeWithinHour(micros, ahead, to, toAt + HOUR_LENGTH);
  copyBytes(shown.offset, 0, to, end, OFFSET_LENGTH);
  return end + OFFSET_LENGTH;
}
