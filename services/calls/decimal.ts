/**
 * Money to the last digit: decimals as texts, and their sums as whole numbers of the smallest unit that occurs. Nothing
 * here is a float. PostgreSQL's numeric holds all values.
 */

/** The most digits of an amount, without zeros at its ends, and the largest exponent either way: far beyond any price. */
export const MAX_DIGITS = 40;
export const MAX_EXPONENT = 40;
/** The most digits on one side of the point, which follow from the two above. */
const MAX_PLACES = MAX_DIGITS + MAX_EXPONENT;

const DECIMAL = /^([+-]?)(\d*)(?:\.(\d*))?(?:e([+-]?\d+))?$/i;
/** Other signs that programs write for ASCII's minus: U+2212, hyphens and dashes, with their small and full-width forms. */
const MINUS = /[\u2010-\u2013\u2212\ufe58\ufe63\uff0d]/g;
/** Invisible characters, which come with text from web pages and spreadsheets. */
const UNSEEN = /\p{Cf}/gu;
const ASCII = /^[ -~]*$/;

/** An amount's text with ASCII's minus for every other, without invisible characters and blanks at its ends. */
export const plainSigns = (text: string): string =>
  (ASCII.test(text) ? text : text.replace(UNSEEN, '').replace(MINUS, '-')).trim();

/**
 * A decimal as programs print it (0.0125, -1, 1.2E-05, .5, 5., −1), without a plus sign, an exponent or leading zeros.
 * @returns undefined for a text that is no decimal; `too_long` for one beyond MAX_DIGITS or MAX_EXPONENT
 */
export function plainDecimal(text: string): string | 'too_long' | undefined {
  const match = DECIMAL.exec(plainSigns(text));
  if (!match) return undefined;
  const [, sign, written = '', fraction = '', exponent = '0'] = match;
  if (written === '' && fraction === '') return undefined;
  const whole = written.replace(/^0+/, '');
  // Zero is zero, whatever its exponent: 0E-50.
  const places = whole === '' && /^0*$/.test(fraction) ? 0 : Number(exponent);
  if (Math.max(whole.length, fraction.length) > MAX_PLACES || Math.abs(places) > MAX_EXPONENT)
    return 'too_long';
  const [before, behind] = shifted(whole, fraction, places);
  const digits = (before + behind).replace(/^0+|0+$/g, '');
  if (digits.length > MAX_DIGITS || Math.max(before.length, behind.length) > MAX_PLACES) return 'too_long';
  const isNought = digits === '';
  return `${sign === '-' && !isNought ? '-' : ''}${before || '0'}${behind && `.${behind}`}`;
}

/** Digits before and behind the point after a shift by `places`, to the right where they are positive. */
function shifted(whole: string, fraction: string, places: number): [before: string, behind: string] {
  if (places === 0) return [whole, fraction];
  if (places > 0) {
    const digits = whole + fraction.padEnd(places, '0');
    const point = whole.length + places;
    return [digits.slice(0, point).replace(/^0+/, ''), digits.slice(point)];
  }
  const digits = whole.padStart(-places, '0') + fraction;
  const point = Math.max(0, whole.length + places);
  return [digits.slice(0, point), digits.slice(point)];
}

/** A sum of amounts: `units` of 10 to the power of -`decimals`. */
export interface ExactSum {
  units: bigint;
  decimals: number;
}

/** Few amounts have more decimals, so most are added without a change of unit. */
const USUAL_DECIMALS = 12;

export const noSum = (): ExactSum => ({ units: 0n, decimals: USUAL_DECIMALS });

/** @param decimal as plainDecimal returns it */
export function addDecimal(sum: ExactSum, decimal: string): void {
  const point = decimal.indexOf('.');
  const fraction = point === -1 ? '' : decimal.slice(point + 1);
  const whole = point === -1 ? decimal : decimal.slice(0, point);
  if (fraction.length > sum.decimals) {
    sum.units *= 10n ** BigInt(fraction.length - sum.decimals);
    sum.decimals = fraction.length;
  }
  sum.units += BigInt(whole + fraction.padEnd(sum.decimals, '0'));
}

/** 12500000000000n of 12 decimals as "12.500000000000". */
export function sumText({ units, decimals }: ExactSum): string {
  const digits = (units < 0n ? -units : units).toString().padStart(decimals + 1, '0');
  const at = digits.length - decimals;
  return `${units < 0n ? '-' : ''}${digits.slice(0, at)}.${digits.slice(at)}`;
}

const US_PER_S = 1_000_000;

/** Microseconds as a decimal of seconds. */
export function decimalSeconds(us: number): string {
  return us % US_PER_S === 0 ? String(us / US_PER_S) : (us / US_PER_S).toFixed(6);
}
