/**
 * Rows whose source ended before their line did. Such a row may be whole (many files have no last line end) or cut. It is
 * stored, or rejected, provisionally. With it a fingerprint of the source at that time is kept (source_end.ts).
 *
 * When a longer source with the same beginning is read, its rows from there on replace the provisional ones, in one
 * transaction with their usage: their calls and rejected rows are removed before the batch's look-ups. A row that turns
 * out to be whole keeps its call. If the source ends where it did before, the call stays, and the rejected row is judged
 * again.
 */
import { hash } from 'node:crypto';
import { type Pool, withSession } from '#platform/database/pool.ts';
import type { Session } from '#platform/database/session.ts';
import type { RawRow } from '../cdr.ts';
import type { Resume } from '../formats/resumed_reader.ts';
import type { EarlierEnd, Replacement } from '../formats/source_end.ts';
import { createSourcePrint, headLength, headOf, type SourceEnd } from '../formats/source_end.ts';
import type { ParsedRow } from '../formats/source_reader.ts';
import { I_CDR_MONTH, iCdrOf } from '../i_cdr.ts';
import {
  dropProvisionalRejections,
  type EndRow,
  findProvisional,
  type ProvisionalRow,
  provisionalRows,
  type RetoldCall,
  type TakenProvisional,
  takeProvisional,
} from '../store/provisional.ts';
import { endTellings } from '../store/tellings.ts';
import { callsAsJson, putBack, startsOfCalls, takeBack, tidyUsage } from '../store/told_calls.ts';
import { type Batch, rowOf } from './batch.ts';
import type { CallNumber } from './call_columns.ts';
import { spanOfNumbers } from './look_up.ts';
import type { Numbers } from './outcomes.ts';
import type { KeptRejection } from './quarantine.ts';
import type { Recognised, Without } from './recognise.ts';
import type { RowToReject } from './rows.ts';
import { copyLineAsJson } from './told_call.ts';

export interface EarlierEnds {
  /**
   * The earlier ends that a source with this beginning may have had, shortest first.
   * @param begin its first kilobytes, or all of it
   */
  of(begin: Buffer): EarlierEnd[];
}

export const NO_EARLIER_ENDS: EarlierEnds = { of: () => [] };

/** The ends of a source's files. One query for all the files of an import. */
export async function earlierEnds(pool: Pool, source: string): Promise<EarlierEnds> {
  return endsOf(await withSession(pool, (session) => session.rows(provisionalRows(source))));
}

function endsOf(rows: readonly EndRow[]): EarlierEnds {
  if (rows.length === 0) return NO_EARLIER_ENDS;
  const ends = new Map<string, EarlierEnd & { rows: { offset: number; hash: string }[] }>();
  for (const { fingerprint, source_bytes: bytes, head, row_offset: offset, row_hash: hash } of rows) {
    const end = ends.get(fingerprint) ?? { fingerprint, bytes, head, rows: [] };
    ends.set(fingerprint, end);
    end.rows.push({ offset, hash });
  }
  const byHead = Map.groupBy(ends.values(), (end) => end.head);
  /** Mostly one: files are longer than the hashed beginning. */
  const lengths = new Set([...ends.values()].map((end) => headLength(end.bytes)));
  return {
    of(begin) {
      const heads = [...lengths].filter((length) => length <= begin.length);
      return heads
        .flatMap((length) => byHead.get(headOf(begin, length)) ?? [])
        .sort((a, b) => a.bytes - b.bytes);
    },
  };
}

/** Follows a source as it is read, to find the ends beyond which it has grown. */
export interface Growth {
  /** The chunk, cut at places where the source may have ended before. */
  pieces(chunk: Buffer): Iterable<Buffer>;
  /** The provisional rows that a piece's rows replace. Read after each piece, before its rows are added. */
  replacedBy(rows: readonly ParsedRow[]): NewReplacement[];
  /** The same for the last rows of the source, which has none of the earlier ends again. */
  endedWith(rows: readonly ParsedRow[]): NewReplacement[];
  /** The source's end. Undefined where it can't be seen. */
  end(): SourceEnd | undefined;
}

