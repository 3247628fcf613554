/** Writes a batch's calls and their usage: new ones by COPY; rewrites those that combine several records. */
import { pipeline } from 'node:stream/promises';
import { from as copyFrom } from 'pg-copy-streams';
import type { Session } from '#platform/database/session.ts';
import { inStatementSpan } from '#platform/database/statement_span.ts';
import { COPY_COLUMNS } from '../call_fields.ts';
import { I_CDR_MONTH, iCdrOf, monthOfICdr } from '../i_cdr.ts';
import { monthOf } from '../months.ts';
import { addUsage, takeNumbers } from '../store/intake.ts';
import { keepHistory, takeBack, tidyUsage } from '../store/told_calls.ts';
import type { Batch } from './batch.ts';
import { type CallColumns, type CallNumber, callColumns, setCall } from './call_columns.ts';
import { copyLine } from './copy_text.ts';
import type { ImportSource } from './import_source.ts';
import { spanOfNumbers } from './look_up.ts';
import type { Recognised, Rewritten } from './recognise.ts';
import { MetOthersError } from './source_turn.ts';
import { sumByQuarter } from './usage.ts';

export interface WrittenCalls {
  /** In the order of storing, and beside each its i_cdr. */
  readonly fresh: readonly CallNumber[];
  readonly iCdrs: readonly number[];
  /** For the rewritten calls. */
  readonly rewrittenICdrs: readonly number[];
  /** When the last of the rewritten ones that ended by `until` ended, in milliseconds since 1970; 0: there is none. */
  readonly lastRewrittenEnd: number;
}

/**
 * @param until calls that end later do not move the time up to which the source has sent its calls
 * @throws MetOthersError where a call to be rewritten is gone or has moved
 */
export async function writeCalls(
  session: Session,
  importSource: ImportSource,
  batch: Batch,
  recognised: Recognised,
  until: number,
): Promise<WrittenCalls> {
  const { rewritten } = recognised;
  const fresh = recognised.fresh.toSorted(byTime(batch.columns));
  const { startTime } = batch.columns;
  const count = fresh.length + rewritten.filter(({ before }) => before === null).length;
  if (count + rewritten.length === 0) return { fresh, iCdrs: [], rewrittenICdrs: [], lastRewrittenEnd: 0 };
  const taken = count === 0 ? undefined : await session.row(takeNumbers(count));
  const numbers = taken?.numbers.split(',').map(Number) ?? [];
  const iCdrs = fresh.map((call, index) => iCdrOf(startTime[call]!, numbers[index]!));
  let next = fresh.length;
  const rewrittenICdrs = rewritten.map(({ before, cdr }) => {
    const start = cdr.record.startTime;
    if (before === null) return iCdrOf(start, numbers[next++]!);
    // Its number contains its month.
    return monthOfICdr(before.iCdr) === monthOf(start)
      ? before.iCdr
      : iCdrOf(start, before.iCdr % I_CDR_MONTH);
  });
  await takeBackOld(session, importSource, rewritten, rewrittenICdrs);
  const lines = rewritten.map(
    (call, index) => `${rewrittenICdrs[index]}${copyLine(call.cdr, call.line, call)}`,
  );
  const copy = `COPY calls.cdrs (${COPY_COLUMNS.join(', ')}) FROM STDIN`;
  await inStatementSpan(
    session.client,
    () => [copy],
    () => pipeline(copyChunks(batch, fresh, iCdrs, lines), session.client.query(copyFrom(copy))),
  );
  if (fresh.length > 0) await session.run(addUsage(sumByQuarter(batch.columns, fresh)));
  const lastRewrittenEnd = await addRewrittenUsage(session, rewritten, until);
  return { fresh, iCdrs, rewrittenICdrs, lastRewrittenEnd };
}

/**
 * The one order in which every import stores: two imports of the same calls wait for each other instead of each holding a
 * lock that the other wants, and calls of a time lie together on disk.
 */
function byTime({ startTime, key }: CallColumns): (a: CallNumber, b: CallNumber) => number {
  return (a, b) => startTime[a]! - startTime[b]! || (key[a]! < key[b]! ? -1 : key[a]! > key[b]! ? 1 : 0);
}

async function takeBackOld(
  session: Session,
  importSource: ImportSource,
  rewritten: readonly Rewritten[],
  now: readonly number[],
): Promise<void> {
  const old = rewritten.flatMap(({ before }) => (before === null ? [] : [before.iCdr]));
  if (old.length === 0) return;
  const span = spanOfNumbers(old);
  const replaced = rewritten.flatMap(({ before, replaces }, index) =>
    before !== null && replaces ? [[before.iCdr, now[index]!] as const] : [],
  );
  if (replaced.length > 0) {
    const [from, to] = [replaced.map(([was]) => was), replaced.map(([, is]) => is)];
    await session.run(keepHistory(from, to, importSource.iImport, span));
  }
  const { count } = (await session.row(takeBack(old, span)))!;
  if (count !== old.length) throw new MetOthersError(importSource.source);
}

async function addRewrittenUsage(
  session: Session,
  rewritten: readonly Rewritten[],
  until: number,
): Promise<number> {
  if (rewritten.length === 0) return 0;
  const columns = callColumns(rewritten.length);
  for (const [call, { cdr }] of rewritten.entries()) setCall(columns, call, cdr);
  await session.run(addUsage(sumByQuarter(columns, [...rewritten.keys()])));
  const old = rewritten.flatMap(({ before }) =>
    before === null ? [] : [{ iAccount: before.iAccount, start: before.startTime }],
  );
  if (old.length > 0) for (const statement of tidyUsage(old)) await session.run(statement);
  return columns.endTime.reduce((last, end) => (end <= until ? Math.max(last, end) : last), 0);
}

const CHUNK_BYTES = 128 * 1024;
/** Digits of an i_cdr. */
const I_CDR_BYTES = 16;

/**
 * The input of COPY: the calls' lines, cut out of their batch's bytes, each with its i_cdr before it.
 * @param iCdrs of the calls, in the same order
 * @param others whole lines, to be added behind them
 */
export function* copyChunks(
  batch: Batch,
  calls: readonly CallNumber[],
  iCdrs: readonly number[],
  others: readonly string[] = [],
): Generator<Buffer> {
  const { textFrom, textTo } = batch.columns;
  let chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  let end = 0;
  for (const [index, call] of calls.entries()) {
    const needed = I_CDR_BYTES + textTo[call]! - textFrom[call]!;
    if (end + needed > chunk.length) {
      yield chunk.subarray(0, end);
      chunk = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, needed));
      end = 0;
    }
    end += chunk.write(String(iCdrs[index]), end, 'latin1');
    end += batch.bytes.copy(chunk, end, textFrom[call], textTo[call]);
  }
  yield chunk.subarray(0, end);
  for (const line of others) yield Buffer.from(line);
}
