/**
 * Stores a batch in one transaction: the calls, their usage, the rejected rows, and the counts of all of it. Either the
 * whole batch has happened or none of it, so a kill at any moment and the same batch again end in the same tables.
 *
 * A batch of very many months is stored in several such transactions, some months each: PostgreSQL locks every month
 * that a transaction touches, with its indexes, and creating a month takes a while. An interrupted batch keeps its finished
 * months, and the same batch again goes on from there.
 *
 * New calls go in by COPY straight into calls.cdrs, after a look-up of known ones (recognise.ts). When
 * another import stored one of them in between (source_turn.ts), the batch is rolled back and looked up again.
 */
import { type Pool, withTransaction } from '#platform/database/pool.ts';
import type { Session } from '#platform/database/session.ts';
import type { Rejection } from '../cdr.ts';
import { type Month, monthOf } from '../months.ts';
import { ensureMonths } from '../partitions.ts';
import { countIn, raiseWatermark } from '../store/intake.ts';
import { lockZones } from '../store/partitions.ts';
import { addProvisional, retellProvisional } from '../store/provisional.ts';
import { type Batch, rowOf } from './batch.ts';
import type { CallNumber } from './call_columns.ts';
import type { ImportSource } from './import_source.ts';
import { conflictsOf, type PartRows, rejectedOf, repeatedConflicts, tellOutcomes } from './outcomes.ts';
import {
  hasGrown,
  provisionalCalls,
  provisionalRejections,
  replaceProvisional,
  retoldCalls,
  versionsBefore,
} from './provisional.ts';
import { dropTaken, keepRejected, type Said } from './quarantine.ts';
import { othersHaveStored, type Recognised, recognise } from './recognise.ts';
import type { RowToReject } from './rows.ts';
import { beginTurn, MetOthersError } from './source_turn.ts';
import { tellImported } from './tell_imported.ts';
import { keepFirstTellings, keepTellings } from './tellings.ts';
import { type WrittenCalls, writeCalls } from './write_calls.ts';

/** A batch that meets another import's rows is retried, with a limit. */
const BATCH_TRIES = 10;
/** The most months that one transaction creates or stores into. */
const MONTHS_A_TRANSACTION = 20;
/**
 * How far a switch's clock may be ahead for its records to move the time up to which it has sent its calls. A call that
 * ends later does not move that time: one bad record must not promise calls that are yet to come.
 */
const CLOCK_AHEAD_MS = 15 * 60_000;
const UNIQUE_VIOLATION = '23505';
const DEADLOCK = '40P01';
const NO_PARTITION = '23514';

/** Months that this process knows to exist, by pool. */
const knownMonths = new WeakMap<Pool, Set<Month>>();

export interface Storing {
  /** Aborted: the running work is cancelled and rolled back. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Writes more in the transaction of the batch; in the last one, if the batch is stored in several. Runs again when that
   * transaction is repeated.
   */
  readonly also?: ((session: Session) => Promise<void>) | undefined;
}

/** The unit of one transaction: a batch, or the rest of it after one of its rows was refused. */
interface Part extends PartRows {
  /** No row of the batch is stored before it. */
  readonly isFirst: boolean;
  /** No row of the batch is stored after it. */
  readonly isLast: boolean;
  /** In which its calls start; or more. */
  readonly months: ReadonlySet<Month>;
}

/**
 * Stores the batch, and writes the outcomes of its rows.
 * @throws the database's error when it fails as a whole; then no row of the batch is stored, or only some of its months
 */
