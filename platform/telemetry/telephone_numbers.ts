/**
 * Telephone numbers within texts: where they stand, and how they are masked. A text does not mark its numbers, so every
 * run of digits that looks like a number is masked, except runs that are known to be something else (an instant, an IPv4
 * address, a UUID, Asterisk's uniqueid).
 */
import { isIPv4 } from 'node:net';
import {
  DIGIT,
  type Digit,
  digitsIn,
  type Reading,
  readPlainly,
  type Span,
  starred,
} from './written_digits.ts';

/** Characters that people and switches put between the digits of a number, and invisible characters. */
const SEPARATOR = String.raw`[\p{Z}\p{Pd}\p{Pc}\p{Ps}\p{Pe}\p{Cf}\p{M}\t.,/\\|'’~·•‧∙⋅،٫٬、。．，／]`;
/** Five digits and more. Shorter runs are extensions. */
const DIGIT_RUN = new RegExp(
  [
    `${DIGIT}(?:${SEPARATOR}{0,5}${DIGIT}){4,}`,
    // The same separator each time: 4x9x3x0x2, 49<b>30<b>23<b>12<b>50.
    String.raw`${DIGIT}{1,4}(?<gap>[^${DIGIT.slice(1, -1)}]{1,6})${DIGIT}{1,4}(?:\k<gap>${DIGIT}{1,4}){3,}`,
  ].join('|'),
  'gu',
);
/** E.164 has at most 15 digits. A longer run holds more than a number. */
const LONGEST_NUMBER = 15;
/** A shorter run of digits in a log is more likely something else than a phone number. */
const SHORTEST_LOGGED = 7;

const NO_NUMBER = new RegExp(
  [
    // 2026-03-02, 2026-03-02 09:04:54.123+01:00
    String.raw`(?<!\d)(?:19|20)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?:[T ](?:[01]\d|2[0-4]):[0-5]\d(?::[0-6]\d(?:[.,]\d{1,9})?)?(?:Z| ?[+-](?:0\d|1[0-4]):?[0-5]\d)?)?(?!\d)`,
    String.raw`(?<![\w-])[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}(?![\w-])`,
    // Asterisk's uniqueid: seconds since 1970 and a number of its own. No number of ten digits begins with 1.
    String.raw`(?<![\d.])1\d{9}\.\d{1,9}(?![\d.])`,
  ].join('|'),
  'gi',
);

const spansOf = (pattern: RegExp, text: string): Span[] =>
  [...text.matchAll(pattern)].map(({ 0: found, index }) => ({ from: index, to: index + found.length }));

const isWithin = (from: number, to: number, spans: readonly Span[]): boolean =>
  spans.some((span) => span.from <= from && to <= span.to);

/** A run of digits that may be a number. */
export interface Run {
  readonly digits: readonly Digit[];
  /** Other characters stand between its digits. */
  readonly hasGaps: boolean;
  readonly isBehindPlus: boolean;
}

/** The runs of digits that may be numbers. */
export function numbersIn(reading: Reading): Run[] {
  let others: readonly Span[] | undefined;
  return [...reading.text.matchAll(DIGIT_RUN)].flatMap(({ 0: run, index: from }): Run[] => {
    const to = from + run.length;
    others ??= spansOf(NO_NUMBER, reading.text);
    if (isIPv4(run) || isWithin(from, to, others)) return [];
    const digits = digitsIn(reading, from, to);
    const hasGaps = digits.length !== [...run].length;
    return [{ digits, hasGaps, isBehindPlus: reading.text.slice(0, from).endsWith('+') }];
  });
}

/** Too short for a number, but perhaps the end of a number, as an extension is. */
const SHORT_RUNS = [String.raw`[\p{M}\p{Cf}]{0,3}`, `${SEPARATOR}{0,5}`].map(
  (gap) => new RegExp(`(?<!${DIGIT}${gap})${DIGIT}(?:${gap}${DIGIT}){2,5}(?!${gap}${DIGIT})`, 'gu'),
);
/** Places where the digits of a short run are known to be something else. */
const NO_END = new RegExp(
  [
    NO_NUMBER.source,
    String.raw`(?<!\d)\d\d:\d\d:\d\d(?:[.,]\d+)?(?!\d)`,
    // Addresses with their ports, and ports of names.
    String.raw`(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?::\d{2,5})?(?![\d.])`,
    String.raw`(?<![\w:])(?=[\da-f:]*::|(?:[\da-f]+:){7})(?:[\da-f]{0,4}:){2,7}[\da-f]{0,4}(?![\w:])`,
    String.raw`(?<=@[\w.-]{1,255}):\d{2,5}(?!\d)`,
    // Random words of digits and letters.
    String.raw`(?<![\da-f])(?=(?:\d*[a-f]+\d){3})[\da-f]{12,}(?![\da-f])`,
  ].join('|'),
  'gi',
);

