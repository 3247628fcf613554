/**
 * JSON whose numbers keep their last digit. `JSON.parse` makes a double of each number, which holds 15 digits for sure:
 * 0.033333333333333333 and 12345678901234567890 come out as other numbers.
 */

/** A number that no double represents, as written. `JSON.stringify` writes it in the same way. */
export interface RawNumber {
  readonly rawJSON: string;
}

/** ECMAScript's JSON.parse source text access, which Node has and TypeScript's library does not. */
const json = JSON as unknown as {
  parse(
    text: string,
    reviver?: (key: string, value: unknown, context: { readonly source: string }) => unknown,
  ): unknown;
  rawJSON(text: string): RawNumber;
  isRawJSON(value: unknown): value is RawNumber;
};

/** A number of 16 digits or more, or with an exponent. A match within a text is a false alarm. */
const PERHAPS_INEXACT = /[:[,]\s*-?\d(?:[\d.]{15}|[\d.]*e)/i;
const SURE_LENGTH = 15;
/** No double in full is longer. The limit avoids a comparison of digits in quadratic time. */
const LONGEST_DOUBLE = 1_100;

/**
 * Like JSON.parse, except for numbers with more digits than a double holds: those become RawNumbers.
 * @throws SyntaxError as JSON.parse does
 */
export function parseExactJson(text: string): unknown {
  // A reviver makes parsing some eight times slower, so it is used only where it may be needed.
  if (!PERHAPS_INEXACT.test(text)) return JSON.parse(text);
  return json.parse(text, (_, value, { source }) =>
    typeof value === 'number' && isInexact(value, source) ? json.rawJSON(source) : value,
  );
}

export const isRawNumber = json.isRawJSON;

/** A whole number from here on that has an exponent has lost digits, even where it is equal to a double. */
const CUT_FROM = 1e6;
/** JavaScript itself writes an exponent from here on. */
const CUT_BELOW = 1e21;

/** A JSON number's digits. Undefined for a text that is no number. */
export function numberText(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value);
  return isRawNumber(value) ? value.rawJSON : undefined;
}

function isInexact(value: number, source: string): boolean {
  if (source.length > LONGEST_DOUBLE) return true;
  const hasPower = /e/i.test(source);
  if (source.length <= SURE_LENGTH && !hasPower) return false;
  if (hasPower && Math.abs(value) >= CUT_FROM && Math.abs(value) < CUT_BELOW) return true;
  return !Number.isFinite(value) || significant(String(value)) !== significant(source);
}

/** Digits and the place of the point, however written: 1.20e3, 1200 and 1200.0 are the same. */
function significant(decimal: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i.exec(decimal) ?? [];
  const all = whole + fraction;
  const digits = all.replace(/^0+/, '');
  if (digits === '') return '0';
  const point = whole.length + Number(exponent) - (all.length - digits.length);
  return `${sign}${digits.replace(/0+$/, '')}e${point}`;
}
