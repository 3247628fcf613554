/** Advice in an answer: reasons are written for the command line, and a post's sender has no command line. */
import { PostQuery } from '../../contract.ts';

/** What a reason quotes from a record is no advice, whatever it says. */
const QUOTED = /"(?:[^"\\]|\\.)*"/g;
const COMMAND = /\btrunkline [a-z]/;
const OPTION = /--(?<name>[a-z]+(?:-[a-z]+)*)(?: (?<word>[a-z]+)\b)?/g;

/** What a record does where a file has an option for its reading. */
const INSTEAD: Readonly<Record<string, string>> = {
  'date-order': 'write it in RFC 3339 with its zone',
  'time-zone': 'write it in RFC 3339 with its zone',
  'decimal-sign': 'write a point for the decimal sign',
  account: 'name it in `account`',
};

/**
 * A reason as the answer to a post says it: an option that the post has too stands as its query parameter; advice of
 * other options gives way to what a record can do, and that of commands is left out.
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