export async function storeBatch(
  pool: Pool,
  importSource: ImportSource,
  batch: Batch,
  { signal, also }: Storing = {},
): Promise<void> {
  const calls = Array.from({ length: batch.callCount }, (_, call) => call);
  const [now, later] = [calls.filter((call) => !batch.waiting.has(call)), [...batch.waiting]];
  const parts = byMonths(batch, now);
  if (later.length === 0) {
    for (const part of parts) await store(part);
    return;
  }
  // Repetitions of a row count once that row is stored.
  for (const part of parts) await store({ ...part, repeated: [], isLast: false });
  await batch.othersStored();
  const last = byMonths(batch, later);
  for (const part of last) await store({ ...part, rejected: [], isFirst: false });

  async function store(part: Part): Promise<void> {
    let metOthers = false;
    for (let attempt = 1; ; attempt++) {
      try {
        await makeMonths(pool, part.months, signal);
        const work = async (session: Session) => {
          const stored = await storePart(session, importSource, batch, part, metOthers);
          if (part.isLast) await also?.(session);
          return stored;
        };
        const stored = await withTransaction(pool, work, { signal });
        tellOutcomes(batch, part, stored.recognised, stored.written, stored.knownRejected);
        return;
      } catch (error) {
        if (error instanceof MetOthersError && attempt < BATCH_TRIES) {
          metOthers = true;
          continue;
        }
        const code = (error as { code?: string }).code ?? '';
        if (code === NO_PARTITION) knownMonths.delete(pool);
        if ([UNIQUE_VIOLATION, DEADLOCK, NO_PARTITION].includes(code) && attempt < BATCH_TRIES) continue;
        // A value that PostgreSQL alone refuses (54000: too long for an index): find its row, and store the others.
        const isRowsFault = part.calls.length > 0 && (/^22|^54000$/.test(code) || code === NO_PARTITION);
        if (!isRowsFault) throw error;
        for (const smaller of divide(batch, part, error as Error)) await store(smaller);
        return;
      }
    }
  }
}

/** These calls of the batch, or where it has too many months for one transaction, some months at a time. */
function byMonths(batch: Batch, calls: readonly CallNumber[]): Part[] {
  const { months, columns, rejected, repeated } = batch;
  if (months.size <= MONTHS_A_TRANSACTION)
    return [{ months, calls, rejected, repeated, isFirst: true, isLast: true }];
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
    rejected: place === 0 ? rejected : [],
    // Repetitions of a call count once that call is stored.
    repeated: place === callsOf.length - 1 ? repeated : [],
    isFirst: place === 0,
    isLast: place === callsOf.length - 1,
  }));
}

/** Halves until the row that the database refuses stands alone, and rejects that row with its repetitions. */
function divide(batch: Batch, part: Part, error: Error): Part[] {
  const { months, calls, rejected, repeated, isFirst, isLast } = part;
  if (calls.length > 1) {
    const half = calls.length >> 1;
    return [
      { months, calls: calls.slice(0, half), rejected, repeated: [], isFirst, isLast: false },
      { months, calls: calls.slice(half), rejected: [], repeated, isFirst: false, isLast },
    ];
  }
  const rejection: Rejection = {
    code: 'bad_value',
    reason: `PostgreSQL can't store this row: ${error.message}`,
  };
  const call = calls[0]!;
  const { key, place, of } = batch.columns;
  const refused = { row: rowOf(batch, call), of: of[call]!, place: place[call]!, rejection };
  const same = repeated.filter((row) => row.key === key[call]);
  const others = repeated.filter((row) => row.key !== key[call]);
  const refusedRows = [refused, ...same.map(({ row, of, place }) => ({ row, of, place, rejection }))];
  return [{ months, calls: [], rejected: [...rejected, ...refusedRows], repeated: others, isFirst, isLast }];
}

/** The outcomes of the part's calls. */
interface Stored {
  readonly recognised: Recognised;
  readonly written: WrittenCalls;
  /** Places of rows that had been rejected before. */
  readonly knownRejected: ReadonlySet<number>;
}

