/** Text that PostgreSQL can store. */

/** NUL, or half of a surrogate pair, which is no character alone. Both halves of a good pair match too. */
const PERHAPS_NOT_STORABLE = /[\0\ud800-\udfff]/;

/**
 * PostgreSQL's text can store every character but NUL, and its jsonb no lone surrogate. Each becomes U+FFFD, Unicode's replacement
 * character. Clean text is returned unchanged.
 */
export function storable(text: string): string {
  return PERHAPS_NOT_STORABLE.test(text) ? text.toWellFormed().replaceAll('\0', '\ufffd') : text;
}
