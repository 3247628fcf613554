/**
 * Takes a batch of rows in: one transaction stores the calls, adds their usage, keeps aside what can't be taken, and
 * counts all of it. Either the whole batch has happened or none of it, so a kill at any moment and the same batch again
 * end in the same tables.
 *
 * New calls go in by COPY straight into calls.cdrs, after a look-up of which are there already. A unique index stands
 * behind the look-up: when another import stored one of them in between, the batch is rolled back and looked up again.
 */
import { pipeline } from 'node:stream/promises';
import { from as copyFrom } from 'pg-copy-streams';
import { type Pool, withSession, withTransaction } from '#platform/database/pool.ts';
import type { Session } from '#platform/database/session.ts';
import type { RawRow, Rejection } from '../cdr.ts';
import type { Taken } from '../formats/reader.ts';
import { ensureMonths, type Month, monthOf } from '../partitions.ts';
import {
  accountsByCode,
  addUsage,
  countIn,
  createAccounts,
  type NewAccounts,
  raiseWatermark,
  storedAlready,
  takeNumbers,
} from '../store_intake.ts';
import { lockZones } from '../store_partitions.ts';
import { dropResolved, type RejectedRow, setAside } from '../store_rejected.ts';
import { COPY_COLUMNS, copyLine, iCdrOf } from './copy_text.ts';
import { type Account, type Cdr, settle } from './settle.ts';
import { sumByQuarter } from './usage.ts';

/** Where rows come from, and what to do with those of unknown accounts. */
export interface Origin {
  readonly iImport: number;
  /** The switch, or the kind of switch, that wrote them: a record comes once from each source. */
  readonly source: string;
  readonly file: string;
  /** How accounts that no one has yet are made; null: their rows are set aside. */
  readonly newAccounts: Omit<NewAccounts, 'codes'> | null;
  /** Rows of this file were set aside before: those taken in now are dropped from there. */
  readonly hasRejected: boolean;
}

export type RowOutcome =
  | { readonly kind: 'stored'; readonly iCdr: number }
  | { readonly kind: 'duplicate' }
  | { readonly kind: 'set_aside'; readonly rejection: Rejection };

/** A batch that meets another import's rows is tried again; it can't go on meeting them for ever. */
const BATCH_TRIES = 10;
const UNIQUE_VIOLATION = '23505';
const DEADLOCK = '40P01';
const NO_PARTITION = '23514';

/** Months that this process knows to exist, by pool. */
const knownMonths = new WeakMap<Pool, Set<Month>>();

/**
 * @param columns the header in force, kept with rows that are set aside
 * @param signal aborted: what is under way is cancelled and undone
 * @returns what became of each row, in order
 * @throws the database's error when it fails as a whole; nothing of the batch is stored then
 */
export async function takeIn(
  pool: Pool,
  origin: Origin,
  rows: readonly Taken[],
  columns: readonly string[] | null = null,
  signal?: AbortSignal,
): Promise<RowOutcome[]> {
  if (rows.length === 0) return [];
  for (let attempt = 1; ; attempt++) {
    try {
      if (origin.newAccounts) await makeAccounts(pool, origin.newAccounts, rows, signal);
      await makeMonths(pool, rows, signal);
      return await withTransaction(pool, (session) => takeBatch(session, origin, rows, columns), { signal });
    } catch (error) {
      const code = (error as { code?: string }).code ?? '';
      if (code === NO_PARTITION) knownMonths.delete(pool);
      if ([UNIQUE_VIOLATION, DEADLOCK, NO_PARTITION].includes(code) && attempt < BATCH_TRIES) continue;
      // A value that PostgreSQL alone refuses: find its row, and let the others in.
      if (code.startsWith('22') || code === NO_PARTITION)
        return isolate(pool, origin, rows, columns, error as Error, signal);
      throw error;
    }
  }
}

/**
 * What would become of the rows, without storing anything. The session is in a transaction that the caller rolls back;
 * a temporary table remembers what earlier batches of the same dry run would have stored.
 */
