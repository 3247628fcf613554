/**
 * Names that stand twice in an object of a JSON text. JSON.parse takes the last value, another reader the first, so the
 * right cost of a call can't be known. Only texts in which some name stands twice are walked; of others names are counted.
 */

import { isRawNumber } from './exact_json.ts';

/** The place of a name: the names of the objects around it, and its own. Arrays add nothing. */
export type NamePath = readonly string[];

/** A name and its colon. A quote within a text stands behind a backslash: the count may be too high, never too low. */
const NAMED = /"\s*:/g;
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]/gs;

/**
 * @param value what JSON.parse made of the text
 * @param matters whether a name must not stand twice at a place
 * @returns a name that does
 */
export function repeatedName(
  text: string,
  value: unknown,
  matters: (path: NamePath) => boolean,
): string | undefined {
  const written = text.match(NAMED)?.length ?? 0;
  return written === countNames(value) ? undefined : findRepeated(text, matters);
}

function countNames(value: unknown): number {
  if (typeof value !== 'object' || value === null || isRawNumber(value)) return 0;
  if (Array.isArray(value)) return value.reduce<number>((sum, entry) => sum + countNames(entry), 0);
  let count = 0;
  for (const name in value) count += 1 + countNames((value as Record<string, unknown>)[name]);
  return count;
}

function findRepeated(text: string, matters: (path: NamePath) => boolean): string | undefined {
  /** The open objects and arrays: the names of an object, and the name whose value comes next. */
  const open: { readonly names: Set<string> | null; name: string | undefined }[] = [];
  let last = '';
  for (const [token] of text.matchAll(TOKEN)) {
    const inner = open.at(-1);
    if (token === '{' || token === '[')
      open.push({ names: token === '{' ? new Set() : null, name: undefined });
    else if (token === '}' || token === ']') open.pop();
    else if (token === ':' && inner?.names) {
      const name = JSON.parse(last) as string;
      inner.name = name;
      const { size } = inner.names;
      if (inner.names.add(name).size === size) {
        const path = open.flatMap((one) => (one.names ? [one.name!] : []));
        if (matters(path)) return name;
      }
    }
    last = token;
  }
  return undefined;
}
