/**
 * Text as a CSV cell (RFC 4180: commas, quotes doubled), that no spreadsheet runs.
 *
 * A spreadsheet takes a cell that begins with = + - or @ for a formula and runs it, and what callers write (a user
 * agent, a display name) ends up in cells. Such a cell gets an apostrophe in front, which spreadsheets take as "this is
 * text". So does what would begin a cell if the file were cut at another separator than ours, as a spreadsheet of another
 * country may. Numbers stay numbers: a + and digits alone run nothing, and whoever works on with the file needs them as
 * they are. https://owasp.org/www-community/attacks/CSV_Injection
 *
 * The rules are csvCell's; copyCommonCell writes the same where the bytes alone show what that is, which is nearly always.
 */
import { type CopyValue, copyBytes } from './copy_value.ts';

/** Telephone numbers, masked ones too (two stars and more are no product), and decimals: nothing that could be run. */
const PLAIN_NUMBER = /^(?:[+-]?\d+(?:\.\d+)?|\+?\d+\*{2,}\d+)$/;
/** A formula's first character (the wide forms too), where a cell begins or may be made to begin. */
const FORMULA = /(^|[,;|"'])(\s*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])/g;
/** One record, one line: not every reader knows that quotes hold lines together. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROLS = /[\u0000-\u001f\u007f\u0085\u2028\u2029]+/g;
const NEEDS_QUOTES = /[",;|]|^\s|\s$/;

/** A text made safe to stand between two commas. */
export function csvCell(text: string): string {
  if (PLAIN_NUMBER.test(text)) return text;
  const safe = text.replace(CONTROLS, ' ').replace(FORMULA, "$1$2'");
  return NEEDS_QUOTES.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** What a byte may mean to the rules, as bits; of a letter beyond ASCII, each of its bytes in UTF-8. */
const NO_DIGIT = 1;
const FORMULA_SIGN = 2;
/** Behind it a formula may begin. */
const BEFORE_FORMULA = 4;
const QUOTED = 8;
/** More than is decided here. */
const ODD = 16;

const CLASS = new Uint8Array(256).fill(NO_DIGIT);
const mark = (bytes: Iterable<number>, bits: number) => {
  for (const byte of bytes) CLASS[byte]! |= bits;
};
for (const digit of Buffer.from('0123456789')) CLASS[digit] = 0;
mark(Buffer.from('=+-@'), FORMULA_SIGN);
mark(Buffer.from(",;|'"), BEFORE_FORMULA);
mark(Buffer.from(',;|'), QUOTED);
mark(Buffer.from('"\x7f'), ODD);
mark(Array(0x20).keys(), ODD);
/** First bytes of all controls, blanks and wide forms beyond ASCII. What begins with one and is none of them is rare. */
mark([0xc2, 0xe1, 0xe2, 0xe3, 0xef], ODD);

const BLANK = 0x20;
const QUOTE = 0x22;
const PLUS = 0x2b;
const MINUS = 0x2d;

/**
 * csvCell on bytes, for the common case: a sign and digits, and text in which nothing can be a formula and no quote is to be
 * doubled. Four bytes are looked at in one go.
 * @returns where the cell ends in `to`, which has room for two bytes more than `length`; -1 where csvCell has to decide
 */
export const copyCommonCell: CopyValue = (from, fromAt, to, toAt, length) => {
  if (length === 0) return toAt;
  const first = from.getUint8(fromAt);
  to.setUint8(toAt, first);
  let found = 0; // behind the first
  let i = 1;
  for (; i + 4 <= length; i += 4) {
    const word = from.getInt32(fromAt + i);
    found |=
      CLASS[word >>> 24]! | CLASS[(word >> 16) & 0xff]! | CLASS[(word >> 8) & 0xff]! | CLASS[word & 0xff]!;
    to.setInt32(toAt + i, word);
  }
  for (; i < length; i++) {
    const byte = from.getUint8(fromAt + i);
    found |= CLASS[byte]!;
    to.setUint8(toAt + i, byte);
  }
  const end = toAt + length;
  if (first === PLUS || first === MINUS) return length > 1 && (found & NO_DIGIT) === 0 ? end : -1;

  found |= CLASS[first]!;
  const blank = first === BLANK || from.getUint8(fromAt + length - 1) === BLANK;
  if ((found & (ODD | BEFORE_FORMULA)) === 0 && !blank)
    return (CLASS[first]! & FORMULA_SIGN) === 0 ? end : -1;
  if ((found & (ODD | FORMULA_SIGN)) !== 0) return -1;
  if ((found & QUOTED) === 0 && !blank) return end;
  to.setUint8(toAt, QUOTE);
  copyBytes(from, fromAt, to, toAt + 1, length);
  to.setUint8(end + 1, QUOTE);
  return end + 2;
};
