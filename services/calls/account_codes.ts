/**
 * Account codes in one normal form, whatever program wrote them: spreadsheets and web pages leave NBSP and U+200B behind
 * "acme ", and an ü is one letter whether it came as one character or as two.
 */

/** Unicode's White_Space and the characters without width: U+200B to U+200D, U+2060, U+FEFF. As PostgreSQL's btrim takes them. */
export const CODE_EDGES =
  '\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000' +
  '\u200b\u200c\u200d\u2060\ufeff';

const EDGES = new Set(CODE_EDGES);
const TIDY_ASCII = /^[!-~](?:[ -~]*[!-~])?$/;

/** A code without such edges and in NFC; '' for a code of such characters only. */
export function tidyCode(written: string): string {
  if (TIDY_ASCII.test(written)) return written;
  let from = 0;
  let to = written.length;
  while (from < to && EDGES.has(written[from]!)) from++;
  while (to > from && EDGES.has(written[to - 1]!)) to--;
  return written.slice(from, to).normalize('NFC');
}

/** The same for codes that differ in case alone, or in their edges. */
export const foldedCode = (code: string): string => tidyCode(code).toLowerCase().normalize('NFC');
