/**
 * What `cli` and `cld` ask for: one number, or all numbers that begin with the same characters.
 *
 *   +4930123456   that number         +4930*   numbers of Berlin
 *   \*100         the number *100     \*1*     numbers that begin with *1
 *
 * Feature codes have stars of their own, so a star that is meant as one is written \*, and a backslash \\.
 */

export type NumberPattern =
  | { readonly kind: 'exact'; readonly number: string }
  /** In the order of bytes (COLLATE "C"): from ≤ number < below. */
  | { readonly kind: 'prefix'; readonly from: string; readonly below: string };

export type ReadPattern = NumberPattern | { readonly kind: 'bad'; readonly reason: string };

/** Reads the text of a query parameter, after URL decoding. */
export function readNumberPattern(text: string): ReadPattern {
  let literal = '';
  let star = false;
  // A + that was not written as %2B arrives as a blank, and no number begins with one.
  const written = text.startsWith(' ') ? `+${text.slice(1)}` : text;
  const characters = [...written];
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at]!;
    if (character === '\\') {
      const next = characters[++at];
      if (next !== '*' && next !== '\\') return bad('has a \\ that stands before neither * nor \\');
      literal += next;
    } else if (character === '*') {
      if (at < characters.length - 1) {
        return bad('may have a * at its end only, for a prefix; a star of the number itself is written \\*');
      }
      star = true;
    } else {
      literal += character;
    }
  }
  if (literal === '') return bad('needs at least one character of the number');
  if (!star) return { kind: 'exact', number: literal };
  const below = firstBeyond(literal);
  return below === undefined ? bad('is no number') : { kind: 'prefix', from: literal, below };
}

/** The smallest text, in the order of code points, that is greater than every text that begins with `prefix`. */
function firstBeyond(prefix: string): string | undefined {
  const characters = [...prefix];
  for (let last = characters.pop(); last !== undefined; last = characters.pop()) {
    const code = last.codePointAt(0)!;
    // Past the last code point there is nothing: the character before it has to give.
    if (code === 0x10ffff) continue;
    return characters.join('') + String.fromCodePoint(code === 0xd7ff ? 0xe000 : code + 1);
  }
  return undefined;
}

function bad(reason: string): ReadPattern {
  return { kind: 'bad', reason };
}
