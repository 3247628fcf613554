/**
 * The digits of a text in every way of writing: in any script, in circles, small and high; escaped as in addresses (%34), markup
 * (&#52;), programs (\u0034, \x34) and mail (=34), also several times over; in base64, as in SIP's Identity header.
 *
 * A reading is the text without its escapes. The reading knows the place of each of its characters in the original text, so that
 * they can be starred there. Text that only looks like an escape costs at most the digits in it.
 */

/** Part of a text as written, in UTF-16 units. */
export interface Span {
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
}

export interface Reading {
  readonly text: string;
  /** The original part of the text for the units from `from` to before `to`. */
  spanOf(from: number, to: number): Span;
}

export interface Digit extends Span {
  readonly value: string;
}

/** Signs that have digits for a value, but are no decimal digits of Unicode; and the first value of their rows. */
const ROWS: readonly [signs: string, first: number][] = [
  ['\u24eb-\u24f4', 11],
  ['\u24f5-\u24fe', 1],
  ['\u24ff', 0],
  ['\u2776-\u277f', 1],
  ['\u2780-\u2789', 1],
  ['\u278a-\u2793', 1],
  ['\u{1f10b}', 0],
  ['\u{1f10c}', 0],
  ['\u1369-\u1371', 1],
  ['\u3021-\u3029', 1],
];
const IDEOGRAPHS = '〇一二三四五六七八九';
const COMPATIBLE = '²³¹⁰⁴-⁹₀-₉\u2460-\u249b⓪\u3251-\u325f\u32b1-\u32bf\u{1f100}-\u{1f10a}';
const ODD_DIGITS = `${ROWS.map(([signs]) => signs).join('')}${IDEOGRAPHS}零${COMPATIBLE}`;

/** A digit, as a part of a regular expression with the flag u. */
export const DIGIT = String.raw`[\p{Nd}${ODD_DIGITS}]`;
const DIGITS = new RegExp(DIGIT, 'gu');
/** Whether there are enough digits to reveal a part of a number. */
export const HAS_DIGITS = new RegExp(`(?:${DIGIT}[^]*?){3}`, 'u');
/** Digits that are no decimal digits; PostgreSQL's regular expressions read this pattern too. */
export const ODD_DIGIT = `[${ODD_DIGITS}]`;

/** The digits that a sign stands for; one of `DIGIT`. */
function digitsOf(sign: string): string {
  const code = sign.codePointAt(0)!;
  if (code <= 0x39) return sign;
  const latin = sign.normalize('NFKC');
  if (latin !== sign) return latin.replace(/\D/g, '');
  if (sign === '零') return '0';
  const ideograph = IDEOGRAPHS.indexOf(sign);
  if (ideograph !== -1) return String(ideograph);
  for (const [signs, first] of ROWS) {
    const from = signs.codePointAt(0)!;
    if (code >= from && code - from < 10 && new RegExp(`[${signs}]`, 'u').test(sign))
      return String(first + code - from);
  }
  return String(digitValue(sign));
}

/** The value of a decimal digit, of any script. Digits of a script stand side by side from 0 to 9. */
export function digitValue(digit: string): number {
  const code = digit.codePointAt(0)!;
  if (code <= 0x39) return code - 0x30;
  const latin = digit.normalize('NFKC');
  if (latin !== digit) return digitValue(latin);
  let value = 0;
  while (value < 9 && /^\p{Nd}$/u.test(String.fromCodePoint(code - value - 1))) value++;
  return value;
}

/** The digits of a reading, or of its units from `from` to before `to`; signs such as ⑫ give two digits at one place. */
export function digitsIn(reading: Reading, from = 0, to = reading.text.length): Digit[] {
  const found: Digit[] = [];
  for (const { 0: sign, index } of reading.text.slice(from, to).matchAll(DIGITS)) {
    const span = reading.spanOf(from + index, from + index + sign.length);
    for (const value of digitsOf(sign)) found.push({ value, ...span });
  }
  return found;
}