const UNSEEN: Growth = {
  pieces: (chunk) => [chunk],
  replacedBy: () => [],
  endedWith: () => [],
  end: () => undefined,
};

export type NewReplacement = Omit<Replacement, 'place'>;

/**
 * @param begin the source's first kilobytes, or all of it
 * @param resume the place to read from, if it is not the beginning
 */
export function watchGrowth(ends: EarlierEnds, begin: Buffer, resume: Resume | undefined): Growth {
  const print = createSourcePrint(resume?.stands && { ...resume.stands, offset: resume.offset });
  const ahead = ends.of(resume?.stands?.head ?? begin).filter(({ bytes }) => bytes > print.bytes);
  /** Ends beyond which it has grown, and whose rows are not replaced yet. */
  let passed: EarlierEnd[] = [];

  function* pieces(chunk: Buffer): Generator<Buffer> {
    let rest = chunk;
    while (rest.length > 0) {
      const piece = rest.subarray(0, (ahead[0]?.bytes ?? Number.POSITIVE_INFINITY) - print.bytes);
      print.add(piece);
      yield piece;
      rest = rest.subarray(piece.length);
      while (ahead[0]?.bytes === print.bytes) {
        const end = ahead.shift()!;
        if (end.fingerprint === print.end().fingerprint) passed.push(end);
      }
    }
  }

  /** Rows behind an end stand where its rows stood, or behind them. */
  function replacedBy(rows: readonly ParsedRow[]): NewReplacement[] {
    if (rows.length === 0) return [];
    const replaced = passed;
    passed = [];
    return replaced.map((end) => ({ end, what: isSameRow(end, rows[0]!.row) ? 'whole' : 'all' }));
  }

  // A source whose first bytes are unknown can't be recognised.
  if (resume && !resume.stands) return UNSEEN;
  return {
    pieces,
    replacedBy,
    endedWith(rows) {
      const again = passed.filter((end) => end.bytes === print.bytes && !rows[0]?.row.ended);
      passed = passed.filter((end) => !again.includes(end));
      const gone = rows.length > 0 ? replacedBy(rows) : passed.map((end) => ({ end, what: 'all' as const }));
      return [...gone, ...again.map((end) => ({ end, what: 'rejected' as const }))];
    },
    end: () => print.end(),
  };
}

export const rowHash = (row: RawRow): string => hash('sha256', row.bytes);

/** Whether the first row behind an end is the row with which it ended, whole by now. */
function isSameRow(end: EarlierEnd, row: RawRow): boolean {
  const [only, ...others] = end.rows;
  return others.length === 0 && row.ended && only!.offset === row.offset && only!.hash === rowHash(row);
}

const endsOfKind = (replacements: readonly Replacement[], ...whats: Replacement['what'][]): string[] =>
  replacements.filter(({ what }) => whats.includes(what)).map(({ end }) => end.fingerprint);

/** Undoes the outcomes of provisional rows, before the rows that replace them are looked up. */
export async function replaceProvisional(
  session: Session,
  source: string,
  replacements: readonly Replacement[],
): Promise<void> {
  if (replacements.length === 0) return;
  await session.run(dropProvisionalRejections(source, endsOfKind(replacements, 'all', 'rejected', 'whole')));
  const whole = await session.rows(takeProvisional(source, endsOfKind(replacements, 'whole')));
  await endTold(session, whole, true);
  const gone = await session.rows(takeProvisional(source, endsOfKind(replacements, 'all')));
  const iCdrs = gone.flatMap(({ i_cdr: iCdr }) => iCdr ?? []);
  if (iCdrs.length === 0) return;
  const span = spanOfNumbers(iCdrs);
  const places = await session.rows(startsOfCalls(iCdrs, span));
  await session.run(takeBack(iCdrs, span));
  const before = gone.flatMap(({ before: call }) => call ?? []);
  if (before.length > 0) await session.run(putBack(before));
  await endTold(session, gone, false);
  for (const statement of tidyUsage(places)) await session.run(statement);
}

