/** Splits one CSV record's text into fields. */
import { type Fits, type QuoteFault, splitSparseQuotes } from './sparse_quotes.ts';

/**
 * The ways to write a quote within a quoted field:
 *   doubled    `""`, as RFC 4180, Asterisk and spreadsheets do
 *   backslash  `\"`
 *   bare       `"`, as in FreeSWITCH, which escapes nothing: a field ends at a quote before a separator
 *   sparse     `"` too, and a field whose value has quotes may have none around it (sparse_quotes.ts)
 */
export type QuoteStyle = 'doubled' | 'backslash' | 'bare' | 'sparse';

/** Styles in which each field shows its own end. */
type OneByOne = Exclude<QuoteStyle, 'sparse'>;

const QUOTE = 34;
const SPACE = 32;

/**
 * Splits a record. Blanks around a field are not part of it; blanks within its quotes are. Quotes stand at a field's
 * edges or are written as `style` says.
 * @param separator one character
 */
export function splitFields(text: string, separator: string, style: OneByOne): string[] | QuoteFault {
  const fields: string[] = [];
  const separatorCode = separator.charCodeAt(0);
  let at = 0;
  for (;;) {
    let from = at;
    while (text.charCodeAt(from) === SPACE) from++;
    if (text.charCodeAt(from) === QUOTE) {
      const close = closingQuote(text, from + 1, separatorCode, style);
      if (close === -1) return 'unterminated';
      const after = skipSpaces(text, close + 1);
      if (after < text.length && text.charCodeAt(after) !== separatorCode) return 'misplaced';
      fields.push(unescaped(text.slice(from + 1, close), style));
      at = after;
    } else {
      let end = text.indexOf(separator, from);
      if (end === -1) end = text.length;
      let last = end;
      while (last > from && text.charCodeAt(last - 1) === SPACE) last--;
      const field = text.slice(from, last);
      if (field.includes('"')) return 'misplaced';
      fields.push(field);
      at = end;
    }
    if (at >= text.length) return fields;
    at++;
  }
}

/**
 * Splits a record in the style `doubled`. If that gives no fitting record, it tries the styles of `rescue`.
 * A text that fits in two styles with different fields is ambiguous.
 */
export function splitRecord(
  text: string,
  separator: string,
  rescue: readonly QuoteStyle[],
  fits: Fits,
): string[] | QuoteFault {
  const fields = splitFields(text, separator, 'doubled');
  if (typeof fields !== 'string' && fits(fields.length)) return fields;
  if (!text.includes('"')) return fields;
  let told = fields;
  let found: string[] | null = null;
  for (const style of rescue) {
    // Where all quotes are valid, the styles agree, whatever the number of fields.
    if (style === 'sparse' && typeof fields !== 'string') continue;
    const rescued =
      style === 'sparse' ? splitSparseQuotes(text, separator, fits) : splitFields(text, separator, style);
    if (style === 'sparse') told = rescued;
    if (typeof rescued === 'string' || !fits(rescued.length, rescued)) continue;
    if (found !== null && !isSameSplit(found, rescued)) return 'ambiguous';
    found ??= rescued;
  }
  return found ?? told;
}

/** Whether two readings split the record at the same separators. How they undo escapes makes no difference. */
function isSameSplit(one: readonly string[], other: readonly string[]): boolean {
  const plain = (field: string | undefined) => field?.replace(/["\\]/g, '');
  return one.length === other.length && one.every((field, at) => plain(field) === plain(other[at]));
}

/** Index of the quote that ends the field that begins at `from`, or -1. */
function closingQuote(text: string, from: number, separatorCode: number, style: OneByOne): number {
  let quote = text.indexOf('"', from);
  while (quote !== -1) {
    if (style === 'bare') {
      const after = skipSpaces(text, quote + 1);
      if (after === text.length || text.charCodeAt(after) === separatorCode) return quote;
      quote = text.indexOf('"', quote + 1);
    } else if (style === 'backslash' && isEscaped(text, from, quote)) {
      quote = text.indexOf('"', quote + 1);
    } else if (text.charCodeAt(quote + 1) === QUOTE) {
      quote = text.indexOf('"', quote + 2);
    } else {
      return quote;
    }
  }
  return -1;
}

/** Whether an odd number of backslashes stands before `at`. */
function isEscaped(text: string, from: number, at: number): boolean {
  let before = at;
  while (before > from && text[before - 1] === '\\') before--;
  return (at - before) % 2 === 1;
}

function skipSpaces(text: string, from: number): number {
  let at = from;
  while (text.charCodeAt(at) === SPACE) at++;
  return at;
}

function unescaped(field: string, style: OneByOne): string {
  if (style === 'bare') return field;
  if (style === 'backslash') return field.replace(/\\(["\\])|"(")/g, '$1$2');
  return field.includes('"') ? field.replaceAll('""', '"') : field;
}
