/**
 * Stores a batch in one transaction: the calls, their usage, what is set aside, and the counts of all of it. Either the
 * whole batch has happened or none of it, so a kill at any moment and the same batch again end in the same tables.
 *
 * A batch of very many months is stored in several such transactions, some months each: PostgreSQL locks every month
 * that a transaction touches, with its indexes, and making a month takes a while. One that is cut off keeps the months
 * that it has done, and the same batch again goes on from there.
 *
 * New calls go in by COPY straight into calls.cdrs, after a look-up of which are there already. A unique index stands
 * behind the look-up: when another import stored one of them in between, the batch is rolled back and looked up again.
 */
import { pipeline } from 'node:stream/promises';
import { from as copyFrom } from 'pg-copy-streams';
import { type Pool, withTransaction } from '#platform/database/pool.ts';
import type { Session } from '#platform/database/session.ts';
import type { Rejection } from '../cdr.ts';
import { ensureMonths, type Month, monthOf } from '../partitions.ts';
import { addUsage, countIn, raiseWatermark, storedAlready, takeNumbers } from '../store/intake.ts';
import { lockZones } from '../store/partitions.ts';
import { dropResolved, setAside } from '../store/rejected.ts';
import { type AsideRow, type Batch, type RepeatedRow, rowOf } from './batch.ts';
import type { CallColumns, CallNumber } from './call_columns.ts';
import { COPY_COLUMNS, copyChunks, iCdrOf } from './copy_text.ts';
import type { Origin } from './intake.ts';
import { sumByQuarter } from './usage.ts';

/** A batch that meets another import's rows is tried again; it can't go on meeting them for ever. */
const BATCH_TRIES = 10;
/** Months that one transaction makes or stores into. */
const MONTHS_A_TRANSACTION = 20;
const UNIQUE_VIOLATION = '23505';
const DEADLOCK = '40P01';
const NO_PARTITION = '23514';

/** Months that this process knows to exist, by pool. */
const knownMonths = new WeakMap<Pool, Set<Month>>();

/** What is stored in one transaction: a batch, or what is left of it when one of its rows is refused. */
interface Part {
  /** In which its calls start; or more. */
  readonly months: ReadonlySet<Month>;
  readonly calls: readonly CallNumber[];
  readonly aside: readonly AsideRow[];
  readonly repeated: readonly RepeatedRow[];
}

/**
 * Stores the batch, and writes what became of its rows into its outcomes.
 * @param columns the header in force, kept with rows that are set aside
 * @param signal aborted: what is under way is cancelled and undone
 * @throws the database's error when it fails as a whole; nothing of the batch is stored then, or some of its months
 */
export async function storeBatch(
  pool: Pool,
  origin: Origin,
  batch: Batch,
  columns: readonly string[] | null,
  signal?: AbortSignal,
): Promise<void> {
  for (const part of byMonths(batch)) await store(part);

  async function store(part: Part): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await makeMonths(pool, part.months, signal);
        const work = (session: Session) => storePart(session, origin, batch, part, columns);
        const stored = await withTransaction(pool, work, { signal });
        tellOutcomes(batch, part, stored);
        return;
      } catch (error) {
        const code = (error as { code?: string }).code ?? '';
        if (code === NO_PARTITION) knownMonths.delete(pool);
        if ([UNIQUE_VIOLATION, DEADLOCK, NO_PARTITION].includes(code) && attempt < BATCH_TRIES) continue;
        // A value that PostgreSQL alone refuses (54000: too long for an index): find its row, and let the others in.
        const isRowsFault = part.calls.length > 0 && (/^22|^54000$/.test(code) || code === NO_PARTITION);
        if (!isRowsFault) throw error;
        for (const smaller of divide(batch, part, error as Error)) await store(smaller);
        return;
      }
    }
  }
}

/** The batch, or where it has too many months for one transaction, its calls by some months at a time. */
function byMonths(batch: Batch): Part[] {
  const { months, columns, aside, repeated } = batch;
  const calls = Array.from({ length: batch.callCount }, (_, call) => call);
  if (months.size <= MONTHS_A_TRANSACTION) return [{ months, calls, aside, repeated }];
  const inOrder = [...months].sort((a, b) => a - b);
  const places = new Map(inOrder.map((month, index) => [month, Math.floor(index / MONTHS_A_TRANSACTION)]));
  const callsOf = Array.from(
    { length: Math.ceil(months.size / MONTHS_A_TRANSACTION) },
    (): CallNumber[] => [],
  );
  for (const call of calls) callsOf[places.get(monthOf(columns.startTime[call]!))!]!.push(call);
  return callsOf.map((itsCalls, place) => ({
    months: new Set(inOrder.slice(place * MONTHS_A_TRANSACTION, (place + 1) * MONTHS_A_TRANSACTION)),
    calls: itsCalls,
    aside: place === 0 ? aside : [],
    // What says a call again counts once that call is stored.
    repeated: place === callsOf.length - 1 ? repeated : [],
  }));
}

