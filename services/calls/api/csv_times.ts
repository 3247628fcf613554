/**
 * Times of a file as a zone's clocks show them, copied from PostgreSQL's bytes.
 *
 * Hardly an hour sees a zone change its offset, and a file's calls come in their order: so what the zone's clocks show is
 * found out once for each hour of UTC, and all that differs within it (minutes, seconds and their decimals) is copied.
 */
import { copyBytes } from '#platform/database/byte_output.ts';
import type { CellRules } from '#platform/database/rows_csv.ts';
import { rfc3339 } from '#platform/database/types.ts';
import { type Micros, readInstant } from '../time/instants.ts';
import type { ZoneClock } from '../time/zone_clock.ts';

/** An instant, RFC 3339, as the zone's clocks show it; '' for none. */
export function zonedTime(text: string | null, zone: ZoneClock): string {
  if (text === null) return '';
  const read = readInstant(text);
  // What PostgreSQL gives is RFC 3339; if ever it were not, the time itself is worth more than its zone.
  return read.kind === 'instant' ? zone.text(read.at) : text;
}

/** For a column of timestamptz: zonedTime, and the same on bytes. */
export function timeRules(zone: ZoneClock): CellRules {
  // Calls begin in one hour and end in the next.
  let hour = NO_HOUR;
  let other = NO_HOUR;
  return {
    text: (text) => zonedTime(rfc3339(text), zone),
    bytes: (from, fromAt, to, toAt, length) => {
      if (!isUtc(from, fromAt, length)) return -1;
      if (!isOf(hour, from, fromAt))
        [hour, other] = [isOf(other, from, fromAt) ? other : readHour(from, fromAt, zone), hour];
      return hour.shown ? copyTime(hour.shown, from, fromAt, to, toAt, length) : -1;
    },
  };
}

/** Characters of "2026-11-21 04", of "2026-11-21 04:10:00+00", and of the offset in it. */
const HOUR_LENGTH = 13;
const SHORTEST_LENGTH = 22;
const UTC_LENGTH = 3;
/** Of "+05:45". */
const OFFSET_LENGTH = 6;
const HOUR_MICROS = 3_600_000_000;
const MINUTE_MICROS = 60_000_000;

/** An hour of UTC in PostgreSQL's text, and what the zone's clocks show in it, where that is one thing. */
interface Hour {
  readonly text: DataView<ArrayBuffer>;
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

const viewOf = (text: string) => new DataView(new TextEncoder().encode(text).buffer);
const NO_HOUR: Hour = { text: viewOf('no hour as yet'), shown: undefined };

function readHour(from: DataView<ArrayBuffer>, at: number, zone: ZoneClock): Hour {
  const text = Buffer.from(from.buffer, from.byteOffset + at, HOUR_LENGTH).toString('latin1');
  const begin = readInstant(`${text}:00:00Z`);
  return { text: viewOf(text), shown: begin.kind === 'instant' ? shownHour(begin.at, zone) : undefined };
}

function shownHour(begin: Micros, zone: ZoneClock): ShownHour | undefined {
  if (zone.changeAfter(begin) < begin + HOUR_MICROS) return undefined;
  const shown = zone.text(begin);
  const minutes = Number(shown.slice(HOUR_LENGTH + 1, HOUR_LENGTH + 3));
  const next = minutes === 0 ? shown : zone.text(begin + (60 - minutes) * MINUTE_MICROS);
  return {
    hour: viewOf(shown.slice(0, HOUR_LENGTH)),
    nextHour: viewOf(next.slice(0, HOUR_LENGTH)),
    minutes,
    offset: viewOf(shown.slice(-OFFSET_LENGTH)),
  };
}

const PLUS = 0x2b;
const ZERO = 0x30;
const ZEROS = 0x3030;

/** Whether PostgreSQL wrote it in UTC, as it does unless the server or the role is told otherwise. */
function isUtc(from: DataView<ArrayBuffer>, at: number, length: number): boolean {
  const offset = at + length - UTC_LENGTH;
  return length >= SHORTEST_LENGTH && from.getUint8(offset) === PLUS && from.getUint16(offset + 1) === ZEROS;
}

function isOf({ text }: Hour, from: DataView<ArrayBuffer>, at: number): boolean {
  return (
    from.getInt32(at + 8) === text.getInt32(8) &&
    from.getUint8(at + 12) === text.getUint8(12) &&
    from.getInt32(at + 4) === text.getInt32(4) &&
    from.getInt32(at) === text.getInt32(0)
  );
}

function copyTime(
  shown: ShownHour,
  from: DataView<ArrayBuffer>,
  fromAt: number,
  to: DataView<ArrayBuffer>,
  toAt: number,
  length: number,
): number {
  const end = toAt + length - UTC_LENGTH;
  const minute = toAt + HOUR_LENGTH + 1;
  copyBytes(from, fromAt + HOUR_LENGTH, to, toAt + HOUR_LENGTH, length - HOUR_LENGTH - UTC_LENGTH);
  let { hour } = shown;
  if (shown.minutes > 0) {
    let minutes = 10 * (to.getUint8(minute) - ZERO) + to.getUint8(minute + 1) - ZERO + shown.minutes;
    if (minutes >= 60) {
      hour = shown.nextHour;
      minutes -= 60;
    }
    to.setUint8(minute, ZERO + Math.trunc(minutes / 10));
    to.setUint8(minute + 1, ZERO + (minutes % 10));
  }
  copyBytes(hour, 0, to, toAt, HOUR_LENGTH);
  copyBytes(shown.offset, 0, to, end, OFFSET_LENGTH);
  return end + OFFSET_LENGTH;
}
