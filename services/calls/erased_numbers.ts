/**
 * The pseudonym of an erased telephone number: `erased-de-abcdefghijklmnopabcd`. The same number always has the same
 * pseudonym, so that its calls can be counted. The pseudonym keeps the country, so sums by country stay. It has no digits,
 * so it is never taken for a number, and never masked.
 */
const ERASED_NUMBER = /^erased-([a-z]{2})-[a-p]{20}$/;
/** For numbers of no country. */
const NO_COUNTRY = 'xx';

/** @param letters 20 of a to p (pseudonyms/pseudonyms.ts) */
export const erasedNumber = (letters: string, country: string | null): string =>
  `erased-${country?.toLowerCase() ?? NO_COUNTRY}-${letters}`;

/** Its country, null where it has none. Undefined: the text is no erased number. */
export function countryOfErased(text: string): string | null | undefined {
  const country = ERASED_NUMBER.exec(text)?.[1];
  return country === NO_COUNTRY ? null : country?.toUpperCase();
}
