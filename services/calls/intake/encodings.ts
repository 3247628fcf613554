/**
 * Converts sources in UTF-16 to UTF-8. Spreadsheets save "Unicode text" so, and Windows' programs write logs so. Formats,
 * offsets and the bytes of rejected rows are those of the UTF-8 text.
 */

export type Utf16 = 'utf-16le' | 'utf-16be';

const MARK_LE = Buffer.from([0xff, 0xfe]);
const MARK_BE = Buffer.from([0xfe, 0xff]);
/** UTF-32 begins like UTF-16. */
const MARK_UTF32 = Buffer.from([0xff, 0xfe, 0, 0]);
const LOOKED_AT_BYTES = 1024;

/** By its mark, or without one by the zeros in every second byte of a table in UTF-16. */
export function utf16Of(head: Buffer): Utf16 | null {
  if (head.subarray(0, 4).equals(MARK_UTF32)) return null;
  const mark = head.subarray(0, 2);
  if (mark.equals(MARK_LE)) return 'utf-16le';
  if (mark.equals(MARK_BE)) return 'utf-16be';
  const looked = head.subarray(0, LOOKED_AT_BYTES & ~1);
  const noughts = [0, 0];
  for (const [at, byte] of looked.entries()) if (byte === 0) noughts[at % 2]!++;
  const half = looked.length / 2;
  const isMost = (count: number) => count > 0 && count * 4 >= half * 3;
  // A letter beyond Latin may have a zero where the others have none.
  const isRare = (count: number) => count * 20 <= half;
  if (isMost(noughts[1]!) && isRare(noughts[0]!)) return 'utf-16le';
  return isMost(noughts[0]!) && isRare(noughts[1]!) ? 'utf-16be' : null;
}

/** The text without its mark. A character that the end has cut is left out; the rest of its row is missing anyway. */
export async function* asUtf8(chunks: AsyncIterable<Buffer>, encoding: Utf16): AsyncGenerator<Buffer> {
  const decoder = new TextDecoder(encoding);
  for await (const chunk of chunks) {
    const text = decoder.decode(chunk, { stream: true });
    if (text !== '') yield Buffer.from(text);
  }
}
