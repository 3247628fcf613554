/**
 * The followed sources: the entries of CALLS_SOURCES, a JSON array. The array is parsed whole and strictly, and all faults
 * are reported at once: a source that is read with wrong options would store calls at wrong times.
 */
import { isAbsolute, resolve } from 'node:path';
import { DECIMAL_SIGNS, type DecimalSign } from '../formats/decimal_marks.ts';
import { FORMATS, type FormatName } from '../formats/formats.ts';
import { repeatedName } from '../formats/repeated_names.ts';
import type { SameCallOptions } from '../intake/import_source.ts';

/** What happens to a document in a followed folder once its rows are committed. */
export type After =
  | { readonly kind: 'keep' }
  | { readonly kind: 'move'; readonly folder: string }
  | { readonly kind: 'delete' };

/** A file that grows, or a folder into which documents are dropped, with the options for its rows. */
export interface FollowedSource {
  /** Absolute. The path need not exist yet. */
  readonly path: string;
  /** The zone of stamps without a zone, and of accounts that are created. */
  readonly timeZone: string;
  readonly after: After;
  /** Undefined: detected from the content. */
  readonly format: FormatName | undefined;
  /** The switch's name, where several write the same kind of file. Undefined: the format's family. */
  readonly source: string | undefined;
  /** Account code for rows that name none. */
  readonly account: string | undefined;
  /** The source's field that names the account. */
  readonly accountFrom: string | undefined;
  /** Name of a remembered mapping. */
  readonly mapName: string | undefined;
  readonly dateOrder: 'ymd' | 'dmy' | 'mdy' | undefined;
  readonly decimalSign: DecimalSign | undefined;
  /** Dialplan contexts of incoming calls. */
  readonly inboundContext: RegExp | undefined;
  /** Costs below 0 are money. */
  readonly credits: boolean;
  readonly sameCall: SameCallOptions;
  readonly createAccounts: boolean;
  /** For accounts that are created. Undefined: no country, and DEFAULT_CURRENCY. */
  readonly country: string | undefined;
  readonly currency: string | undefined;
}

/** A key's parser: returns its value, or throws the right form. */
type Read<T> = (value: unknown) => T;

class Wrong extends Error {}

function asText(right: string, fits: (text: string) => boolean = (text) => text !== ''): Read<string> {
  return (value) => {
    if (typeof value !== 'string' || !fits(value)) throw new Wrong(right);
    return value;
  };
}

const asCode = (pattern: RegExp, right: string) => asText(right, (text) => pattern.test(text));

function asOneOf<const T extends string>(...words: readonly T[]): Read<T> {
  return (value) => {
    if (words.some((word) => word === value)) return value as T;
    const meant = typeof value === 'string' ? nearest(value, words) : undefined;
    throw new Wrong(`one of ${words.join(', ')}${meant ? `; did you mean "${meant}"?` : ''}`);
  };
}

function asZone(value: unknown): string {
  try {
    if (typeof value === 'string' && value !== '' && new Intl.DateTimeFormat('en', { timeZone: value }))
      return value;
  } catch {
    // Reported below.
  }
  throw new Wrong('a time zone of the IANA database, such as "Europe/Berlin"');
}

function asPattern(value: unknown): RegExp {
  try {
    if (typeof value === 'string' && value !== '') return new RegExp(value, 'i');
  } catch {
    // Reported below.
  }
  throw new Wrong('a regular expression, such as "^from-trunk"');
}

function asAfter(value: unknown): After {
  if (value === 'keep' || value === 'delete') return { kind: value };
  const folder = typeof value === 'string' ? /^move:(.+)$/s.exec(value)?.[1] : undefined;
  if (folder !== undefined && isAbsolute(folder)) return { kind: 'move', folder: resolve(folder) };
  throw new Wrong('"keep", "delete", or "move:" and an absolute folder');
}

const flag: Read<boolean> = (value) => {
  if (typeof value !== 'boolean') throw new Wrong('true or false');
  return value;
};

/** Every key of an entry. */
const KEYS = {
  path: asText('an absolute path', isAbsolute),
  time_zone: asZone,
  after: asAfter,
  format: asOneOf(...(Object.keys(FORMATS) as FormatName[])),
  source: asText('a name, such as "pbx1"'),
  account: asText("an account's code"),
  account_from: asText("the name of the source's field that names the account"),
  map_name: asText('the name of a remembered --map'),
  date_order: asOneOf('ymd', 'dmy', 'mdy'),
  decimal_sign: asOneOf(...DECIMAL_SIGNS),
  inbound_context: asPattern,
  credits: flag,
  on_conflict: asOneOf('set-aside', 'replace'),
  call_ids: asOneOf('unique', 'reused'),
  create_accounts: flag,
  country: asCode(/^[A-Z]{2}$/, 'a code of ISO 3166-1, such as "DE"'),
  currency: asCode(/^[A-Z]{3}$/, 'a code of ISO 4217, such as "EUR"'),
};
type Key = keyof typeof KEYS;
const NAMES = Object.keys(KEYS) as Key[];

