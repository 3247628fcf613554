/** The outcomes of a batch's rows, once its calls have their numbers. */
import type { Difference, Rejection } from '../cdr.ts';
import { type Batch, rowOf } from './batch.ts';
import type { CallNumber } from './call_columns.ts';
import type { Known, Recognised } from './recognise.ts';
import type { RepeatedRow, RowOutcome, RowToReject } from './rows.ts';
import { sameTime } from './same_call.ts';

/** Rows of a batch that are stored together. */
export interface PartRows {
  readonly calls: readonly CallNumber[];
  readonly rejected: readonly RowToReject[];
  readonly repeated: readonly RepeatedRow[];
}

/** The numbers of the calls that were stored, or would be. */
export interface Numbers {
  /** In the order of storing, and beside each its i_cdr. */
  readonly fresh: readonly CallNumber[];
  readonly iCdrs: readonly number[];
  /** For the rewritten calls. */
  readonly rewrittenICdrs: readonly number[];
}

/** A row that contradicts a call. */
export interface Conflicting {
  readonly call: CallNumber;
  readonly iCdr: number;
  readonly rejection: Rejection;
}

/** The values of rows that contradict a call. */
export function conflictsOf(recognised: Recognised, written: Numbers): Conflicting[] {
  if (recognised.conflicts.size === 0) return [];
  const ofRow = new Map<CallNumber, number>();
  for (const [index, call] of written.fresh.entries()) ofRow.set(call, written.iCdrs[index]!);
  const ofKnown = new Map<Known, number>();
  for (const [index, { of }] of recognised.rewritten.entries())
    ofKnown.set(of, written.rewrittenICdrs[index]!);
  return [...recognised.conflicts].map(([call, { known, decision }]) => {
    const iCdr = ofKnown.get(known) ?? known.stored?.iCdr ?? ofRow.get(known.row!)!;
    return { call, iCdr, rejection: contradiction(iCdr, decision.differences) };
  });
}

function contradiction(iCdr: number, differences: readonly Difference[]): Rejection {
  const said = differences.map(({ field, stored, told }) => `${field} is ${stored}, here ${told}`);
  return {
    code: 'conflict',
    field: differences[0]!.field,
    reason: `the row contradicts call ${iCdr}: its ${said.join('; ')}. --on-conflict replace stores the row's values; --call-ids reused is for switches that reuse ids`,
    conflict: { i_cdr: iCdr, differences },
  };
}

/** Rows that repeat a row which contradicts a call. */
export function repeatedConflicts(
  batch: Batch,
  part: PartRows,
  conflicts: readonly Conflicting[],
): (RepeatedRow & { readonly conflict: Conflicting })[] {
  if (conflicts.length === 0) return [];
  const { key } = batch.columns;
  const byKey = new Map(conflicts.map((conflict) => [key[conflict.call]!, conflict]));
  return part.repeated.flatMap((row) => {
    const conflict = byKey.get(row.key);
    return conflict ? [{ ...row, conflict }] : [];
  });
}

/** The part's rejected rows: invalid ones, and those that contradict a call. */
export function rejectedOf(batch: Batch, part: PartRows, conflicts: readonly Conflicting[]): RowToReject[] {
  const { place, of } = batch.columns;
  const contradicting = conflicts.map(({ call, rejection }) => ({
    ...{ row: rowOf(batch, call), of: of[call]!, place: place[call]!, rejection },
  }));
  const repeated = repeatedConflicts(batch, part, conflicts).map(({ conflict, ...row }) => ({
    ...{ ...row, rejection: conflict.rejection },
  }));
  return [...part.rejected, ...contradicting, ...repeated];
}

/** Writes the outcomes of the rows into their batch. @param knownRejected places of rows that had been rejected before */
export function tellOutcomes(
  batch: Batch,
  part: PartRows,
  recognised: Recognised,
  written: Numbers,
  knownRejected: ReadonlySet<number> = new Set(),
): void {
  const { outcomes, columns } = batch;
  const tell = (call: CallNumber, outcome: RowOutcome) => {
    outcomes[columns.place[call]!] = outcome;
  };
  const wasRejected = (place: number) => knownRejected.has(place) && ({ isKnown: true } as const);
  for (const { place, rejection } of part.rejected)
    outcomes[place] = { kind: 'set_aside', rejection, ...wasRejected(place) };
  for (const { place } of part.repeated) outcomes[place] = DUPLICATE;
  for (const call of part.calls) tell(call, DUPLICATE);
  for (const [index, call] of written.fresh.entries())
    tell(call, { kind: 'stored', iCdr: written.iCdrs[index]! });
  const numbers = new Map<Known, number>();
  for (const [index, { row, of }] of recognised.rewritten.entries()) {
    const iCdr = written.rewrittenICdrs[index]!;
    numbers.set(of, iCdr);
    if (row !== null) tell(row, { kind: 'stored', iCdr });
  }
  const timesOf = keptTimes(batch, recognised);
  for (const [call, iImport] of timesOf) tell(call, { kind: 'duplicate', timesOf: iImport });
  for (const [call, of] of recognised.completed) {
    const its = timesOf.get(call);
    tell(call, { kind: 'completed', iCdr: numbers.get(of)!, ...(its !== undefined && { timesOf: its }) });
  }
  const conflicts = conflictsOf(recognised, written);
  for (const { call, iCdr, rejection } of conflicts)
    tell(call, { kind: 'conflict', iCdr, rejection, ...wasRejected(columns.place[call]!) });
  for (const { place, conflict } of repeatedConflicts(batch, part, conflicts)) {
    const { iCdr, rejection } = conflict;
    outcomes[place] = { kind: 'conflict', iCdr, rejection, ...wasRejected(place) };
  }
}

/** Rows whose calls keep other times than those of the row, and the imports that stored those calls. */
function keptTimes({ columns }: Batch, { toldAgain }: Recognised): Map<CallNumber, number> {
  const kept = new Map<CallNumber, number>();
  for (const { call, of } of toldAgain) {
    const iImport = of.stored?.iImport;
    if (iImport && !sameTime(of.call.startTime, columns.startTime[call]!)) kept.set(call, iImport);
  }
  return kept;
}

const DUPLICATE = { kind: 'duplicate' } as const;