/** Halves until the row that the database refuses stands alone, and sets that one aside with those that repeat it. */
function divide(batch: Batch, part: Part, error: Error): Part[] {
  const { months, calls, aside, repeated } = part;
  if (calls.length > 1) {
    const half = calls.length >> 1;
    return [
      { months, calls: calls.slice(0, half), aside, repeated: [] },
      { months, calls: calls.slice(half), aside: [], repeated },
    ];
  }
  const rejection: Rejection = {
    code: 'bad_value',
    reason: `PostgreSQL can't store this row: ${error.message}`,
  };
  const call = calls[0]!;
  const { key, place } = batch.columns;
  const refused = { row: rowOf(batch, call), place: place[call]!, rejection };
  const same = repeated.filter((row) => row.key === key[call]);
  const others = repeated.filter((row) => row.key !== key[call]);
  const refusedAside = [refused, ...same.map(({ row, place }) => ({ row, place, rejection }))];
  return [{ months, calls: [], aside: [...aside, ...refusedAside], repeated: others }];
}

/** Calls that were new, and beside each its i_cdr. */
interface Stored {
  readonly calls: readonly CallNumber[];
  readonly iCdrs: readonly number[];
}

async function storePart(
  session: Session,
  origin: Origin,
  batch: Batch,
  part: Part,
  columns: readonly string[] | null,
): Promise<Stored> {
  await session.run(lockZones('shared'));
  const fresh = await newCalls(session, origin, batch, part.calls);
  let iCdrs: number[] = [];
  if (fresh.length > 0) {
    const { startTime, endTime } = batch.columns;
    const taken = await session.row(takeNumbers(fresh.length));
    const numbers = taken!.numbers.split(',');
    iCdrs = fresh.map((call, index) => iCdrOf(startTime[call]!, Number(numbers[index])));
    const into = session.client.query(copyFrom(`COPY calls.cdrs (${COPY_COLUMNS.join(', ')}) FROM STDIN`));
    await pipeline(copyChunks(batch, fresh, iCdrs), into);
    await session.run(addUsage(sumByQuarter(batch.columns, fresh)));
    const lastEnd = fresh.reduce((last, call) => Math.max(last, endTime[call]!), 0);
    await session.run(raiseWatermark(origin.source, lastEnd));
  }
  await keepAside(session, origin, batch, part, columns);
  const taken = part.calls.length + part.repeated.length;
  await session.run(
    countIn(origin.iImport, {
      read: taken + part.aside.length,
      stored: fresh.length,
      duplicates: taken - fresh.length,
      setAside: part.aside.length,
    }),
  );
  return { calls: fresh, iCdrs };
}

/** Those that are not stored yet, in the order in which they are to be. */
export async function newCalls(
  session: Session,
  origin: Origin,
  batch: Batch,
  calls: readonly CallNumber[],
): Promise<CallNumber[]> {
  if (calls.length === 0) return [];
  const known = await session.rows(storedAlready(batch.columns, calls, origin.source));
  const knownPlaces = new Set(known.map(({ place }) => place));
  return calls.filter((_, index) => !knownPlaces.has(index + 1)).sort(byTime(batch.columns));
}

/**
 * The one order in which every import stores: two that meet at the same calls wait for each other instead of each
 * holding what the other wants, and calls of a time lie together on disk.
 */
function byTime({ startTime, key }: CallColumns): (a: CallNumber, b: CallNumber) => number {
  return (a, b) => startTime[a]! - startTime[b]! || (key[a]! < key[b]! ? -1 : key[a]! > key[b]! ? 1 : 0);
}

async function keepAside(
  session: Session,
  origin: Origin,
  batch: Batch,
  part: Part,
  columns: readonly string[] | null,
): Promise<void> {
  if (part.aside.length > 0) await session.run(setAside(origin.iImport, origin.file, columns, part.aside));
  if (!origin.hasRejected) return;
  const takenLines = [
    ...part.calls.map((call) => batch.columns.line[call]!),
    ...part.repeated.map(({ row }) => row.line),
  ];
  if (takenLines.length > 0) await session.run(dropResolved(origin.file, takenLines));
}

function tellOutcomes({ outcomes, columns }: Batch, part: Part, stored: Stored): void {
  for (const { place, rejection } of part.aside) outcomes[place] = { kind: 'set_aside', rejection };
  for (const { place } of part.repeated) outcomes[place] = DUPLICATE;
  for (const call of part.calls) outcomes[columns.place[call]!] = DUPLICATE;
  for (const [index, call] of stored.calls.entries())
    outcomes[columns.place[call]!] = { kind: 'stored', iCdr: stored.iCdrs[index]! };
}

const DUPLICATE = { kind: 'duplicate' } as const;

async function makeMonths(
  pool: Pool,
  months: ReadonlySet<Month>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const known = knownMonths.get(pool) ?? new Set<Month>();
  knownMonths.set(pool, known);
  const missing = [...months].filter((month) => !known.has(month));
  if (missing.length === 0) return;
  await ensureMonths(pool, missing, signal);
  for (const month of missing) known.add(month);
}
