/** The import source of rows, as the database keeps it: one row of calls.imports. */
import { randomUUID } from 'node:crypto';
import { type Pool, withTransaction } from '#platform/database/pool.ts';
import type { Session } from '#platform/database/session.ts';
import { FORMATS, type FormatName } from '../formats/formats.ts';
import type { SourceOptions } from '../formats/source_reader.ts';
import { beginImport, findImport, type NewAccounts, sourceFacts } from '../store/intake.ts';
import { rejectedLengths } from '../store/rejected.ts';
import { storable } from '../store/storable.ts';
import type { SameCallRules } from './same_call.ts';

/** The import source of rows, and what to do with rows of unknown accounts. */
export interface ImportSource {
  readonly iImport: number;
  /** The switch, or the kind of switch, that wrote them: a record is stored once from each source. */
  readonly source: string;
  readonly file: string;
  /** How to create missing accounts. Null: their rows are rejected. */
  readonly newAccounts: Omit<NewAccounts, 'codes'> | null;
  /** Code of the account for rows that name none; '' where there is none. */
  readonly account: string;
  /** Costs may be below 0: it is a file of credit notes. */
  readonly credits: boolean;
  /**
   * Byte lengths of the source's rejected rows. A row of such a length that is stored leaves the quarantine. Null: a row of
   * any length does.
   */
  readonly quarantinedLengths: ReadonlySet<number> | null;
  readonly rules: SameCallRules;
  /** Names of its source in earlier versions. */
  readonly namesBefore: readonly string[];
  /** Imports of the source whose rows were read in the same way. */
  readonly alike: ReadonlySet<number>;
  /** Earlier versions have stored calls of the source, with other keys. */
  readonly knownBefore: boolean;
  /** The user maps columns to fields, and may map them in another way the next time. */
  readonly readByMapping: boolean;
  /** Then: columns, in small letters, that were mapped to the call id before. */
  readonly callIdColumns: ReadonlySet<string>;
  /** How far from a row's start calls of the same id are looked for, in milliseconds. */
  readonly farMs: number;
  /** A unique name of the writer (source_turn.ts). */
  readonly writer: string;
}

/** The read options as JSON. The intake itself uses two of them. */
export type KeptOptions = Readonly<Record<string, unknown>> & Pick<SourceOptions, 'account' | 'credits'>;
/** The rules for rows that repeat a stored call. Kept with the import, so that a retry uses the same. */
export interface SameCallOptions {
  /** Whether a row that contradicts a stored call is rejected, or replaces it. */
  readonly onConflict: 'set-aside' | 'replace';
  /** `reused`: the switch reuses its call ids, so a record with another start is another call. */
  readonly callIds: 'unique' | 'reused';
}

const USUAL_SAME_CALL: SameCallOptions = { onConflict: 'set-aside', callIds: 'unique' };

export interface ImportSourceOptions {
  /** Absolute path, 'stdin', or the route that took the rows. */
  readonly file: string;
  readonly format: string;
  readonly source: string;
  /** The read options. Kept, so that a rejected row can be read again alone. */
  readonly readOptions: KeptOptions;
  readonly newAccounts: Omit<NewAccounts, 'codes'> | null;
  /** Undefined: the default. */
  readonly sameCall?: SameCallOptions | undefined;
}

/** A file that is read now: an import of its own. */
export function openFileSource(pool: Pool, given: ImportSourceOptions): Promise<ImportSource> {
  const options = asStorable(given);
  return withTransaction(pool, async (session) => {
    const begun = await session.row(
      beginImport(options.file, options.format, options.source, keptOptions(options)),
    );
    const lengths = await session.rows(rejectedLengths(options.source));
    return importSourceOf(session, begun!.i_import, options, new Set(lengths.map(({ length }) => length)));
  });
}

/** A switch that posts: one import for all its posts with the same options, made by the first. */
export function openPostSource(
  pool: Pool,
  given: ImportSourceOptions,
  signal?: AbortSignal,
): Promise<ImportSource> {
  const options = asStorable(given);
  const open = async (session: Session) => {
    const found =
      (await session.row(findImport(options.file, options.format, options.source, keptOptions(options)))) ??
      (await session.row(beginImport(options.file, options.format, options.source, keptOptions(options))));
    return importSourceOf(session, found!.i_import, options, null);
  };
  return withTransaction(pool, open, { signal });
}

/** A file of a dry run. */
export const openDrySource = (session: Session, given: ImportSourceOptions): Promise<ImportSource> =>
  importSourceOf(session, 0, asStorable(given), new Set());

/** The default is not stored, so that imports of earlier versions count as having it. */
function keptOptions({ readOptions, sameCall = USUAL_SAME_CALL }: ImportSourceOptions): object {
  return {
    ...readOptions,
    ...(sameCall.onConflict === 'replace' && { onConflict: 'replace' }),
    ...(sameCall.callIds === 'reused' && { callIds: 'reused' }),
  };
}

/** The rules as stored with an import. */
export const keptSameCall = (options: Readonly<Record<string, unknown>>): SameCallOptions => ({
  onConflict: options.onConflict === 'replace' ? 'replace' : 'set-aside',
  callIds: options.callIds === 'reused' ? 'reused' : 'unique',
});

const asStorable = (options: ImportSourceOptions): ImportSourceOptions => ({
  ...options,
  file: storable(options.file),
  source: storable(options.source),
});

function sameCallRules(format: string, { callIds, onConflict }: SameCallOptions): SameCallRules {
  return {
    legs: format in FORMATS ? FORMATS[format as FormatName].legs : 'fields',
    idsReused: callIds === 'reused',
    replace: onConflict === 'replace',
  };
}

/** The rules of an import, from its stored options. */
export const rulesOf = (format: string, options: Readonly<Record<string, unknown>>): SameCallRules =>
  sameCallRules(format, keptSameCall(options));

const DAY_MS = 86_400_000;
/** The longest duration of a call: a repeated record with another start has not moved it further. */
const FAR_MS = 100 * DAY_MS;
/** With day and month swapped, a date lies up to a year away. */
const OTHER_ORDER_MS = 366 * DAY_MS;

async function importSourceOf(
  session: Session,
  iImport: number,
  options: ImportSourceOptions,
  quarantinedLengths: ImportSource['quarantinedLengths'],
): Promise<ImportSource> {
  const { source, file, format, newAccounts, sameCall = USUAL_SAME_CALL } = options;
  const read: Partial<SourceOptions> = options.readOptions;
  const readByMapping = format === 'mapped';
  const facts = (await session.row(sourceFacts(source, format, keptOptions(options))))!;
  const isOrderTold = read.dateOrder === 'dmy' || read.dateOrder === 'mdy';
  return {
    iImport,
    source,
    file,
    newAccounts,
    quarantinedLengths,
    account: read.account ?? '',
    credits: read.credits ?? false,
    rules: sameCallRules(format, sameCall),
    namesBefore: facts.names_before,
    alike: new Set(facts.alike),
    knownBefore: facts.known_before,
    readByMapping,
    callIdColumns: new Set(facts.call_id_columns.map((name) => name.toLowerCase())),
    farMs: isOrderTold ? OTHER_ORDER_MS : FAR_MS,
    writer: randomUUID(),
  };
}
