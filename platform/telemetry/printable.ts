/**
 * Text that is safe to show. It has no control characters, which move a terminal's cursor, change its title or type into
 * it. It has no characters that change the order of the text around them (bidi overrides; https://trojansource.codes), and
 * no invisible ones.
 */

const UNPRINTABLE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern looks for control characters
  /[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}\p{Cs}]/u;
const ALL = new RegExp(UNPRINTABLE, 'gu');

/** Whether a name may be kept as it is. */
export const isPrintable = (text: string): boolean => !UNPRINTABLE.test(text);

const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** A text in one line, with its unprintable characters escaped: \x1b, \u202e. */
export function printable(text: string): string {
  return UNPRINTABLE.test(text)
    ? text.replace(ALL, (character) => NAMED[character] ?? escaped(character))
    : text;
}

function escaped(character: string): string {
  const code = character.codePointAt(0)!.toString(16);
  if (code.length <= 2) return `\\x${code.padStart(2, '0')}`;
  return code.length <= 4 ? `\\u${code.padStart(4, '0')}` : `\\u{${code}}`;
}

/** JSON keeps its value with these characters escaped, except line ends between its values. */
export function printableJson(json: string): string {
  return json.replace(ALL, (character) =>
    character === '\n'
      ? character
      : character
          .split('')
          .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
          .join(''),
  );
}
