/**
 * Decimals with marks in them, as programs write them: 1,234.50  1.234,50  1 234,50  1'234.50  12,34,567.5.
 *
 * A comma or a point may separate thousands or begin the decimals, and 1,234 has both readings. A text with two readings
 * is refused, unless the caller gives the file's decimal sign (--decimal-sign). One convention needs no option: a point
 * that is the only mark is the decimal point, as programs print numbers. The convention does not hold where semicolons
 * separate the columns: such files come from countries that write a decimal comma.
 */

export const DECIMAL_SIGNS = ['.', ','] as const;
export type DecimalSign = (typeof DECIMAL_SIGNS)[number];
/** The sign that was given. `plain`: none was given, and a point alone is one. `unknown`: not even a point is. */
export type DecimalRule = DecimalSign | 'plain' | 'unknown';

export type ReadDecimal =
  /** Digits with at most one point. */
  | { readonly kind: 'decimal'; readonly text: string }
  /** Two readings; `other` is the one with a comma as the decimal sign. */
  | { readonly kind: 'ambiguous'; readonly text: string; readonly other: string }
  | { readonly kind: 'bad' };

const PLAIN = /^\d+\.?\d*$|^\.\d+$/;
const MARKED = /^[\d., '\u2019]+$/;
/** A text that is no decimal. */
export const BAD: ReadDecimal = { kind: 'bad' };

/** Parses a decimal without a sign. Its blanks are plain ones. */
export function readDecimal(text: string, rule: DecimalRule): ReadDecimal {
  if (PLAIN.test(text) && (rule === 'plain' || rule === '.' || !text.includes('.'))) {
    return { kind: 'decimal', text };
  }
  if (!MARKED.test(text)) return BAD;
  const byPoint = rule === ',' ? null : readWith(text, '.');
  const byComma = rule === '.' ? null : readWith(text, ',');
  const one = byPoint ?? byComma;
  if (one === null) return BAD;
  if (byPoint === null || byComma === null || byPoint === byComma) return { kind: 'decimal', text: one };
  return { kind: 'ambiguous', text: byPoint, other: byComma };
}

/** The value of a text where `sign` begins the decimals. Null: it is no number that way. */
function readWith(text: string, sign: DecimalSign): string | null {
  const at = text.indexOf(sign);
  const whole = at === -1 ? text : text.slice(0, at);
  const decimals = at === -1 ? '' : text.slice(at + 1);
  if (!/^\d*$/.test(decimals) || (whole === '' && decimals === '')) return null;
  const digits = whole === '' ? '' : withoutGroups(whole);
  return digits === null ? null : decimals === '' ? digits : `${digits}.${decimals}`;
}

/** Groups have three digits, or in India two before the last. A number with groups has no leading zero. */
const GROUPED = /^[1-9]\d{0,2}([., '\u2019])\d{3}(?:\1\d{3})*$|^[1-9]\d?(?:,\d\d)+,\d{3}$/;

function withoutGroups(whole: string): string | null {
  if (/^\d+$/.test(whole)) return whole;
  return GROUPED.test(whole) ? whole.replace(/\D/g, '') : null;
}