/** @param alone whether no other writer may store calls of the source meanwhile; see source_turn.ts */
async function storePart(
  session: Session,
  importSource: ImportSource,
  batch: Batch,
  part: Part,
  alone: boolean,
): Promise<Stored> {
  await session.run(lockZones('shared'));
  const turn = await beginTurn(session, importSource, alone);
  // Before the look-ups: the rows that replace provisional calls must not find those.
  if (part.isFirst) await replaceProvisional(session, importSource.source, batch.replacements);
  const now = Date.now();
  const recognised = await recognise(session, importSource, batch, part.calls, now);
  const versions = await versionsBefore(session, recognised);
  const told = now + CLOCK_AHEAD_MS;
  await keepFirstTellings(session, recognised);
  const written = await writeCalls(session, importSource, batch, recognised, told);
  const { fresh, iCdrs, lastRewrittenEnd } = written;
  await keepTellings(session, importSource, batch, recognised, written);
  const lastEnd = Math.max(lastRewrittenEnd, lastEndOf(batch, part, fresh, told));
  if (lastEnd > 0) {
    const iAccounts = accountsOf(batch, written, recognised);
    await session.run(
      raiseWatermark({ source: importSource.source, iImport: importSource.iImport, lastEnd, iAccounts }),
    );
  }
  const retold = retoldCalls(recognised, written);
  if (retold.length > 0) await session.run(retellProvisional(retold));
  const conflicts = conflictsOf(recognised, written);
  const rejected = rejectedOf(batch, part, conflicts);
  const keptRejections = rejected.length > 0 ? await keepRejected(session, importSource, rejected) : [];
  const knownRejected = new Set(
    rejected
      .filter((row, index) => keptRejections[index]!.isKnown || hasGrown(row, batch.replacements))
      .map(({ place }) => place),
  );
  await dropTaken(session, importSource, takenRows(batch, part, rejected));
  const provisional = [
    ...provisionalCalls(batch, recognised, written, versions),
    ...provisionalRejections(rejected, keptRejections),
  ];
  if (provisional.length > 0) await session.run(addProvisional(importSource.source, provisional));
  const repeatedRejections = repeatedConflicts(batch, part, conflicts).length;
  const taken = part.calls.length + part.repeated.length;
  const stored = fresh.length + recognised.rewritten.filter(({ before }) => before === null).length;
  const counted = await session.run(
    countIn(importSource.iImport, {
      read: taken + part.rejected.length,
      stored,
      completed: recognised.completed.size,
      duplicates: taken - stored - recognised.completed.size - conflicts.length - repeatedRejections,
      conflicts: conflicts.length + repeatedRejections,
      rejected: part.rejected.length,
      lastEnd,
    }),
  );
  await tellImported(session, importSource.source, batch, written, recognised, {
    stored,
    completed: recognised.completed.size,
    rejected: rejected.length,
  });
  if (counted === 0)
    throw new Error(`import ${importSource.iImport} is being undone: no more of its rows are stored`);
  if (fresh.length + recognised.rewritten.length > 0) {
    await turn.end(async () => {
      if (recognised.rewritten.length > 0) return false;
      return !(await othersHaveStored(session, importSource, batch, fresh, iCdrs));
    });
  }
  return { recognised, written, knownRejected };
}

/** The accounts whose calls were stored. */
function accountsOf({ columns }: Batch, { fresh }: WrittenCalls, { rewritten }: Recognised): number[] {
  const all = new Set(fresh.map((call) => columns.iAccount[call]!));
  for (const { cdr } of rewritten) all.add(cdr.account.i_account);
  return [...all].sort((a, b) => a - b);
}

/** The others. */
function* takenRows(
  { bytes, columns }: Batch,
  { calls, repeated }: Part,
  rejected: readonly RowToReject[],
): Generator<Said> {
  const { place, rowFrom, textFrom } = columns;
  const isRejected = new Set(rejected.map((row) => row.place));
  for (const call of calls)
    if (!isRejected.has(place[call]!))
      yield { bytes: bytes.subarray(rowFrom[call], textFrom[call]), of: columns.of[call]! };
  for (const { row, of, place } of repeated) if (!isRejected.has(place)) yield { bytes: row.bytes, of };
}

/**
 * When the last of them ended, in milliseconds since 1970; 0 where none is sure. A provisional call may have lasted longer,
 * and a source must not promise more than it sent.
 * @param until calls that end later are ignored
 */
function lastEndOf(
  { columns, replacements }: Batch,
  part: Part,
  fresh: readonly CallNumber[],
  until: number,
): number {
  let last = 0;
  const look = (call: CallNumber) => {
    const end = columns.endTime[call]!;
    if (end <= until) last = Math.max(last, end);
  };
  for (const call of fresh) if (columns.ended[call]) look(call);
  const whole = replacements.filter(({ what }) => what === 'whole').map(({ place }) => place);
  if (whole.length === 0) return last;
  for (const call of part.calls) if (whole.includes(columns.place[call]!)) look(call);
  return last;
}

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
