/**
 * Bytes being written, and the copying of a value into them.
 *
 * A page is thousands of values of a dozen bytes: a call into the engine for each (Buffer.copy, TypedArray.set) costs
 * more than the bytes do, and a loop over single bytes is twice as slow as one over words of four. DataView reads and
 * writes a word at any address, and V8 compiles that to one machine instruction.
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

/** Makes room for `size` more bytes. */
export function reserve(out: ByteOutput, size: number): void {
  if (out.at + size <= out.bytes.length) return;
  const larger = createOutput(2 * (out.at + size));
  out.bytes.copy(larger.bytes, 0, 0, out.at);
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
  if (length >= 4) {
    const last = length - 4;
    for (let i = 0; i < last; i += 4) to.setInt32(toAt + i, from.getInt32(fromAt + i));
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

/** How much longer rfc3339 text may be than PostgreSQL's. */
export const RFC3339_EXTRA_BYTES = 3;

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
