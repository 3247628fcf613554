/** Retries rejected rows, now that their account exists or the reader's rules are better. */
import { type Pool, withSession } from '#platform/database/pool.ts';
import type { FormatName } from '../formats/formats.ts';
import { UNNAMED } from '../formats/mapping.ts';
import { POSTED_FIELDS, parsePostedRecord } from '../formats/posted_record.ts';
import { openSource } from '../formats/reader.ts';
import type { ParsedRow, SourceOptions } from '../formats/source_reader.ts';
import { type RowsAgain, rowsAgainOf } from '../store/imports.ts';
import { finishImport, type NewAccounts } from '../store/intake.ts';
import { keepMapRead } from '../store/maps.ts';
import { listRejected, type Rejected, type RejectedFilter, takeRejected } from '../store/rejected.ts';
import { type ImportSource, keptSameCall, openFileSource, type SameCallOptions } from './import_source.ts';
import { takeIn } from './intake.ts';
import type { RowOutcome } from './rows.ts';

export interface RetryOptions {
  readonly filter: RejectedFilter;
  /** Created accounts get the time zone in which their rows are read. Posted records have none, and use this one. */
  readonly newAccounts: Omit<NewAccounts, 'codes'> | null;
  /** Replaces the options of the first reading (another time zone, an account for rows that name none). */
  readonly read: Partial<SourceOptions>;
  /** Replaces the rules for rows that repeat a stored call. */
  readonly sameCall?: Partial<SameCallOptions> | undefined;
}

export interface RetryCounts {
  tried: number;
  stored: number;
  completed: number;
  duplicates: number;
  /** Still rejected, since they contradict a stored call. */
  conflicts: number;
  /** For other reasons. */
  stillRejected: number;
  /** Of those: only their first bytes are kept, so they were not read. */
  keptInPart: number;
}

const REJECTED: ReadonlySet<RowOutcome['kind']> = new Set(['set_aside', 'conflict'] as const);
const LINE_END = Buffer.from('\n');
const PAGE_ROWS = 1_000;

/** @param onProgress called after each page */
export async function retryRejected(
  pool: Pool,
  options: RetryOptions,
  onProgress: (counts: RetryCounts) => void,
): Promise<RetryCounts> {
  const counts: RetryCounts = {
    tried: 0,
    stored: 0,
    completed: 0,
    duplicates: 0,
    conflicts: 0,
    stillRejected: 0,
    keptInPart: 0,
  };
  for (let after = 0; ; ) {
    const page = await withSession(pool, (session) =>
      session.rows(listRejected(options.filter, after, PAGE_ROWS)),
    );
    if (page.length === 0) return counts;
    after = page.at(-1)!.i_rejected;
    const whole = page.filter(({ cut }) => !cut);
    counts.keptInPart += page.length - whole.length;
    counts.stillRejected += page.length - whole.length;
    for (const group of groupByImportSource(whole)) await retryGroup(pool, group, options, counts);
    onProgress(counts);
  }
}

/** Rows with the same options: one format, source, set of options and header, and one end of a source. */
export function groupByImportSource<Row extends Rejected>(page: readonly Row[]): Row[][] {
  const groups = new Map<string, Row[]>();
  for (const rejected of page) {
    const key = JSON.stringify([
      rejected.end,
      rejected.format,
      rejected.source,
      rejected.options,
      rejected.columns,
    ]);
    const group = groups.get(key);
    if (group) group.push(rejected);
    else groups.set(key, [rejected]);
  }
  return [...groups.values()];
}

/**
 * Retries rows with the same options, as an import of their own. Rows that are rejected again stay in the quarantine. The
 * mapping of their options is remembered.
 * @param what the import's name for the rows: "retried rows"
 */