export async function wouldTakeIn(
  session: Session,
  origin: Origin,
  rows: readonly Taken[],
): Promise<RowOutcome[]> {
  const accounts = await findAccounts(session, rows);
  if (origin.newAccounts) {
    // As if they had been made; making them for real would hold up an import that makes them too.
    const { currency, country } = origin.newAccounts;
    for (const code of accountCodes(rows)) {
      if (!accounts.has(code)) accounts.set(code, { i_account: 0, code, currency, country });
    }
  }
  const { outcomes, fresh } = await sift(session, origin, rows, accounts);
  const seen = await session.client.query(
    `INSERT INTO dry_run_keys SELECT * FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS k (call_id, source_key, place)
     ON CONFLICT DO NOTHING RETURNING place`,
    [fresh.map((f) => f.cdr.callId), fresh.map((f) => f.cdr.sourceKey)],
  );
  const isNew = new Set(seen.rows.map((row) => row.place));
  fresh.forEach((item, index) => {
    outcomes[item.place] = isNew.has(index + 1) ? { kind: 'stored', iCdr: 0 } : { kind: 'duplicate' };
  });
  return outcomes as RowOutcome[];
}

/** Opens a dry run; `work` gets a session whose every effect is undone. */
export function dryRun<T>(pool: Pool, work: (session: Session) => Promise<T>): Promise<T> {
  return withSession(pool, async (session) => {
    await session.client.query('BEGIN');
    try {
      await session.client.query(
        'CREATE TEMP TABLE dry_run_keys (call_id text, source_key text, place bigint, PRIMARY KEY (call_id, source_key)) ON COMMIT DROP',
      );
      return await work(session);
    } finally {
      await session.client.query('ROLLBACK');
    }
  });
}

async function takeBatch(
  session: Session,
  origin: Origin,
  rows: readonly Taken[],
  columns: readonly string[] | null,
): Promise<RowOutcome[]> {
  await session.run(lockZones('shared'));
  const { outcomes, fresh } = await sift(session, origin, rows, await findAccounts(session, rows));
  if (fresh.length > 0) {
    const numbers = await session.rows(takeNumbers(fresh.length));
    const lines: string[] = [];
    fresh.forEach((item, index) => {
      const iCdr = iCdrOf(item.cdr.record.startTime, numbers[index]!.number);
      lines.push(copyLine(item.cdr, iCdr, item.row.line, origin));
      outcomes[item.place] = { kind: 'stored', iCdr };
    });
    const cdrs = fresh.map((item) => item.cdr);
    await copyIn(session, lines.join(''));
    await session.run(addUsage(sumByQuarter(cdrs)));
    await session.run(raiseWatermark(origin.source, lastDisconnect(cdrs)));
  }
  await keepAside(session, origin, rows, outcomes as RowOutcome[], columns);
  return outcomes as RowOutcome[];
}

interface Fresh {
  readonly cdr: Cdr;
  readonly row: RawRow;
  /** Index in the batch. */
  readonly place: number;
}

/** Tells rejected rows and duplicates from calls that are new. */
async function sift(
  session: Session,
  origin: Origin,
  rows: readonly Taken[],
  accounts: ReadonlyMap<string, Account>,
): Promise<{ outcomes: (RowOutcome | undefined)[]; fresh: Fresh[] }> {
  const now = Date.now();
  const candidates: Fresh[] = [];
  const outcomes = rows.map(({ parsed, row }, place): RowOutcome | undefined => {
    if (parsed.kind === 'rejected') return { kind: 'set_aside', rejection: parsed.rejection };
    const settled = settle(parsed.record, accounts.get(parsed.record.accountCode), now);
    if (settled.kind === 'rejected') return { kind: 'set_aside', rejection: settled.rejection };
    candidates.push({ cdr: settled.cdr, row, place });
    return undefined;
  });
  const fresh = await dropKnown(session, origin, candidates, outcomes);
  return { outcomes, fresh };
}

async function dropKnown(
  session: Session,
  origin: Origin,
  candidates: readonly Fresh[],
  outcomes: (RowOutcome | undefined)[],
): Promise<Fresh[]> {
  const inBatch = new Set<string>();
  const first = candidates.filter((item) => {
    const key = `${item.cdr.sourceKey} ${item.cdr.callId}`;
    if (inBatch.has(key)) outcomes[item.place] = { kind: 'duplicate' };
    return !inBatch.has(key) && inBatch.add(key);
  });
  if (first.length === 0) return [];
  const known = await session.rows(
    storedAlready(
      first.map((item) => item.cdr),
      origin.source,
    ),
  );
  for (const { place } of known) outcomes[first[place - 1]!.place] = { kind: 'duplicate' };
  return first.filter((item) => outcomes[item.place] === undefined).sort(byTime);
}

/**
 * The one order in which every import stores: two that meet at the same calls wait for each other instead of each
 * holding what the other wants, and calls of a time lie together on disk.
 */
