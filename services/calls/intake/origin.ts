/** Where rows come from, as the database keeps it: one row of calls.imports. */
import { randomUUID } from 'node:crypto';
import { type Pool, withTransaction } from '#platform/database/pool.ts';
import type { Session } from '#platform/database/session.ts';
import { FORMATS, type FormatName } from '../formats/formats.ts';
import type { SourceOptions } from '../formats/source_reader.ts';
import { beginImport, findImport, type NewAccounts, sourceFacts } from '../store/intake.ts';
import { rejectedLengths } from '../store/rejected.ts';
import { storable } from '../store/storable.ts';
import type { SameCallRules } from './same_call.ts';

/** Where rows come from, and what to do with those of unknown accounts. */
export interface Origin {
  readonly iImport: number;
  /** The switch, or the kind of switch, that wrote them: a record comes once from each source. */
  readonly source: string;
  readonly file: string;
  /** How accounts that no one has yet are made; null: their rows are set aside. */
  readonly newAccounts: Omit<NewAccounts, 'codes'> | null;
  /** Code of the account of rows that name none; '' where there is none. */
  readonly account: string;
  /** Costs may be below nought: it is a file of credit notes. */
  readonly credits: boolean;
  /**
   * How many bytes rows of the source have that are set aside: one of such a length that is taken in is dropped from
   * there. null: whatever its length.
   */
  readonly asideLengths: ReadonlySet<number> | null;
  readonly rules: SameCallRules;
  /** What else its source was called by versions before. */
  readonly namesBefore: readonly string[];
  /** Imports of the source whose rows were read as its own are. */
  readonly alike: ReadonlySet<number>;
  /** Versions before have stored calls of the source, which are known by other keys. */
  readonly knownBefore: boolean;
  /** The reader says which column is which field: another time he may say otherwise. */
  readonly readByMapping: boolean;
  /** Then: columns, in small letters, that were taken for the call id before. */
  readonly callIdColumns: ReadonlySet<string>;
  /** How far from a row's start calls of the same id are looked for, in milliseconds. */
  readonly farMs: number;
  /** A name of its own for whoever stores by it (source_turn.ts). */
  readonly writer: string;
}

/** How rows are read, as JSON can hold it; of these the intake itself heeds two. */
export type KeptOptions = Readonly<Record<string, unknown>> & Pick<SourceOptions, 'account' | 'credits'>;
/** What becomes of rows that tell a stored call again. Kept with the import, so that a retry does the same. */
export interface SameCallOptions {
  /** What a row that contradicts a stored call does: it is set aside, or takes its place. */
  readonly onConflict: 'set-aside' | 'replace';
  /** `reused`: the switch uses its call ids again, so that one with another start is another call. */
  readonly callIds: 'unique' | 'reused';
}

const USUAL_SAME_CALL: SameCallOptions = { onConflict: 'set-aside', callIds: 'unique' };

export interface OriginOptions {
  /** Absolute path, 'stdin', or the route that took the rows. */
  readonly file: string;
  readonly format: string;
  readonly source: string;
  /** How rows are read; kept, so that a row that was set aside can be read again alone. */
  readonly readOptions: KeptOptions;
  readonly newAccounts: Omit<NewAccounts, 'codes'> | null;
  /** undefined: as usual. */
  readonly sameCall?: SameCallOptions | undefined;
}

/** A file that is read now: an import of its own. */
export function openFileOrigin(pool: Pool, given: OriginOptions): Promise<Origin> {
  const options = asStorable(given);
  return withTransaction(pool, async (session) => {
    const begun = await session.row(
      beginImport(options.file, options.format, options.source, keptOptions(options)),
    );
    const lengths = await session.rows(rejectedLengths(options.source));
    return originOf(session, begun!.i_import, options, new Set(lengths.map(({ length }) => length)));
  });
}

/** A switch that posts: one import for all its posts that are read alike, made by the first. */
export function openPostOrigin(pool: Pool, given: OriginOptions, signal?: AbortSignal): Promise<Origin> {
  const options = asStorable(given);
  const open = async (session: Session) => {
    const found =
      (await session.row(findImport(options.file, options.format, options.source, keptOptions(options)))) ??
      (await session.row(beginImport(options.file, options.format, options.source, keptOptions(options))));
    return originOf(session, found!.i_import, options, null);
  };
  return withTransaction(pool, open, { signal });
}

/** A file that is only pretended to be read. */
export const openDryOrigin = (session: Session, given: OriginOptions): Promise<Origin> =>
  originOf(session, 0, asStorable(given), new Set());

/** The usual choice is not written down, so that imports of versions before are of it. */
function keptOptions({ readOptions, sameCall = USUAL_SAME_CALL }: OriginOptions): object {
  return {
    ...readOptions,
    ...(sameCall.onConflict === 'replace' && { onConflict: 'replace' }),
    ...(sameCall.callIds === 'reused' && { callIds: 'reused' }),
  };
}

/** The choice as it was kept with an import. */
export const keptSameCall = (options: Readonly<Record<string, unknown>>): SameCallOptions => ({
  onConflict: options.onConflict === 'replace' ? 'replace' : 'set-aside',
  callIds: options.callIds === 'reused' ? 'reused' : 'unique',
});

const asStorable = (options: OriginOptions): OriginOptions => ({
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

/** Those of an import, by how it is kept. */
export const rulesOf = (format: string, options: Readonly<Record<string, unknown>>): SameCallRules =>
  sameCallRules(format, keptSameCall(options));

const DAY_MS = 86_400_000;
/** As long as a call may last: who tells a call again with another start has not moved it further. */
const FAR_MS = 100 * DAY_MS;
/** Read with day and month the other way round, a date lies up to a year away. */
const OTHER_ORDER_MS = 366 * DAY_MS;

async function originOf(
  session: Session,
  iImport: number,
  options: OriginOptions,
  asideLengths: Origin['asideLengths'],
): Promise<Origin> {
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
    asideLengths,
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
