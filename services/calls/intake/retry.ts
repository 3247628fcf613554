/** Reads rows that were set aside once more, now that their account exists or the reader knows better. */
import { type Pool, withSession } from '#platform/database/pool.ts';
import { POSTED_FIELDS, parsePostedRecord } from '../api/posted_record.ts';
import type { FormatName } from '../formats/formats.ts';
import { openSource, type SourceOptions, type Taken } from '../formats/reader.ts';
import type { NewAccounts } from '../store/intake.ts';
import { dropRejected, listRejected, type Rejected, type RejectedFilter } from '../store/rejected.ts';
import { takeIn } from './intake.ts';
import { openFileOrigin } from './origin.ts';

export interface RetryOptions {
  readonly filter: RejectedFilter;
  readonly newAccounts: Omit<NewAccounts, 'codes'> | null;
  /** Replaces how the rows were read the first time (another time zone, an account for rows that name none). */
  readonly read: Partial<SourceOptions>;
}

export interface RetryCounts {
  tried: number;
  stored: number;
  duplicates: number;
  stillSetAside: number;
}

const PAGE_ROWS = 1_000;

/** @param onProgress after each page */
export async function retryRejected(
  pool: Pool,
  options: RetryOptions,
  onProgress: (counts: RetryCounts) => void,
): Promise<RetryCounts> {
  const counts: RetryCounts = { tried: 0, stored: 0, duplicates: 0, stillSetAside: 0 };
  for (let after = 0; ; ) {
    const page = await withSession(pool, (session) =>
      session.rows(listRejected(options.filter, after, PAGE_ROWS)),
    );
    if (page.length === 0) return counts;
    after = page.at(-1)!.i_rejected;
    for (const group of groupByOrigin(page)) await retryGroup(pool, group, options, counts);
    onProgress(counts);
  }
}

/** Rows that are read the same way: of one file, format, source, set of options and header. */
function groupByOrigin(page: readonly Rejected[]): Rejected[][] {
  const groups = new Map<string, Rejected[]>();
  for (const rejected of page) {
    const key = JSON.stringify([
      rejected.file,
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

async function retryGroup(
  pool: Pool,
  group: readonly Rejected[],
  options: RetryOptions,
  counts: RetryCounts,
): Promise<void> {
  const { file, format, source, columns } = group[0]!;
  const read = { ...readOptions(group[0]!), ...options.read };
  const rows = group.map((rejected) => readAgain(rejected, read));
  const origin = await openFileOrigin(pool, {
    file,
    format,
    source,
    readOptions: { ...group[0]!.options, ...options.read },
    newAccounts: options.newAccounts,
  });
  // Rows are dropped by their own ids below: the lines of posts are no names.
  const outcomes = await takeIn(pool, { ...origin, hasRejected: false }, rows, columns);
  const settled = group.filter((_, index) => outcomes[index]!.kind !== 'set_aside');
  await withSession(pool, (session) => session.run(dropRejected(settled.map((r) => r.i_rejected))));
  counts.tried += group.length;
  for (const outcome of outcomes) {
    if (outcome.kind === 'stored') counts.stored++;
    else if (outcome.kind === 'duplicate') counts.duplicates++;
    else counts.stillSetAside++;
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

/** One row alone through its reader; what is no single row any more stays as it was. */
function readAgain(rejected: Rejected, read: SourceOptions): Taken {
  const row = { line: rejected.line, bytes: rejected.bytes };
  if (rejected.format === POSTED_FIELDS) return { row, parsed: parsePostedRecord(rejected.bytes) };
  const reader = openSource(rejected.format as FormatName, read);
  const taken = [...reader.push(Buffer.concat([rejected.bytes, Buffer.from('\n')])), ...reader.end()];
  if (taken.length === 1) return { row, parsed: taken[0]!.parsed };
  return {
    row,
    parsed: { kind: 'rejected', rejection: { code: 'unreadable_row', reason: rejected.reason } },
  };
}