export async function readGroup(
  pool: Pool,
  group: readonly Rejected[],
  options: Omit<RetryOptions, 'filter'>,
  what: RowsAgain,
): Promise<{ importSource: ImportSource; outcomes: RowOutcome[] }> {
  const { format, source, columns, end } = group[0]!;
  const files = new Set(group.map(({ file }) => file));
  const read = { ...readOptions(group[0]!), ...options.read };
  const rows = group.map((rejected) => readAgain(rejected, read));
  const importSource = await openFileSource(pool, {
    file: files.size === 1 ? rowsAgainOf(what, group[0]!.file) : `${what} of ${files.size} files`,
    format,
    source,
    readOptions: { ...group[0]!.options, ...options.read },
    newAccounts: options.newAccounts && {
      ...options.newAccounts,
      timeZone: read.timeZone ?? options.newAccounts.timeZone,
    },
    sameCall: { ...keptSameCall(group[0]!.options), ...options.sameCall },
  });
  // The caller takes them by their own numbers.
  const of = { columns, ...(files.size === 1 && { file: group[0]!.file }), ...(end && { end }) };
  const outcomes = await takeIn(pool, { ...importSource, quarantinedLengths: new Set() }, rows, of);
  const taken = group.filter((_, index) => !REJECTED.has(outcomes[index]!.kind));
  await withSession(pool, async (session) => {
    const { mapping } = read;
    if (mapping && mapping.name !== UNNAMED && taken.length > 0) {
      // Known rows are no proof that the mapping is better than the remembered one.
      const iRejecteds = group.flatMap(({ i_rejected }, index) =>
        ['stored', 'completed'].includes(outcomes[index]!.kind) ? i_rejected : [],
      );
      await session.run(keepMapRead(mapping.name, mapping.columns, iRejecteds));
    }
    await session.run(finishImport(importSource.iImport));
  });
  return { importSource, outcomes };
}

async function retryGroup(
  pool: Pool,
  group: readonly Rejected[],
  options: RetryOptions,
  counts: RetryCounts,
): Promise<void> {
  const { importSource, outcomes } = await readGroup(pool, group, options, 'retried rows');
  const done = group.filter((_, index) => !REJECTED.has(outcomes[index]!.kind));
  await withSession(pool, (session) =>
    session.run(
      takeRejected(
        importSource.iImport,
        done.map((r) => r.i_rejected),
      ),
    ),
  );
  counts.tried += group.length;
  for (const outcome of outcomes) {
    if (outcome.kind === 'stored') counts.stored++;
    else if (outcome.kind === 'completed') counts.completed++;
    else if (outcome.kind === 'duplicate') counts.duplicates++;
    else if (outcome.kind === 'conflict') counts.conflicts++;
    else counts.stillRejected++;
  }
}

function readOptions(rejected: Rejected): SourceOptions {
  const { inboundContexts, ...kept } = rejected.options as unknown as Omit<
    SourceOptions,
    'inboundContexts'
  > & {
    inboundContexts?: string;
  };
  return {
    ...kept,
    ...(inboundContexts !== undefined && { inboundContexts: new RegExp(inboundContexts, 'i') }),
    ...(rejected.columns && { columns: rejected.columns }),
  };
}

/** Reads a rejected row with the options of its import. */
export const readRejected = (rejected: Rejected): ParsedRow => readAgain(rejected, readOptions(rejected));

/** One row alone through its reader. A text that is no single row any more stays as it was. */
function readAgain(rejected: Rejected, read: SourceOptions): ParsedRow {
  const { line, bytes, end, row_offset: offset } = rejected;
  // The part that its source has cut off may still come: the row stays provisional.
  const row = { line, bytes, offset: offset ?? 0, ended: end === null };
  if (rejected.format === POSTED_FIELDS) return { row, parsed: parsePostedRecord(rejected.bytes) };
  const reader = openSource(rejected.format as FormatName, read);
  const source = row.ended ? Buffer.concat([bytes, LINE_END]) : bytes;
  const taken = [...reader.push(source), ...reader.end()];
  if (taken.length === 1) return { ...taken[0]!, row };
  return {
    row,
    parsed: { kind: 'rejected', rejection: { code: 'unreadable_row', reason: rejected.reason } },
  };
}
