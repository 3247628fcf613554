/**
 * Finds an account's code as a word in any text, and puts its pseudonym there. Codes of other accounts that hold it (acme-berlin, where
 * acme goes) stay.
 */
import type { Scrub } from './scrub_numbers.ts';

/** Of so few characters, or fewer digits than this, a word is too often something else: a floor, an extension, a year. */
const LEAST_CHARACTERS = 4;
const LEAST_DIGITS = 6;

/** Whether a word in some text that is the same as the code can be taken for it. */
export const isTelling = (code: string): boolean =>
  /\p{L}/u.test(code) ? code.length >= LEAST_CHARACTERS : code.length >= LEAST_DIGITS;

/**
 * @param codes telling ones
 * @param others texts that stay where they stand, although they hold one of the codes
 */
export function scrubCodes(codes: readonly string[], others: readonly string[], pseudonym: string): Scrub {
  if (codes.length === 0) return (text) => text;
  const word = (texts: readonly string[]) =>
    texts
      .toSorted((a, b) => b.length - a.length)
      .map((text) => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&'))
      .join('|');
  const stays = others.length === 0 ? '(?!)' : word(others);
  const pattern = new RegExp(`(?<![\\p{L}\\p{N}])(?:(${stays})|(?:${word(codes)}))(?![\\p{L}\\p{N}])`, 'gu');
  return (text) =>
    text.replace(pattern, (found, stay: string | undefined) => (stay === undefined ? pseudonym : found));
}
