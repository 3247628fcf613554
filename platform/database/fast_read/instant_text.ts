/**
 * Instants from PostgreSQL's binary form of timestamptz: microseconds since 2000, eight bytes. For PostgreSQL to make a text
 * of one, zone and all, takes more than anything else in a row; the text is made here instead, in UTC.
 */

import { DAY_OF_EPOCH, dateOf, SECONDS_PER_DAY, secondsText } from '../calendar.ts';
import { writeAscii } from './copy_value.ts';

/** What the two ends of the range stand for. */
const INFINITY = 2n ** 63n - 1n;
const MINUS_INFINITY = -(2n ** 63n);

const MICROS_PER_SECOND = 1_000_000;
export const MICROS_PER_HOUR = 3_600_000_000;
/** 2000-01-01, in microseconds since 1970. */
export const EPOCH_MICROS = DAY_OF_EPOCH * SECONDS_PER_DAY * MICROS_PER_SECOND;

/** No instant's text is longer: "294276-12-31T23:59:59.999999Z", "4714-11-24T00:00:00.999999+00 BC". */
export const INSTANT_TEXT_BYTES = 32;

const T = 0x54;
const Z = 0x5a;
const ZERO = 0x30;
const COLON = 0x3a;
const DOT = 0x2e;

/** "00" to "99" as two bytes each. */
const TWO_DIGITS = Uint16Array.from({ length: 100 }, (_, n) =>
  Buffer.from(String(n).padStart(2, '0')).readUInt16BE(),
);

const NO_DAY = -(2 ** 31);
/** Days that were asked for last, each in a place of its own in which only days a year apart and more follow each other. */
const PLACES = 512;
const knownDays = new Int32Array(PLACES).fill(NO_DAY);
const PLACE_BYTES = 16;
const dayTexts = new DataView(new ArrayBuffer(PLACES * PLACE_BYTES));

/** Microseconds since 2000; NaN before 1864 and after 2136, short of where JavaScript's numbers would not hold them. */
export function commonMicros(from: DataView<ArrayBuffer>, at: number): number {
  const high = from.getInt32(at);
  if (high < -MICROS_PER_SECOND || high >= MICROS_PER_SECOND) return Number.NaN;
  return high * 2 ** 32 + from.getUint32(at + 4);
}

/**
 * Writes an instant as RFC 3339 with as many decimals as it has: what rfc3339() makes of PostgreSQL's text of it in UTC.
 * @returns where it ends in `to`, which has room for INSTANT_TEXT_BYTES
 */
export function writeInstant(
  from: DataView<ArrayBuffer>,
  fromAt: number,
  to: DataView<ArrayBuffer>,
  toAt: number,
): number {
  const micros = commonMicros(from, fromAt);
  if (Number.isNaN(micros)) return writeAscii(oddInstant(from.getBigInt64(fromAt)), to, toAt);
  const hours = Math.floor(micros / MICROS_PER_HOUR);
  const day = Math.floor(hours / 24);
  const place = day & (PLACES - 1);
  const dayAt = place * PLACE_BYTES;
  if (knownDays[place] !== day) {
    writeAscii(dateOf(day).join(''), dayTexts, dayAt);
    knownDays[place] = day;
  }
  to.setBigInt64(toAt, dayTexts.getBigInt64(dayAt));
  to.setInt16(toAt + 8, dayTexts.getInt16(dayAt + 8));
  to.setUint8(toAt + 10, T);
  to.setUint16(toAt + 11, TWO_DIGITS[hours - 24 * day]!);
  const end = writeWithinHour(micros - hours * MICROS_PER_HOUR, 0, to, toAt + 13);
  to.setUint8(end, Z);
  return end + 1;
}

/**
 * Writes what stands behind the hour: ":10:00.5".
 * @param micros of the hour that have passed
 * @param minutes by which a clock is ahead; with them it still shows the same hour
 * @returns where it ends
 */
export function writeWithinHour(
  micros: number,
  minutes: number,
  to: DataView<ArrayBuffer>,
  toAt: number,
): number {
  const seconds = (micros / MICROS_PER_SECOND) | 0;
  const minute = (seconds / 60) | 0;
  to.setUint8(toAt, COLON);
  to.setUint16(toAt + 1, TWO_DIGITS[minute + minutes]!);
  to.setUint8(toAt + 3, COLON);
  to.setUint16(toAt + 4, TWO_DIGITS[seconds - 60 * minute]!);
  const fraction = micros - seconds * MICROS_PER_SECOND;
  if (fraction === 0) return toAt + 6;
  const hundreds = (fraction / 100) | 0;
  const first = (hundreds / 100) | 0;
  to.setUint8(toAt + 6, DOT);
  to.setUint16(toAt + 7, TWO_DIGITS[first]!);
  to.setUint16(toAt + 9, TWO_DIGITS[hundreds - 100 * first]!);
  to.setUint16(toAt + 11, TWO_DIGITS[fraction - 100 * hundreds]!);
  let end = toAt + 13;
  while (to.getUint8(end - 1) === ZERO) end--;
  return end;
}

const scratch = Buffer.alloc(INSTANT_TEXT_BYTES);
const scratchView = new DataView(scratch.buffer as ArrayBuffer, scratch.byteOffset, INSTANT_TEXT_BYTES);

/** The same as a text. */
export const instantText = (from: DataView<ArrayBuffer>, at: number): string =>
  scratch.toString('latin1', 0, writeInstant(from, at, scratchView, 0));

/** For the years that RFC 3339 has no form for, too. */
function oddInstant(micros: bigint): string {
  if (micros === INFINITY) return 'infinity';
  if (micros === MINUS_INFINITY) return '-infinity';
  const fraction = Number(((micros % 1_000_000n) + 1_000_000n) % 1_000_000n);
  const seconds = Number((micros - BigInt(fraction)) / 1_000_000n);
  return secondsText(
    seconds,
    fraction === 0 ? '' : `.${String(fraction).padStart(6, '0').replace(/0+$/, '')}`,
  );
}
