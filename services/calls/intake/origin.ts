/** Where rows come from, as the database keeps it: one row of calls.imports. */
import { randomUUID } from 'node:crypto';
import { type Pool, withTransaction } from '#platform/database/pool.ts';
import type { Session } from '#platform/database/session.ts';
import { FORMATS, type FormatName } from '../formats/formats.ts';
import type { SourceOptions } from '../formats/source_reader.ts';
import { beginImport, findImport, type NewAccounts, sourceFacts } from '../store/intake.ts';
import { rejectedLengths } from '../store/rejected.ts';
import type { Origin } from './intake.ts';
import type { SameCallRules } from './same_call.ts';
import { storable } from './storable.ts';

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
