/** Rules for the cells of columns: how their values become text of a CSV file. Callers put them together, and see none inside. */
import { copyBytes, type ValueRules } from './copy_value.ts';
import { copyCommonCell, csvCell } from './csv_cell.ts';
import { copyDecimalNumber, decimalNumber } from './decimal_number.ts';
import { commonMicros, EPOCH_MICROS, MICROS_PER_HOUR, writeWithinHour } from './instant_text.ts';

/** What a zone's clocks show. Instants are microseconds since 1970. */
export interface ShownZone {
  /** RFC 3339 with the zone's offset. */
  text(at: number): string;
  /** The first change of the offset after `at`. */
  changeAfter(at: number): number;
  /** Earlier instants are left to the text. */
  readonly since: number;
}

export const cellRules = {
  /** Any text, so that no spreadsheet runs it (csv_cell.ts). */
  text: { text: csvCell, bytes: copyCommonCell } satisfies ValueRules,
  /** A numeric as JavaScript prints the number. */
  number: { text: decimalNumber, bytes: copyDecimalNumber } satisfies ValueRules,
  withComma,
  inZone,
} as const;

const DOT = 0x2e;
const COMMA = 0x2c;

/** The same numbers by a decimal comma. */
function withComma({ text, bytes }: ValueRules): ValueRules {
  return {
    text: (value) => text(value).replace('.', ','),
    bytes: (from, fromAt, to, toAt, length) => {
      const end = bytes(from, fromAt, to, toAt, length);
      for (let at = toAt; at < end; at++) if (to.getUint8(at) === DOT) to.setUint8(at, COMMA);
      return end;
    },
  };
}

/**
 * For a column of timestamptz in binary form, as a zone's clocks show it. Hardly an hour sees a zone change its offset, and a
 * file's calls come in their order: so what the clocks show is found out once for each hour of UTC, and only what differs within
 * it (minutes, seconds and their decimals) is written anew.
 * @param text the same of RFC 3339 in UTC, for hours in which the offset changes and for years that are out of the common range
 */
function inZone(zone: ShownZone, text: ValueRules['text']): ValueRules {
  // Calls begin in one hour and end in the next.
  let hour = NO_HOUR;
  let other = NO_HOUR;
  return {
    text,
    bytes: (from, fromAt, to, toAt) => {
      const micros = commonMicros(from, fromAt);
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
const viewOf = (text: string) => new DataView(new TextEncoder().encode(text).buffer);

function readHour(number: number, zone: ShownZone): Hour {
  const begin = number * MICROS_PER_HOUR + EPOCH_MICROS;
  return { number, shown: begin >= zone.since ? shownHour(begin, zone) : undefined };
}

function shownHour(begin: number, zone: ShownZone): ShownHour | undefined {
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