/** All faults of the setting, a sentence each. */
export class SourcesError extends Error {
  override name = 'SourcesError';
  readonly faults: readonly string[];
  constructor(faults: readonly string[]) {
    super(faults.join('\n'));
    this.faults = faults;
  }
}

/**
 * Parses CALLS_SOURCES. Accounts that do not exist are created, as by a post, unless `create_accounts` is false.
 * @param text a JSON array of objects; '' for none
 * @throws SourcesError with every fault
 */
export function readSources(text: string): FollowedSource[] {
  if (text === '') return [];
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch (error) {
    throw new SourcesError([`it is no JSON (${(error as Error).message}); it must be an array of objects`]);
  }
  if (!Array.isArray(given)) throw new SourcesError(['it must be a JSON array, [{"path": …}]']);
  const faults: string[] = [];
  const repeated = repeatedName(text, given, () => true);
  if (repeated !== undefined) faults.push(`the key "${repeated}" stands twice in an entry`);
  const sources = given.map((entry, index) => readEntry(entry, index, faults));
  if (faults.length === 0) faults.push(...clashes(sources));
  if (faults.length > 0) throw new SourcesError(faults);
  return sources;
}

function readEntry(entry: unknown, index: number, faults: string[]): FollowedSource {
  const fault = (words: string) => void faults.push(`entry ${index + 1}: ${words}`);
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) {
    fault('it must be an object, {"path": …}');
    entry = { path: '/', time_zone: 'UTC' };
  }
  const given = entry as Record<string, unknown>;
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(KEYS, name)) continue;
    const meant = nearest(name, NAMES);
    fault(
      `there is no key "${name}"; ${meant ? `did you mean "${meant}"?` : `there are ${NAMES.join(', ')}`}`,
    );
  }
  const read = <K extends Key>(name: K): ReturnType<(typeof KEYS)[K]> | undefined => {
    if (!Object.hasOwn(given, name)) return undefined;
    try {
      return KEYS[name](given[name]) as ReturnType<(typeof KEYS)[K]>;
    } catch (error) {
      if (!(error instanceof Wrong)) throw error;
      fault(`"${name}" must be ${error.message}`);
      return undefined;
    }
  };
  for (const name of ['path', 'time_zone'] as const) {
    if (!Object.hasOwn(given, name)) fault(`"${name}" is missing`);
  }
  const format = read('format');
  const mapName = read('map_name');
  if (format === 'mapped' && mapName === undefined) fault('the format "mapped" needs a "map_name"');
  if (format !== undefined && format !== 'mapped' && mapName !== undefined)
    fault(`"map_name" and the format "${format}" exclude each other: a mapped file has the format "mapped"`);
  const createAccounts = read('create_accounts') ?? true;
  for (const name of ['country', 'currency'] as const) {
    if (!createAccounts && Object.hasOwn(given, name))
      fault(`"${name}" is for accounts that are created, and "create_accounts" is false`);
  }
  const path = resolve(read('path') ?? '/');
  const after = read('after') ?? { kind: 'keep' as const };
  if (after.kind === 'move' && after.folder === path)
    fault('"after" moves documents to the folder that they are in');
  return {
    path,
    timeZone: read('time_zone') ?? 'UTC',
    after,
    format: mapName === undefined ? format : 'mapped',
    source: read('source'),
    account: read('account'),
    accountFrom: read('account_from'),
    mapName,
    dateOrder: read('date_order'),
    decimalSign: read('decimal_sign'),
    inboundContext: read('inbound_context'),
    credits: read('credits') ?? false,
    sameCall: { onConflict: read('on_conflict') ?? 'set-aside', callIds: read('call_ids') ?? 'unique' },
    createAccounts,
    country: read('country'),
    currency: read('currency'),
  };
}

/** Faults between valid entries: files that two entries would read, or that one would write for another. */
function clashes(sources: readonly FollowedSource[]): string[] {
  const faults: string[] = [];
  for (const [at, { path, after }] of sources.entries()) {
    const first = sources.findIndex((other) => other.path === path);
    if (first < at) faults.push(`entry ${at + 1}: entry ${first + 1} follows ${path} already`);
    for (const [other, { path: folder }] of sources.entries()) {
      if (resolve(path, '..') === folder && other !== at)
        faults.push(`entry ${at + 1}: ${path} is in ${folder}, which entry ${other + 1} follows`);
      if (after.kind === 'move' && after.folder === folder && other !== at)
        faults.push(
          `entry ${at + 1}: entry ${other + 1} follows ${folder}, into which this entry moves its documents`,
        );
    }
  }
  return faults;
}

/** The word that a typing mistake may have meant. Undefined where none is near. */
function nearest<T extends string>(word: string, words: readonly T[]): T | undefined {
  const plain = (text: string) => text.toLowerCase().replaceAll(/[-_ ]/g, '');
  let best: T | undefined;
  let least = Math.max(1, Math.floor(plain(word).length / 3)) + 1;
  for (const candidate of words) {
    const distance = edits(plain(word), plain(candidate));
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best;
}

/** The number of letters to insert, leave out or change to get from one word to the other (Levenshtein). */
function edits(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const change = row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1);
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, change);
    }
    row = next;
  }
  return row[to.length]!;
}
