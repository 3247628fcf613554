/**
 * The search patterns of `cli` and `cld`: one number, or all numbers that begin with the same characters.
 *
 *   +4930123456   that number         +4930*   numbers of Berlin
 *   \*100         the number *100     \*1*     numbers that begin with *1
 *
 * Feature codes have stars of their own, so a star of the number itself is written \*, and a backslash \\.
 *
 * A number finds a call if an answer shows the number, as `cli` or as `cli_in`, or if both have the same E.164 form. The
 * parser that stored the call makes that form, for the account's country (numbers.ts). For an account of Germany,
 * 030 23125001, 0049 30 23125001 and +493023125001 are one number.
 */
import type { NumberReader } from './numbers.ts';

export type NumberPattern = { readonly kind: 'exact' | 'prefix'; readonly text: string };

export type ReadPattern = NumberPattern | { readonly kind: 'bad'; readonly reason: string };

/** Texts with the same beginning, in the order of bytes (COLLATE "C"): from ≤ number < below. */
export interface Range {
  readonly from: string;
  readonly below: string;
}

/** The search. */
export type NumberSearch =
  /** `stored` in cli, `written` in cli_in; or cld. */
  | { readonly kind: 'exact'; readonly stored: readonly string[]; readonly written: readonly string[] }
  | { readonly kind: 'prefix'; readonly stored: readonly Range[]; readonly written: readonly Range[] };

const E164 = /^\+\d+$/;

/** Parses the text of a query parameter, after URL decoding. */
export function readNumberPattern(text: string): ReadPattern {
  let literal = '';
  let star = false;
  const characters = [...text];
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
  if (star && firstBeyond(literal) === undefined) return bad('is no number');
  return { kind: star ? 'prefix' : 'exact', text: literal };
}

/**
 * The meaning of a pattern for an account.
 * @param country the account's, ISO 3166-1 alpha-2. Null: unknown
 */
export function searchFor(
  pattern: NumberPattern,
  reader: NumberReader,
  country: string | null,
): NumberSearch {
  const texts = meanings(pattern.text);
  if (pattern.kind === 'exact') {
    const stored = texts.flatMap((text) => [reader.read(text, country).number, text]);
    // A number in E.164 is stored as written.
    const written = texts.filter((text) => !(E164.test(text) && reader.read(text, country).number === text));
    return { kind: 'exact', stored: [...new Set(stored)], written };
  }
  const read = texts.flatMap((text) => reader.readBegin(text, country) ?? []);
  return {
    kind: 'prefix',
    stored: [...new Set([...read, ...texts])].map(rangeOf),
    written: texts.map(rangeOf),
  };
}

/** A + that was not written as %2B arrives as a blank. The number may also stand in the call with a blank in front. */
const meanings = (text: string): string[] => (text.startsWith(' ') ? [`+${text.slice(1)}`, text] : [text]);

const rangeOf = (from: string): Range => ({ from, below: firstBeyond(from)! });

/** The smallest text, in the order of code points, that is greater than every text that begins with `prefix`. */
function firstBeyond(prefix: string): string | undefined {
  const characters = [...prefix];
  for (let last = characters.pop(); last !== undefined; last = characters.pop()) {
    const code = last.codePointAt(0)!;
    // The last code point has no successor: the character before it must grow.
    if (code === 0x10ffff) continue;
    return characters.join('') + String.fromCodePoint(code === 0xd7ff ? 0xe000 : code + 1);
  }
  return undefined;
}

function bad(reason: string): ReadPattern {
  return { kind: 'bad', reason };
}
