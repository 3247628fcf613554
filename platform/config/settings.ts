/**
 * Settings: tables of names in the environment, each with a reader that parses its value or names the right form. A service
 * declares its settings beside its code; config.ts reads all of them. All faults are reported at once, before anything starts.
 */
import { Fault } from './readers.ts';

/** Several faults of one setting, each with its message. */
export class Faults extends Error {
  readonly each: readonly string[];
  constructor(each: readonly string[]) {
    super(each.join('; '));
    this.each = each;
  }
}

export interface Setting<T> {
  readonly what: string;
  /** The default, as it would stand in the environment; undefined: the setting may be unset and has no value then. */
  readonly standard: string | undefined;
  readonly read: (text: string) => T;
  /** No output repeats its value, since it is or may hold a password or a key. */
  readonly secret: boolean;
  /** Its name in the environment, unless the name is made of the service's name and the setting's. */
  readonly env?: string;
}

/** Settings by name; the service's name comes first: `poolSize` of `calls` is `CALLS_POOL_SIZE` in the environment. */
export type SettingsTable = Readonly<Record<string, Setting<unknown>>>;

export type ValuesOf<Table extends SettingsTable> = {
  readonly [Name in keyof Table]: Table[Name] extends Setting<infer T> ? T : never;
};

interface Details {
  readonly secret?: boolean;
  readonly env?: string;
}

export function setting<T>(
  standard: string,
  what: string,
  read: (text: string) => T,
  { secret = false, ...more }: Details = {},
): Setting<T> {
  return { standard, what, read, secret, ...more };
}

export function optional<T>(
  what: string,
  read: (text: string) => T,
  { secret = false, ...more }: Details = {},
): Setting<T | undefined> {
  return { standard: undefined, what, read, secret, ...more };
}

/** The settings of one part of the program. */
export interface SettingsGroup {
  /** A service's name; undefined: shared settings, whose names are those in the environment. */
  readonly service?: string;
  readonly table: SettingsTable;
}

/** A setting's name in the environment. */
export function environmentName({ service, table }: SettingsGroup, name: string): string {
  const given = table[name]!.env;
  if (given !== undefined || service === undefined) return given ?? name;
  return `${service}_${name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`)}`.toUpperCase();
}

export interface ReadSettings {
  /** The values of each group in turn; a value that could not be read is missing. */
  readonly values: readonly Readonly<Record<string, unknown>>[];
  readonly faults: readonly string[];
}

/**
 * Reads the settings of all groups. An empty variable counts as unset.
 * @param prefixes a variable that begins with one of these and an underscore must be a setting
 */
export function readSettings(
  environment: Readonly<Record<string, string | undefined>>,
  groups: readonly SettingsGroup[],
  prefixes: readonly string[],
): ReadSettings {
  const faults: string[] = [];
  const known: string[] = [];
  const values = groups.map((group) => {
    const read: Record<string, unknown> = {};
    for (const [name, declared] of Object.entries(group.table)) {
      const variable = environmentName(group, name);
      known.push(variable);
      const given = environment[variable] || declared.standard;
      if (given === undefined) continue;
      try {
        read[name] = declared.read(given);
      } catch (error) {
        if (error instanceof Faults) faults.push(...error.each.map((fault) => `${variable}: ${fault}`));
        else if (error instanceof Fault) {
          const shown = declared.secret ? 'its value' : `"${given}"`;
          faults.push(`${variable}: ${shown} is not ${error.message}`);
        } else throw error;
      }
    }
    return read;
  });
  for (const variable of Object.keys(environment).filter((name) => isMisspelt(name, prefixes, known)))
    faults.push(`${variable}: there is no such setting; the nearest is ${nearest(variable, known)}`);
  return { values, faults };
}

/** Variables that Kubernetes sets for a service of the same name. */
const SERVICE_LINK = /_SERVICE_(?:HOST|PORT)|_PORT_\d+_/;

const isMisspelt = (variable: string, prefixes: readonly string[], known: readonly string[]): boolean =>
  prefixes.some((prefix) => variable.startsWith(`${prefix.toUpperCase()}_`)) &&
  !known.includes(variable) &&
  !SERVICE_LINK.test(variable);

/** The known name with the fewest changes of a letter. */
function nearest(variable: string, known: readonly string[]): string {
  return known.toSorted((one, other) => changes(variable, one) - changes(variable, other))[0]!;
}

/** Levenshtein's distance: the number of letters added, removed or replaced. */
function changes(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (const [index, letter] of [...from].entries()) {
    const next = [index + 1];
    for (let at = 1; at <= to.length; at++)
      next.push(Math.min(row[at]! + 1, next[at - 1]! + 1, row[at - 1]! + Number(letter !== to[at - 1])));
    row = next;
  }
  return row[to.length]!;
}

/** A setting that is useless or harmful without all of some other settings, or without one of them. Names in the environment. */
export interface SettingNeed {
  readonly name: string;
  readonly all?: readonly string[];
  readonly oneOf?: readonly string[];
  readonly why: string;
}

/** The settings that each given setting lacks. */
export function missing(
  needs: readonly SettingNeed[],
  environment: Readonly<Record<string, string | undefined>>,
): string[] {
  const isSet = (name: string) => (environment[name] ?? '') !== '';
  return needs
    .filter(({ name }) => isSet(name))
    .flatMap(({ name, all = [], oneOf = [], why }) => {
      const lacks = all.filter((other) => !isSet(other));
      if (lacks.length > 0) return [`${name} needs ${lacks.join(' and ')}: ${why}`];
      return oneOf.length === 0 || oneOf.some(isSet) ? [] : [`${name} needs ${oneOf.join(' or ')}: ${why}`];
    });
}
