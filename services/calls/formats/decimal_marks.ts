/**
 * Decimals with marks in them, as people's programs write them: 1,234.50  1.234,50  1 234,50  1'234.50  12,34,567.5.
 *
 * A comma or a point may part thousands or begin the decimals, and 1,234 can be read as either. What has two readings is
 * refused, unless the file's decimal sign was told (--decimal-sign). One convention needs no telling: a point that is the
 * only mark is the decimal point, as programs print numbers. It does not hold where semicolons part the columns: such
 * files are of countries that write a decimal comma.
 */

export const DECIMAL_SIGNS = ['.', ','] as const;
export type DecimalSign = (typeof DECIMAL_SIGNS)[number];
/** The sign that was told; `plain`: none was, and a point alone is one; `unknown`: not even that. */
export type DecimalRule = DecimalSign | 'plain' | 'unknown';

export type ReadDecimal =
  /** Digits with at most one point. */
  | { readonly kind: 'decimal'; readonly text: string }
  /** Two readings; `other` is the one with a comma as the decimal sign. */
  | { readonly kind: 'ambiguous'; readonly text: string; readonly other: string }
  | { readonly kind: 'bad' };

const PLAIN = /^\d+\.?\d*$|^\.\d+$/;
const MARKED = /^[\d., '\u2019]+$/;
/** What is no decimal. */
export const BAD: ReadDecimal = { kind: 'bad' };

/** Reads a decimal without a sign. Blanks are plain ones. */
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

/** What a text is where `sign` begins the decimals; null: it is no number so. */
function readWith(text: string, sign: DecimalSign): string | null {
  const at = text.indexOf(sign);
  const whole = at === -1 ? text : text.slice(0, at);
  const decimals = at === -1 ? '' : text.slice(at + 1);
  if (!/^\d*$/.test(decimals) || (whole === '' && decimals === '')) return null;
  const digits = whole === '' ? '' : withoutGroups(whole);
  return digits === null ? null : decimals === '' ? digits : `${digits}.${decimals}`;
}

/** Groups are of three digits, or in India of two before the last; a number that is parted has no nought in front. */
const GROUPED = /^[1-9]\d{0,2}([., '\u2019])\d{3}(?:\1\d{3})*$|^[1-9]\d?(?:,\d\d)+,\d{3}$/;

function withoutGroups(whole: string): string | null {
  if (/^\d+$/.test(whole)) return whole;
  return GROUPED.test(whole) ? whole.replace(/\D/g, '') : null;
}
