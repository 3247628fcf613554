/** A batch of calls as records of a file: the result of one read of the database for an export. */

import type { Caller } from '#platform/access/caller.ts';
import { type ByteOutput, writeText } from '#platform/database/byte_output.ts';
import { csvQuery } from '#platform/database/fast_read/fast_read.ts';
import type { Session } from '#platform/database/session.ts';
import { inTurns } from '#platform/lifecycle/turns.ts';
import type { CallFilter } from '../../call_filter.ts';
import type { Order } from '../../contract.ts';
import { type CallsForm, csvLine, csvRules } from '../../csv/calls_csv.ts';
import {
  callsToMask,
  type KeysetPosition,
  type MonthWindow,
  type PageAsked,
  POSITION_COLUMNS,
  positionOf,
  recordsOfCalls,
} from '../../store/calls.ts';
import type { ZoneClock } from '../../time/zone_clock.ts';
import { seesMasked } from '../../visibility.ts';
import { maskCall } from '../lists/masking.ts';
import { nearbyMonths } from '../lists/nearby_months.ts';

/**
 * The most calls of a batch: some 700 kB. With smaller batches the export waits more often for PostgreSQL; an export with
 * batches twice as large is no faster.
 */
export const BATCH_CALLS = 2_000;

/**
 * Appends the records of a batch to `out`.
 * @param now milliseconds since 1970
 * @returns where the next batch begins; undefined: there is none
 */
export type ReadBatch = (
  session: Session,
  after: KeysetPosition | undefined,
  out: ByteOutput,
  now: number,
) => Promise<KeysetPosition | undefined>;

/** How to read the batches of an export of records. */
export const batchReader = (
  filter: CallFilter,
  order: Order,
  caller: Caller,
  zone: ZoneClock,
  form: CallsForm,
): ReadBatch =>
  batchesOf(
    filter,
    order,
    BATCH_CALLS,
    seesMasked(caller) ? writeMasked(zone, form) : writeBytes(zone, form),
  );

/**
 * Like a page, a batch is looked for in the nearest months first. Unlike a page it takes the calls that it finds there and
 * goes on behind them.
 * @param most calls of a batch
 */
export function batchesOf(filter: CallFilter, order: Order, most: number, write: Write): ReadBatch {
  /** The range of time that the last full batch covered. */
  let lengthMs: number | undefined;
  return async (session, after, out, now) => {
    let position = after;
    let room = most;
    const first = filter.among && after && lengthMs !== undefined ? near(after, order, lengthMs) : [];
    for (const window of [...first, ...nearbyMonths(filter, order, after, now)]) {
      const { count, last } = await write(session, [filter, order, position, room, window], out);
      position = last ?? position;
      room -= count;
      if (room > 0) continue;
      if (after && position)
        lengthMs = Math.abs(Date.parse(position.start_time) - Date.parse(after.start_time));
      return position;
    }
    return undefined;
  };
}

/**
 * A range where about twice as many calls are expected as a batch takes. Of several accounts each is read for as many calls
 * as the batch has room for, so a range with few more than that avoids most of the reading.
 */
function near(position: KeysetPosition, order: Order, lengthMs: number): MonthWindow[] {
  const end = new Date(Date.parse(position.start_time) + (order === 'desc' ? -2 : 2) * lengthMs);
  // An infinity, a year before Christ or beyond 9999 can't be parsed.
  if (Number.isNaN(end.getTime())) return [];
  return order === 'desc' ? [{ since: end.toISOString() }] : [{ until: end.toISOString() }];
}

interface Written {
  readonly count: number;
  /** The last one's. Undefined where there was none. */
  readonly last: KeysetPosition | undefined;
}
/** Appends the matching records. */
export type Write = (session: Session, asked: PageAsked, out: ByteOutput) => Promise<Written>;

/** Records with unmasked numbers go from PostgreSQL's bytes to the file's without a stop. */
function writeBytes(zone: ZoneClock, form: CallsForm): Write {
  const { columns, separator } = form;
  const options = { keep: POSITION_COLUMNS, rules: csvRules(zone, form), separator, cells: columns.length };
  return async (session, asked, out) => {
    const query = recordsOfCalls(columns, ...asked);
    const [{ count, last }] = await session.pipeline(csvQuery(query, out, options));
    return { count, last: positionOf(last) };
  };
}

/** Numbers are masked in JavaScript: the mask depends on the whole call. */
function writeMasked(zone: ZoneClock, form: CallsForm): Write {
  return async (session, asked, out) => {
    const calls = await session.rows(callsToMask(...asked));
    await inTurns(calls, (call) => writeText(out, csvLine(maskCall(call), zone, form)));
    return { count: calls.length, last: calls.at(-1) };
  };
}