/** All digits; the digits of an address or an instant are separate from the digits around it. */
export function digitsApart(reading: Reading): Digit[][] {
  const ends = spansOf(NO_END, reading.text).flatMap(({ from, to }) => [from, to]);
  const bounds = [0, ...ends, reading.text.length];
  return bounds.slice(1).map((to, at) => digitsIn(reading, bounds[at]!, to));
}

/** The runs of three to six digits that may be the end of a number, also glued to words (foo-5001, _5001_). */
export function shortRunsIn(reading: Reading): Digit[][] {
  const ends = reading.text.replace(NO_END, (found) => 'x'.repeat(found.length));
  return SHORT_RUNS.flatMap((pattern) => spansOf(pattern, ends)).map(({ from, to }) =>
    digitsIn(reading, from, to),
  );
}

const GROUP = new RegExp(`${DIGIT}+`, 'gu');
const IS_GAP = new RegExp(`^${SEPARATOR}{1,5}$`, 'u');
const SHORTEST_END = 3;
const LONGEST_END = 6;

/**
 * Every possible end of a number among spaced digits with other digits beside them (5 0 0 1 16): three to six digits
 * side by side, of whole groups. Finds more than `shortRunsIn`, which takes spaced digits for one run.
 */
export function perhapsEndsIn(reading: Reading): Digit[][] {
  const text = reading.text.replace(NO_END, (found) => 'x'.repeat(found.length));
  const groups = spansOf(GROUP, text).map((span) => ({
    ...span,
    digits: digitsIn(reading, span.from, span.to),
  }));
  return groups.flatMap((_, first) => {
    const found: Digit[][] = [];
    let digits: Digit[] = [];
    for (let at = first; at < groups.length; at++) {
      const group = groups[at]!;
      if (at > first && !IS_GAP.test(text.slice(groups[at - 1]!.to, group.from))) break;
      digits = [...digits, ...group.digits];
      if (digits.length > LONGEST_END) break;
      if (digits.length >= SHORTEST_END) found.push(digits);
    }
    return found;
  });
}

/**
 * A phone number that can be recognised but not dialled: the country and area stay, the end is starred except the
 * last two digits: +4930123456 gives +4930****56. A run of fewer than 5 digits is an extension and stays.
 * In an address (sip:, tel:, with parameters or a name) each run of digits is masked separately; other characters stay.
 */
export const maskNumber = (number: string): string => starred(number, hiddenOfNumber(readPlainly(number)));

/** The digits that `maskNumber` stars. */
export const hiddenOfNumber = (number: Reading): Digit[] => numbersIn(number).flatMap(hiddenOfRun);

function hiddenOfRun({ digits, hasGaps }: Run): Digit[] {
  const count = digits.length;
  // Where a run has gaps, or is too long, the number may end anywhere in it.
  const from = count > LONGEST_NUMBER || hasGaps ? (count < 8 ? 1 : 2) : count - 2 - Math.min(4, count - 3);
  return digits.slice(from, count - 2);
}

/**
 * The digits to hide of possible numbers in a text. A text does not show where a number begins and ends (a channel's
 * serial follows it after a hyphen), and one way of writing could show digits that another hides. So only the two digits of
 * the country behind a plus stay.
 */
export const hiddenOfText = (text: Reading): Digit[] =>
  numbersIn(text).flatMap(({ digits, isBehindPlus }) => digits.slice(isBehindPlus ? 2 : 0));

/** Stars every digit. */
export const starAllDigits = (text: string): string => starred(text, digitsIn(readPlainly(text)));

const INTERNATIONAL = new RegExp(
  String.raw`(?:\+|(?:sips?|tel):)${SEPARATOR}{0,5}${DIGIT}(?:${SEPARATOR}{0,5}${DIGIT}){6}`,
  'iu',
);

/** Whether a text holds a certain number: behind a plus, or as the user of a SIP address. */
export const holdsInternational = (text: string): boolean => INTERNATIONAL.test(readPlainly(text).text);

/** A key, a token or a cursor in the wrong place. */
const LONG_WORD = /[\w*-]{32,}/g;
const SHOWN_OF_LONG_WORD = 8;

const longRunsIn = (text: string): Run[] =>
  numbersIn(readPlainly(text)).filter(({ digits }) => digits.length >= SHORTEST_LOGGED);

/** A text for the log, with every word masked that is long enough to be a number or a key. */
export const masked = (text: string): string =>
  starred(text, longRunsIn(text).flatMap(hiddenOfRun)).replace(
    LONG_WORD,
    (word) => `${word.slice(0, SHOWN_OF_LONG_WORD)}…`,
  );

/** The ids of traces and of spans, and UUIDs: their digits stand close together and are no number. */
const RANDOM_ID = /^(?=.*[a-f])(?:[\da-f]{16}|[\da-f]{32}|[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12})$/i;

/** Whether a client's word may hold a phone number, so that it can't be logged unmasked. */
export const isTelling = (word: string): boolean => !RANDOM_ID.test(word) && longRunsIn(word).length > 0;
