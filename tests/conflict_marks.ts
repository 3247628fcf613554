/** Finds what git leaves in a file where two changes conflict. */

/**
 * Seven signs at the beginning of a line, or behind the signs of a comment. Of `=` exactly seven and nothing behind them, since
 * longer lines of them underline headings.
 */
const MARK =
  /^(?:\s*(?:\/\/|\/\*|\*|#|--|;|<!--|>)?\s*)(?:<{7}|>{7}|\|{7})(?:\s|$)|^(?:\s*(?:\/\/|\/?\*|#|--|;)?\s*)={7}\s*$/;

/** @returns the numbers of lines that are such a mark, from 1 */
export const conflictMarks = (text: string): number[] =>
  text.split('\n').flatMap((line, index) => (MARK.test(line) ? index + 1 : []));
