/**
 * Text as a CSV cell (RFC 4180), on bytes, that no spreadsheet runs.
 *
 * A spreadsheet takes a cell that begins with = + - @ for a formula, and what callers write (a user agent, a display
 * name) ends up in cells. Such a cell gets an apostrophe in front: '+493012345 is read as text, all digits stay, and
 * taking one leading apostrophe away gives the value back. (A tab instead would be invisible, but some readers trim it
 * and run the rest.) A spreadsheet whose list separator is the semicolon cuts a comma file at semicolons, tabs and line
 * ends, whatever the quotes say: what would begin a cell there gets the apostrophe as well.
 * https://owasp.org/www-community/attacks/CSV_Injection
 *
 * The apostrophe goes before the first character, spaces and quotes skipped, of the text and of what is behind each
 * semicolon, tab and line end, if that is one of = + - @ ' tab CR LF or the full-width ＝ ＋ － ＠. That it stands before
 * an apostrophe too makes it exact to undo.
 */

/** Room for a text of `length` bytes as a cell: each a quote to double or behind an apostrophe, and quotes around. */
export function csvCellBytes(length: number): number {
  return 2 * length + 2;
}

const QUOTE = 0x22;
const APOSTROPHE = 0x27;

/** What a byte means, as bits. */
const NEEDS_QUOTES = 1;
const BEGINS_A_CELL = 2; // behind it, for some reader
const IS_DEFUSED = 4; // where a cell begins
const IS_SKIPPED = 8;

const CLASS = new Uint8Array(256);
const mark = (characters: string, bits: number) => {
  for (const character of characters) CLASS[character.charCodeAt(0)]! |= bits;
};
mark(',";\t\r\n', NEEDS_QUOTES);
mark(';\t\r\n', BEGINS_A_CELL);
mark("=+-@'\t\r\n", IS_DEFUSED);
mark(' "', IS_SKIPPED);
/** First byte of the full-width forms, U+FF00 to U+FFEF, in UTF-8. */
const FULL_WIDTH = 0xef;
CLASS[FULL_WIDTH] = IS_DEFUSED;

/**
 * Copies text as a cell. NULL is an empty cell and written by nobody; an empty text is "".
 * @returns where it ends in `to`, which has room for csvCellBytes(length)
 */
export function copyCsvCell(
  from: DataView<ArrayBuffer>,
  fromAt: number,
  to: DataView<ArrayBuffer>,
  toAt: number,
  length: number,
): number {
  if (length === 0) return copyOddCell(from, fromAt, to, toAt, length);
  let found = CLASS[from.getUint8(fromAt)]! & (IS_DEFUSED | IS_SKIPPED);
  for (let i = 0; i < length; i++) {
    const byte = from.getUint8(fromAt + i);
    found |= CLASS[byte]! & (NEEDS_QUOTES | BEGINS_A_CELL);
    to.setUint8(toAt + i, byte);
  }
  return found === 0 ? toAt + length : copyOddCell(from, fromAt, to, toAt, length);
}

function copyOddCell(
  from: DataView<ArrayBuffer>,
  fromAt: number,
  to: DataView<ArrayBuffer>,
  toAt: number,
  length: number,
): number {
  let at = toAt;
  let beginning = true;
  to.setUint8(at++, QUOTE);
  for (let i = 0; i < length; i++) {
    const byte = from.getUint8(fromAt + i);
    const bits = CLASS[byte]!;
    if (beginning && (bits & IS_DEFUSED) !== 0 && (byte !== FULL_WIDTH || isFullWidth(from, fromAt + i))) {
      to.setUint8(at++, APOSTROPHE);
    }
    if (byte === QUOTE) to.setUint8(at++, QUOTE);
    to.setUint8(at++, byte);
    beginning = (bits & BEGINS_A_CELL) !== 0 || (beginning && (bits & IS_SKIPPED) !== 0);
  }
  to.setUint8(at++, QUOTE);
  return at;
}

/** Whether ＋ － ＝ or ＠ stands there; its first byte does. */
function isFullWidth(view: DataView<ArrayBuffer>, at: number): boolean {
  if (view.getUint8(at + 1) !== 0xbc) return false;
  const last = view.getUint8(at + 2);
  return last === 0x8b || last === 0x8d || last === 0x9d || last === 0xa0;
}
