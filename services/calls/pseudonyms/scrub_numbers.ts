/**
 * Finds a telephone number in any text, in every writing that the reader of numbers (numbers.ts) reads as it, and puts its
 * pseudonym there: whole values first, with what stands around the number in them (a caller's name); else every part of
 * the text that is read as it. Digits of other scripts and escapes (%2B49, &#52;, \u0034, base64) are read as they are where
 * numbers are masked.
 *
 * A part begins and ends where digits do, or at a gap between them. Where one text can be read as the number and as a longer one
 * (+493023125001 12), it is taken for the number: what is lost is a word of a description, and what is kept could be the number.
 */
import { DIGIT, digitsIn, type Reading, readPlainly } from '#platform/telemetry/written_digits.ts';
import { createNumberReader, type NormalizedNumber } from '../numbers.ts';

/** What takes the place of a number in E.164; undefined: it stays. */
export type PseudonymOf = (number: string, country: string | null) => string | undefined;

/** What stands in a text in the place of that which goes. */
export type Scrub = (text: string) => string;

const reader = createNumberReader();

/** Shorter ones are no subscriber's. */
const LEAST_DIGITS = 7;
/** E.164's fifteen, behind the way abroad. */
const MOST_DIGITS = 21;
const MOST_E164 = 15;
const LONGEST_VALUE = 128;
const GAP = String.raw`[\p{Z}\p{Pd}\p{Pc}\p{Ps}\p{Pe}\p{Cf}\p{M}\t./\\|'’~·•‧∙⋅،٫٬、。．，／]{0,5}`;
const RUN = new RegExp(`${DIGIT}(?:${GAP}${DIGIT}){${LEAST_DIGITS - 1},}`, 'gu');
const ODD = new RegExp(`(?![0-9])${DIGIT}`, 'u');

/**
 * @param countries by whose rules national numbers are read: that of the account whose call it is; all there are where it is
 *   nobody's
 */
export function scrubNumbers(countries: readonly (string | null)[], pseudonymOf: PseudonymOf): Scrub {
  const read = (text: string): NormalizedNumber[] =>
    countries.map((country) => reader.read(text, country)).filter(({ number }) => number.startsWith('+'));
  const pseudonym = (text: string): string | undefined => {
    for (const { number, country } of read(text)) {
      const found = pseudonymOf(number, country);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return (text) => {
    if (text.length <= LONGEST_VALUE) {
      const whole = pseudonym(text);
      if (whole !== undefined) return whole;
    }
    return replaceParts(text, pseudonym, (part) => read(part).length > 0);
  };
}

/** A digit in a text without escapes. */
interface Place {
  readonly from: number;
  readonly to: number;
  readonly value: string;
}

function replaceParts(
  text: string,
  pseudonym: (part: string) => string | undefined,
  isNumber: (part: string) => boolean,
): string {
  const reading = readPlainly(text);
  let out = '';
  let at = 0;
  for (const run of reading.text.matchAll(RUN)) {
    const places = placesIn(reading, run.index, run.index + run[0].length);
    let from = 0;
    // Where a number ends, another does not end as well that begins within it.
    const ends = new Set<number>();
    for (; from <= places.length - LEAST_DIGITS; from++) {
      if (!mayBegin(places, from)) continue;
      const found = partFrom(reading, places, from, ends, pseudonym, isNumber);
      if (!found) continue;
      const plus = reading.text[places[from]!.from - 1] === '+' ? 1 : 0;
      const span = reading.spanOf(places[from]!.from - plus, places[found.last]!.to);
      out += text.slice(at, Math.max(at, span.from)) + found.pseudonym;
      at = span.to;
      from = found.last;
    }
  }
  return at === 0 ? text : out + text.slice(at);
}

function partFrom(
  reading: Reading,
  places: readonly Place[],
  from: number,
  ends: Set<number>,
  pseudonym: (part: string) => string | undefined,
  isNumber: (part: string) => boolean,
): { last: number; pseudonym: string } | undefined {
  const behindPlus = reading.text[places[from]!.from - 1] === '+';
  for (let last = Math.min(places.length, from + MOST_DIGITS) - 1; last >= from + LEAST_DIGITS - 1; last--) {
    if (ends.has(last) || !isGapBehind(places, last)) continue;
    const written = reading.text.slice(places[from]!.from, places[last]!.to);
    const digits = places
      .slice(from, last + 1)
      .map(({ value }) => value)
      .join('');
    const plus = behindPlus ? '+' : '';
    const forms = new Set(ODD.test(written) ? [plus + digits] : [plus + written, plus + digits]);
    for (const form of forms) {
      const found = pseudonym(form);
      if (found !== undefined) return { last, pseudonym: found };
    }
    if ([...forms].some(isNumber)) ends.add(last);
  }
  return undefined;
}

function placesIn(reading: Reading, from: number, to: number): Place[] {
  const places: Place[] = [];
  let at = from;
  for (const sign of reading.text.slice(from, to)) {
    const end = at + sign.length;
    for (const { value } of digitsIn(reading, at, end)) places.push({ from: at, to: end, value });
    at = end;
  }
  return places;
}

const isGapBehind = (places: readonly Place[], index: number): boolean =>
  index === places.length - 1 || places[index + 1]!.from > places[index]!.to;

/** At a gap; anywhere where more digits stand side by side than a number has, as behind an instant. */
function mayBegin(places: readonly Place[], index: number): boolean {
  if (index === 0 || isGapBehind(places, index - 1)) return true;
  let first = index;
  while (first > 0 && !isGapBehind(places, first - 1)) first--;
  let last = index;
  while (!isGapBehind(places, last)) last++;
  return last - first >= MOST_E164;
}
