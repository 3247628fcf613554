/** A batch of calls as records of a file: what one read of the database gives an export. */
import { type ByteOutput, writeText } from '#platform/database/rows/byte_output.ts';
import { csvReading } from '#platform/database/rows/rows_csv.ts';
import type { Session } from '#platform/database/session.ts';
import {
  type PageAsked,
  PLACE_COLUMNS,
  type Place,
  pageOfCalls,
  placeOf,
  recordsOfCalls,
} from '../store/calls.ts';
import type { ZoneClock } from '../time/zone_clock.ts';
import type { CallsAsked } from './call_query.ts';
import { type Caller, seesMasked } from './caller.ts';
import { csvLine, csvRules } from './calls_csv.ts';
import { maskCall } from './masking.ts';
import { nearbyMonths } from './nearby_months.ts';

/**
 * Calls of a batch at most: some 700 kB. Smaller ones wait more often for the statement to reach PostgreSQL; an export
 * with batches of twice as many is no faster.
 */
export const BATCH_CALLS = 2_000;

/**
 * Appends the records of a batch to `out`.
 * @param now milliseconds since 1970
 * @returns where the next batch begins; undefined: there is none
 */
export type ReadBatch = (
  session: Session,
  after: Place | undefined,
  out: ByteOutput,
  now: number,
) => Promise<Place | undefined>;

/**
 * How the batches of an export are read. Like a page, a batch is looked for in the nearest months first; unlike a page it
 * takes what it finds in them and goes on behind it.
 */
export function batchReader({ filter, order }: CallsAsked, caller: Caller, zone: ZoneClock): ReadBatch {
  const write = seesMasked(caller) ? writeMasked(zone) : writeBytes(zone);
  return async (session, after, out, now) => {
    let place = after;
    let room = BATCH_CALLS;
    for (const stretch of nearbyMonths(filter, order, after, now)) {
      const { count, last } = await write(session, [filter, order, place, room, stretch], out);
      place = last ?? place;
      room -= count;
      if (room === 0) return place;
    }
    return undefined;
  };
}

interface Written {
  readonly count: number;
  /** The last one's; undefined where there was none. */
  readonly last: Place | undefined;
}
type Write = (session: Session, asked: PageAsked, out: ByteOutput) => Promise<Written>;

/** Records that show numbers go from PostgreSQL's bytes to the file's without a stop. */
function writeBytes(zone: ZoneClock): Write {
  const options = { keep: PLACE_COLUMNS, rules: csvRules(zone) };
  return async (session, asked, out) => {
    const [{ count, last }] = await session.together(csvReading(recordsOfCalls(...asked), out, options));
    return { count, last: placeOf(last) };
  };
}

/** Numbers are masked in JavaScript: how they are depends on the whole call. */
function writeMasked(zone: ZoneClock): Write {
  return async (session, asked, out) => {
    const calls = await session.rows(pageOfCalls(...asked));
    for (const call of calls) writeText(out, csvLine(maskCall(call), zone));
    return { count: calls.length, last: calls.at(-1) };
  };
}
