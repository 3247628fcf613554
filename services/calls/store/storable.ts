/** Text as PostgreSQL can hold it. */

/** NUL, or half of a surrogate pair: alone the half is no character. Both halves of a good pair match too. */
const PERHAPS_NOT_STORABLE = /[\0\ud800-\udfff]/;

/**
 * PostgreSQL's text holds every character but NUL, and its jsonb no lone surrogate; U+FFFD, Unicode's replacement
 * character, stands for each. Clean text comes back as it is.
 */
export function storable(text: string): string {
  return PERHAPS_NOT_STORABLE.test(text) ? text.toWellFormed().replaceAll('\0', '\ufffd') : text;
}