function byTime(a: Fresh, b: Fresh): number {
  const apart = a.cdr.record.startTime - b.cdr.record.startTime;
  if (apart !== 0) return apart;
  const [keyA, keyB] = [`${a.cdr.callId} ${a.cdr.sourceKey}`, `${b.cdr.callId} ${b.cdr.sourceKey}`];
  return keyA < keyB ? -1 : keyA > keyB ? 1 : 0;
}

async function keepAside(
  session: Session,
  origin: Origin,
  rows: readonly Taken[],
  outcomes: readonly RowOutcome[],
  columns: readonly string[] | null,
): Promise<void> {
  const rejected: RejectedRow[] = [];
  const takenLines: number[] = [];
  let stored = 0;
  outcomes.forEach((outcome, place) => {
    const { row } = rows[place]!;
    if (outcome.kind === 'set_aside') rejected.push({ row, rejection: outcome.rejection });
    else takenLines.push(row.line);
    if (outcome.kind === 'stored') stored++;
  });
  if (rejected.length > 0) await session.run(setAside(origin.iImport, origin.file, columns, rejected));
  if (origin.hasRejected && takenLines.length > 0) await session.run(dropResolved(origin.file, takenLines));
  await session.run(
    countIn(origin.iImport, {
      read: rows.length,
      stored,
      duplicates: takenLines.length - stored,
      setAside: rejected.length,
    }),
  );
}

async function copyIn(session: Session, text: string): Promise<void> {
  const into = session.client.query(copyFrom(`COPY calls.cdrs (${COPY_COLUMNS.join(', ')}) FROM STDIN`));
  await pipeline([Buffer.from(text)], into);
}

/** Halves the batch until the row that the database refuses stands alone, and sets that one aside. */
async function isolate(
  pool: Pool,
  origin: Origin,
  rows: readonly Taken[],
  columns: readonly string[] | null,
  error: Error,
  signal: AbortSignal | undefined,
): Promise<RowOutcome[]> {
  if (rows.length === 1) {
    const rejection: Rejection = {
      code: 'bad_value',
      reason: `PostgreSQL can't store this row: ${error.message}`,
    };
    const refused: Taken = { row: rows[0]!.row, parsed: { kind: 'rejected', rejection } };
    return takeIn(pool, origin, [refused], columns, signal);
  }
  const half = rows.length >> 1;
  return [
    ...(await takeIn(pool, origin, rows.slice(0, half), columns, signal)),
    ...(await takeIn(pool, origin, rows.slice(half), columns, signal)),
  ];
}

async function findAccounts(session: Session, rows: readonly Taken[]): Promise<Map<string, Account>> {
  const accounts = await session.rows(accountsByCode(accountCodes(rows)));
  return new Map(accounts.map((account) => [account.code, account]));
}

function accountCodes(rows: readonly Taken[]): string[] {
  const codes = new Set<string>();
  for (const { parsed } of rows) {
    if (parsed.kind === 'record' && parsed.record.accountCode !== '') codes.add(parsed.record.accountCode);
  }
  return [...codes];
}

/** In a transaction of its own: accounts that exist are worth keeping even if this batch is tried again. */
async function makeAccounts(
  pool: Pool,
  how: Omit<NewAccounts, 'codes'>,
  rows: readonly Taken[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const codes = accountCodes(rows);
  if (codes.length === 0) return;
  const make = async (session: Session) => {
    const known = new Set((await session.rows(accountsByCode(codes))).map((account) => account.code));
    const missing = codes.filter((code) => !known.has(code));
    if (missing.length > 0) await session.run(createAccounts({ ...how, codes: missing }));
  };
  await withTransaction(pool, make, { signal });
}

async function makeMonths(
  pool: Pool,
  rows: readonly Taken[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const known = knownMonths.get(pool) ?? new Set<Month>();
  knownMonths.set(pool, known);
  const missing = new Set<Month>();
  for (const { parsed } of rows) {
    if (parsed.kind !== 'record') continue;
    const month = monthOf(parsed.record.startTime);
    if (!known.has(month) && month >= 197_001 && month <= 209_912) missing.add(month);
  }
  if (missing.size === 0) return;
  await ensureMonths(pool, missing, signal);
  for (const month of missing) known.add(month);
}

function lastDisconnect(cdrs: readonly Cdr[]): number {
  let last = 0;
  for (const { record } of cdrs) {
    last = Math.max(last, record.disconnectTime ?? record.startTime + record.durationS * 1000);
  }
  return last;
}
