/** Adapts a reason's advice to a post: reasons are written for the command line, and a post's sender has none. */
import { PostQuery } from '../../contract.ts';

/** A quotation from a record is no advice. */
const QUOTED = /"(?:[^"\\]|\\.)*"/g;
const COMMAND = /\btrunkline [a-z]/;
const OPTION = /--(?<name>[a-z]+(?:-[a-z]+)*)(?: (?<word>[a-z]+)\b)?/g;

/** The advice for a record, in place of a file's option. */
const INSTEAD: Readonly<Record<string, string>> = {
  'date-order': 'write it in RFC 3339 with its zone',
  'time-zone': 'write it in RFC 3339 with its zone',
  'decimal-sign': 'write a point for the decimal sign',
  account: 'name it in `account`',
};

/**
 * A reason for the answer to a post. An option that the post has too becomes its query parameter. Advice of another option
 * becomes advice for a record. Advice of a command is left out.
 * @example adviceForPost('No account has the code "x"; add it, or use --create-accounts')
 */
export function adviceForPost(reason: string): string {
  const quoted: string[] = [];
  const bare = reason.replace(QUOTED, (text) => `"${quoted.push(text) - 1}"`);
  const parts = bare.split('; ').map((part) => {
    const said = part.replace(OPTION, parameterOf);
    const [option] = [...said.matchAll(OPTION)];
    if (option === undefined) return COMMAND.test(said) ? undefined : said;
    return INSTEAD[option.groups!.name!];
  });
  const kept = [...new Set(parts)].filter((part) => part !== undefined);
  return kept.join('; ').replace(QUOTED, (place) => quoted[Number(place.slice(1, -1))]!);
}

/** `--on-conflict replace` as `?on_conflict=replace`, `--credits or` as `?credits=true or`; what a post does not have stays. */
function parameterOf(option: string, name: string, word: string | undefined): string {
  const parameter = name.replaceAll('-', '_');
  if (!Object.hasOwn(PostQuery.properties, parameter)) return option;
  const schema = PostQuery.properties[parameter as keyof typeof PostQuery.properties];
  if (!('enum' in schema)) return `?${parameter}=true${word === undefined ? '' : ` ${word}`}`;
  return `?${parameter}=${word}`;
}