const HEX = '[\\da-fA-F]';
const ESCAPE = new RegExp(
  [
    // A character in UTF-8, as in addresses; or a byte of something else.
    `%(?:[cdCD]${HEX}%${HEX}{2}|[eE]${HEX}(?:%${HEX}{2}){2}|[fF][0-4](?:%${HEX}{2}){3}|${HEX}{2})`,
    // Mail's escape; but x=50 is a value more often than a letter.
    '(?:=[0-9A-F]{2}){3,}',
    String.raw`&#\d{1,7};?`,
    `&#[xX]${HEX}{1,6};?`,
    '&[A-Za-z]{2,8};',
    String.raw`\\[uU](?:0000${HEX}{4}|${HEX}{4}|\{${HEX}{1,6}\})`,
    `U[+](?:1${HEX}{4}|${HEX}{4})`,
    String.raw`\\[xX]${HEX}{2}`,
    String.raw`\\0?(?:6[0-7]|7[01])`,
    // A text that was escaped once more.
    String.raw`\\\\`,
  ].join('|'),
  'g',
);
const SHORTEST_BASE64 = 8;
const BASE64_WORD = new RegExp(`[\\w+/-]{${SHORTEST_BASE64},}`, 'g');
const MAY_ESCAPE = /[%=&\\]|U\+|[MNO][DTjz][AEIMQUYcgk][w-z0-5]/;
/** Three digits side by side in base64: the first three bytes of four characters. */
export const DIGITS_IN_BASE64 = /[MNO][DTjz][AEIMQUYcgk][w-z0-5]/;
/** A digit that is escaped so many times takes half a line. */
const MAX_LAYERS = 8;

/** A text without its escapes, including escapes within escapes. */
export function readPlainly(text: string): Reading {
  let reading: Reading = { text, spanOf: (from, to) => ({ from, to }) };
  for (let layer = 0; layer < MAX_LAYERS; layer++) {
    if (!MAY_ESCAPE.test(reading.text)) break;
    const next = unescaped(reading, ESCAPE) ?? unescaped(reading, BASE64_WORD);
    if (next === null) break;
    reading = next;
  }
  return reading;
}

/** null: nothing in the text looks like an escape. */
function unescaped(reading: Reading, escapes: RegExp): Reading | null {
  const { text } = reading;
  let plain = '';
  const spans: Span[] = [];
  const add = (signs: string, spanOf: (unit: number) => Span) => {
    for (let unit = 0; unit < signs.length; unit++) spans.push(spanOf(unit));
    plain += signs;
  };
  let at = 0;
  const copyUpTo = (end: number) => {
    const from = at;
    add(text.slice(from, end), (unit) => reading.spanOf(from + unit, from + unit + 1));
    at = end;
  };
  for (const { 0: written, index } of text.matchAll(escapes)) {
    const read = signsOf(written);
    if (read === null) continue;
    const end = index + written.length;
    copyUpTo(index + read.skipped);
    const span = reading.spanOf(at, end);
    add(read.signs, () => span);
    at = end;
  }
  if (at === 0) return null;
  copyUpTo(text.length);
  return {
    text: plain,
    spanOf: (from, to) => ({ from: spans[from]!.from, to: spans[to - 1]!.to }),
  };
}

/** The characters of an escape, and the length of a prefix that is no part of it; null: the text is no escape. */
function signsOf(written: string): { signs: string; skipped: number } | null {
  const sign = (code: number) => (code > 0x10ffff ? null : { signs: String.fromCodePoint(code), skipped: 0 });
  const hex = () => sign(Number.parseInt(written.replace(/[^\da-fA-F]/g, ''), 16));
  switch (written[0]) {
    case '%':
    case '=':
      return {
        signs: Buffer.from(written.slice(1).replaceAll(written[0], ''), 'hex').toString(),
        skipped: 0,
      };
    case '&':
      if (written[1] !== '#') return { signs: written === '&amp;' ? '&' : ' ', skipped: 0 };
      return /x/i.test(written) ? hex() : sign(Number.parseInt(written.slice(2), 10));
    case '\\':
      if (written === '\\\\') return { signs: '\\', skipped: 0 };
      return /\d/.test(written[1]!) ? sign(Number.parseInt(written.slice(1), 8)) : hex();
    default:
      return written.length < SHORTEST_BASE64 ? hex() : fromBase64(written);
  }
}

function fromBase64(word: string): { signs: string; skipped: number } | null {
  const found = DIGITS_IN_BASE64.exec(word);
  if (!found) return null;
  // Four characters stand for three bytes; a prefix shifts them.
  const skipped = found.index % 4;
  const signs = Buffer.from(word.slice(skipped), 'base64').toString();
  return /[\p{Cc}\ufffd]/u.test(signs.replace(/[\t\r\n]/g, '')) ? null : { signs, skipped };
}

/** A text with a star for each of these parts. */
export function starred(text: string, spans: readonly Span[]): string {
  let out = '';
  let at = 0;
  for (const { from, to } of [...spans].sort((a, b) => a.from - b.from || b.to - a.to)) {
    if (from < at) continue;
    out += `${text.slice(at, from)}*`;
    at = to;
  }
  return out + text.slice(at);
}
