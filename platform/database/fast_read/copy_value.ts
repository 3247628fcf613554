/**
 * The copying of a value from PostgreSQL's bytes into those that are written.
 *
 * A page is thousands of values of a dozen bytes: a call into the engine for each (Buffer.copy, TypedArray.set) costs as
 * much as a loop over the bytes, and words of eight take less than half of that. DataView reads and writes them at any
 * address, and V8 compiles getBigInt64 into setBigInt64 to a load and a store, without a bigint in between.
 */

/**
 * Copies a value of `length` bytes from one place to another, in a form of its own.
 * @returns where it ends in `to`, which has room for it
 */
export type CopyValue = (
  from: DataView<ArrayBuffer>,
  fromAt: number,
  to: DataView<ArrayBuffer>,
  toAt: number,
  length: number,
) => number;

/** How the values of a column are written. */
export interface ValueRules {
  /**
   * On bytes, where it can be had cheaply. For a CSV cell `to` has room for CELL_EXTRA_BYTES (rows_csv.ts) more than `length`,
   * for JSON for JSON_WORST_GROWTH times as much.
   * @returns where it ends in `to`; -1 to have `text` asked
   */
  readonly bytes: CopyValue;
  /** The same of a value's text; of an instant in binary form, of RFC 3339 in UTC. */
  readonly text: (text: string) => string;
}

/** Copies `length` bytes. The last word overlaps the one before it, so that nothing beyond the end is touched. */
export const copyBytes: CopyValue = (from, fromAt, to, toAt, length) => {
  if (length >= 8) {
    const last = length - 8;
    for (let i = 0; i < last; i += 8) to.setBigInt64(toAt + i, from.getBigInt64(fromAt + i));
    to.setBigInt64(toAt + last, from.getBigInt64(fromAt + last));
  } else if (length >= 4) {
    const last = length - 4;
    to.setInt32(toAt, from.getInt32(fromAt));
    to.setInt32(toAt + last, from.getInt32(fromAt + last));
  } else {
    for (let i = 0; i < length; i++) to.setUint8(toAt + i, from.getUint8(fromAt + i));
  }
  return toAt + length;
};

/** The text of a value, as JavaScript's. */
export function textAt(view: DataView<ArrayBuffer>, at: number, length: number): string {
  return Buffer.from(view.buffer, view.byteOffset + at, length).toString('utf8');
}

/** Writes text of ASCII alone, for which there is room; returns where it ends. */
export function writeAscii(text: string, to: DataView<ArrayBuffer>, toAt: number): number {
  for (let i = 0; i < text.length; i++) to.setUint8(toAt + i, text.charCodeAt(i));
  return toAt + text.length;
}

const T = 0x54;
const Z = 0x5a;
const PLUS = 0x2b;
const ZEROS = 0x3030;
const SPACE = 0x20;
/** Of "2026-11-21". */
const DATE_LENGTH = 10;
/** Of "2026-11-21 04:10:00+00", and of its end. */
const SHORTEST_INSTANT = 22;
const UTC_LENGTH = 3;

/**
 * Copies a timestamptz as RFC 3339: what rfc3339() of types.ts does, on bytes, for the common case: a day of four digits' year,
 * told in UTC.
 * @returns where it ends in `to`; -1 where rfc3339 has to decide
 */
export const copyRfc3339: CopyValue = (from, fromAt, to, toAt, length) => {
  const zone = fromAt + length - UTC_LENGTH;
  if (length < SHORTEST_INSTANT || from.getUint8(fromAt + DATE_LENGTH) !== SPACE) return -1;
  if (from.getUint8(zone) !== PLUS || from.getUint16(zone + 1) !== ZEROS) return -1;
  copyBytes(from, fromAt, to, toAt, length - UTC_LENGTH);
  to.setUint8(toAt + DATE_LENGTH, T);
  to.setUint8(toAt + length - UTC_LENGTH, Z);
  return toAt + length - UTC_LENGTH + 1;
};
