/**
 * Bytes being written, and the copying of a value into them.
 *
 * A page is thousands of values of a dozen bytes: a call into the engine for each (Buffer.copy, TypedArray.set) costs as
 * much as a loop over the bytes, and words of eight take less than half of that. DataView reads and writes them at any
 * address, and V8 compiles getBigInt64 into setBigInt64 to a load and a store, without a bigint in between.
 */

/** Where rows are written to. `view` and `bytes` are the same memory; a writer keeps `at` up to date. */
export interface ByteOutput {
  bytes: Buffer;
  view: DataView<ArrayBuffer>;
  /** How much is written. */
  at: number;
}

export function createOutput(capacity: number): ByteOutput {
  const bytes = Buffer.allocUnsafeSlow(capacity);
  return { bytes, view: new DataView(bytes.buffer as ArrayBuffer), at: 0 };
}

/**
 * Gives memory back now, not when garbage is next collected; what still refers to it then finds it empty. V8 counts the
 * memory of buffers too, and goes through its whole heap whenever that has grown by some megabytes: with a buffer in and
 * a buffer out for each of thousands of pages a second, that was a third of the processor's time.
 * Memory that is only a part of something larger (a pool, a slice) is left alone.
 */
export function freeMemory(bytes: Buffer): void {
  const memory = bytes.buffer as ArrayBuffer;
  if (bytes.length === memory.byteLength) memory.transfer(0);
}

/** Makes room for `size` more bytes. */
export function reserve(out: ByteOutput, size: number): void {
  if (out.at + size <= out.bytes.length) return;
  const larger = createOutput(2 * (out.at + size));
  out.bytes.copy(larger.bytes, 0, 0, out.at);
  freeMemory(out.bytes);
  out.bytes = larger.bytes;
  out.view = larger.view;
}

/** Appends text, making room for it. */
export function writeText(out: ByteOutput, text: string): void {
  reserve(out, 3 * text.length); // no UTF-16 unit takes more in UTF-8
  out.at += out.bytes.write(text, out.at);
}

/** Copies `length` bytes. The last word overlaps the one before it, so that nothing beyond the end is touched. */
export function copyBytes(
  from: DataView<ArrayBuffer>,
  fromAt: number,
  to: DataView<ArrayBuffer>,
  toAt: number,
  length: number,
): void {
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
}

/** The text of a value, as JavaScript's. */
export function textAt(view: DataView<ArrayBuffer>, at: number, length: number): string {
  return Buffer.from(view.buffer, view.byteOffset + at, length).toString('utf8');
}

const T = 0x54;
const Z = 0x5a;
const PLUS = 0x2b;
const MINUS = 0x2d;
const ZERO = 0x30;
const COLON = 0x3a;
const SPACE = 0x20;

/**
 * Copies a timestamptz as RFC 3339: what rfc3339() of types.ts does, on bytes. "2026-11-21 04:10:00.5+00" gives
 * "2026-11-21T04:10:00.5Z"; "infinity" and years before Christ stay as PostgreSQL writes them.
 * @returns where it ends in `to`
 */
export function copyRfc3339(
  from: DataView<ArrayBuffer>,
  fromAt: number,
  to: DataView<ArrayBuffer>,
  toAt: number,
  length: number,
): number {
  copyBytes(from, fromAt, to, toAt, length);
  // Behind the day, which takes ten characters or, after the year 9999, more.
  for (let i = toAt + 10; i < toAt + length; i++) {
    if (to.getUint8(i) === SPACE) {
      to.setUint8(i, T);
      break;
    }
  }
  const end = toAt + length;
  const sign = length > 3 ? to.getUint8(end - 3) : 0;
  if (sign !== PLUS && sign !== MINUS) return end; // an offset with minutes, or no offset at all
  if (sign === PLUS && to.getUint8(end - 2) === ZERO && to.getUint8(end - 1) === ZERO) {
    to.setUint8(end - 3, Z);
    return end - 2;
  }
  to.setUint8(end, COLON);
  to.setUint8(end + 1, ZERO);
  to.setUint8(end + 2, ZERO);
  return end + 3;
}
