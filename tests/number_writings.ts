/** How a number's digits may be written so that people or programs still read them: for tests of what is masked. */
import fc from 'fast-check';

const inSigns = (signs: string) => {
  const ten = [...signs];
  return (digits: string) => digits.replace(/\d/g, (digit) => ten[Number(digit)]!);
};
const behindEach = (sign: string) => (digits: string) => digits.replace(/\d/g, (digit) => digit + sign);

const SIGNS: readonly ((digits: string) => string)[] = [
  (digits) => digits,
  inSigns('⁰¹²³⁴⁵⁶⁷⁸⁹'),
  inSigns('₀₁₂₃₄₅₆₇₈₉'),
  inSigns('⓪①②③④⑤⑥⑦⑧⑨'),
  inSigns('⓿❶❷❸❹❺❻❼❽❾'),
  inSigns('0➀➁➂➃➄➅➆➇➈'),
  inSigns('0⑴⑵⑶⑷⑸⑹⑺⑻⑼'),
  inSigns('🄀⒈⒉⒊⒋⒌⒍⒎⒏⒐'),
  inSigns('〇一二三四五六七八九'),
  inSigns('０１２３４５６７８９'),
  inSigns('०१२३४५६७८९'),
  inSigns('𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗'),
  inSigns('🯰🯱🯲🯳🯴🯵🯶🯷🯸🯹'),
  behindEach('\ufe0f\u20e3'),
  behindEach('\u0332'),
];

const bytes = (sign: string) => [...Buffer.from(sign)].map((byte) => byte.toString(16));
const code = (sign: string) => sign.codePointAt(0)!;
const units = (sign: string) =>
  sign.split('').map((unit) => unit.charCodeAt(0).toString(16).padStart(4, '0'));
const each = (write: (sign: string) => string) => (text: string) => [...text].map(write).join('');

const ESCAPES: readonly ((text: string) => string)[] = [
  each((sign) =>
    bytes(sign)
      .map((byte) => `%${byte}`)
      .join(''),
  ),
  each((sign) =>
    bytes(sign)
      .map((byte) => `%${byte.toUpperCase()}`)
      .join(''),
  ),
  each((sign) =>
    bytes(sign)
      .map((byte) => `=${byte.toUpperCase()}`)
      .join(''),
  ),
  each((sign) => `&#${code(sign)};`),
  each((sign) => `&#x${code(sign).toString(16)};`),
  each((sign) =>
    units(sign)
      .map((unit) => `\\u${unit}`)
      .join(''),
  ),
  each((sign) => `\\u{${code(sign).toString(16)}}`),
  each((sign) => `U+${code(sign).toString(16).padStart(4, '0')} `),
  (text) => text.replace(/\d/g, (digit) => `\\x${code(digit).toString(16)}`),
  (text) => text.replace(/\d/g, (digit) => `\\0${code(digit).toString(8)}`),
];
/** Once more, as a text within a text is escaped. */
const AGAIN: readonly ((text: string) => string)[] = [
  (text) => text.replaceAll('%', '%25'),
  (text) => text.replaceAll('%', '%2525'),
  (text) => text.replaceAll('&', '&amp;'),
  (text) => text.replaceAll('\\', '\\\\'),
  (text) => text.replaceAll('\\', '%5C'),
];
const plain = (text: string) => text;

const GLUED: readonly ((text: string) => string)[] = [
  plain,
  (text) => `foo-${text}`,
  (text) => `_${text}_`,
  (text) => `leg.${text}.b`,
  (text) => `ext${text}`,
  (text) => `${text}x`,
  (text) => `[${text}]`,
  (text) => `no=${text}&b`,
];

/**
 * A writing of a number's last digits; the argument is all of them.
 * @param lasts how many; 0: all
 */
export const oddWriting = (...lasts: number[]): fc.Arbitrary<(digits: string) => string> =>
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc
        .tuple(
          fc.constantFrom(...lasts),
          fc.constantFrom(...SIGNS),
          fc.oneof(fc.constant(plain), fc.constantFrom(...ESCAPES)),
          fc.oneof(fc.constant(plain), fc.constantFrom(...AGAIN)),
          fc.constantFrom(...GLUED),
        )
        .map(
          ([last, sign, escaped, again, glue]) =>
            (digits: string) =>
              glue(again(escaped(sign(digits.slice(-last))))),
        ),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(fc.constantFrom('base64', 'base64url'), fc.constantFrom('+', '{"tn":"', 'sip:'))
        .map(
          ([form, before]) =>
            (digits: string) =>
              Buffer.from(`${before}${digits}"}`).toString(form as 'base64'),
        ),
    },
  );
