/**
 * What stands in the place of a telephone number that was erased: `erased-de-abcdefghijklmnopabcd`. The same number has the
 * same one, so that calls can be counted by it; its country stays, so that sums by country do. It has no digits, so nobody takes it for
 * a number, and nothing of it is masked.
 */
const ERASED_NUMBER = /^erased-([a-z]{2})-[a-p]{20}$/;
/** Of numbers that belong to no country. */
const NO_COUNTRY = 'xx';

/** @param letters 20 of a to p (pseudonyms/pseudonyms.ts) */
export const erasedNumber = (letters: string, country: string | null): string =>
  `erased-${country?.toLowerCase() ?? NO_COUNTRY}-${letters}`;

/** Its country, null where it has none; undefined: it is no erased number. */
export function countryOfErased(text: string): string | null | undefined {
  const country = ERASED_NUMBER.exec(text)?.[1];
  return country === NO_COUNTRY ? null : country?.toUpperCase();
}
