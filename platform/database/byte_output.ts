/** Bytes that are being written, in memory that grows and is given back at once. */

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