async function endTold(session: Session, rows: readonly TakenProvisional[], isWhole: boolean): Promise<void> {
  const iCdrs = rows.flatMap(({ i_cdr: iCdr }) => iCdr ?? []);
  if (iCdrs.length > 0) await session.run(endTellings(iCdrs, isWhole));
}

/** Calls that `replaceProvisional` would remove. */
export async function callsGone(
  session: Session,
  source: string,
  replacements: readonly Replacement[],
): Promise<number[]> {
  if (replacements.length === 0) return [];
  const gone = await session.rows(findProvisional(source, endsOfKind(replacements, 'all')));
  return gone.flatMap(({ i_cdr: iCdr, before }) => (iCdr === null || before !== null ? [] : iCdr));
}

/** The present state of calls that incomplete rows are about to fill or replace; by number. */
export async function versionsBefore(
  session: Session,
  { rewritten }: Recognised,
): Promise<ReadonlyMap<number, string>> {
  const iCdrs = rewritten.flatMap(({ before, of }) => (before && of.unended.length > 0 ? before.iCdr : []));
  if (iCdrs.length === 0) return new Map();
  const rows = await session.rows(callsAsJson(iCdrs, spanOfNumbers(iCdrs)));
  return new Map(rows.map(({ i_cdr: iCdr, call }) => [iCdr, call]));
}

/** Calls that were made, filled or replaced by rows that were given only because their source ended. */
export function provisionalCalls(
  batch: Batch,
  { rewritten }: Recognised,
  { fresh, iCdrs, rewrittenICdrs }: Numbers,
  versions: ReadonlyMap<number, string>,
): ProvisionalRow[] {
  const { ended, of } = batch.columns;
  const rows: ProvisionalRow[] = [];
  const add = (call: CallNumber, iCdr: number, before: string | null) => {
    const { end } = of[call]!;
    const row = rowOf(batch, call);
    if (end) rows.push({ end, offset: row.offset, hash: rowHash(row), iCdr, before, iRejected: null });
  };
  for (const [index, call] of fresh.entries()) if (!ended[call]) add(call, iCdrs[index]!, null);
  for (const [index, { before, of: known }] of rewritten.entries()) {
    const iCdr = rewrittenICdrs[index]!;
    for (const call of known.unended) {
      const without = known.without!;
      const isNone = without.call === null;
      add(call, iCdr, isNone ? null : (jsonOf(without, iCdr) ?? versions.get(before!.iCdr)!));
    }
  }
  return rows;
}

function jsonOf({ call, line, json }: Without, iCdr: number): string | null {
  if (line === null) return json;
  return copyLineAsJson(line, iCdrOf(call!.startTime, iCdr % I_CDR_MONTH));
}

/** Calls that hold values of an earlier incomplete row, and that rows of the batch have completed. */
export function retoldCalls({ rewritten }: Recognised, { rewrittenICdrs }: Numbers): RetoldCall[] {
  return rewritten.flatMap(({ before, of: { without } }, index) => {
    if (before === null || without === undefined) return [];
    const now = rewrittenICdrs[index]!;
    return { was: before.iCdr, now, before: jsonOf(without, now) };
  });
}

/**
 * Whether a row is the grown form of a row that was too large to be kept whole. That row was rejected when its source
 * ended within it; the kept part of both begins alike.
 */
export const hasGrown = ({ row }: RowToReject, replacements: readonly Replacement[]): boolean =>
  row.cut === true &&
  replacements.some(({ end }) =>
    end.rows.some(({ offset, hash: was }) => offset === row.offset && was === rowHash(row)),
  );

/** The same for rejected rows. @param kept of the rows, in order */
export function provisionalRejections(
  rejected: readonly RowToReject[],
  kept: readonly KeptRejection[],
): ProvisionalRow[] {
  return rejected.flatMap(({ row, of: { end } }, index) => {
    const became = { iCdr: null, before: null, iRejected: kept[index]!.iRejected };
    return row.ended || !end ? [] : [{ end, offset: row.offset, hash: rowHash(row), ...became }];
  });
}
