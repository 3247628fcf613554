/**
 * Text that is safe to show: no control characters, which move a terminal's cursor, change its title or type into it, and
 * nothing that turns the order of what is read around (bidi overrides; https://trojansource.codes) or is not seen at all.
 */

const UNPRINTABLE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}\p{Cs}]/u;
const ALL = new RegExp(UNPRINTABLE, 'gu');

/** Whether a name may be kept as it is. */
export const isPrintable = (text: string): boolean => !UNPRINTABLE.test(text);

const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** A text in one line, in which what is not printable is seen: \x1b, \u202e. */
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

/** JSON says the same with these escaped, line ends between its values excepted. */
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
