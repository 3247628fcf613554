/** From a request's query to what it asks for, or the error that says what is wrong with it. */

import { type CallsQuery, DEFAULT_LIMIT } from '../contract.ts';
import { callsError } from '../errors.ts';
import type { Order } from '../store/calls.ts';
import { type Micros, readInstant, utcText } from '../time/instants.ts';
import { type ZoneClock, zoneClock } from '../time/zone_clock.ts';
import type { Range } from '../usage/usage_cover.ts';
import { type CallFilter, isSummed } from './call_filter.ts';
import { boundOf, type Caller, seesMasked } from './caller.ts';
import type { CursorQuery } from './cursor.ts';
import { type NumberPattern, readNumberPattern } from './number_pattern.ts';

/** What a list asks for. */
export interface CallsAsked {
  readonly filter: CallFilter;
  readonly range: Range;
  readonly order: Order;
  readonly limit: number;
  readonly cursor: string | undefined;
  /** Whether `total` is wanted, and may be read off the usage tables. */
  readonly total: 'none' | 'summed' | 'counted';
  /** The filters as a cursor is bound to them. */
  readonly cursorQuery: CursorQuery;
}

/** @throws ApiError 400 or 403 naming the parameter */
export function readCallsQuery(query: CallsQuery, caller: Caller): CallsAsked {
  if (seesMasked(caller) && (query.cli !== undefined || query.cld !== undefined)) {
    // Searching by number would tell by its hits what the masks hide: four starred digits are 10,000 questions.
    throw callsError('numbers_masked');
  }
  const from = instantOf('from', query.from);
  const to = instantOf('to', query.to);
  requireOrder(from, to);
  const filter: CallFilter = {
    iAccount: accountOf(query.i_account, caller),
    type: query.type ?? 'all',
    from: from === undefined ? undefined : utcText(from),
    to: to === undefined ? undefined : utcText(to),
    cli: patternOf('cli', query.cli),
    cld: patternOf('cld', query.cld),
    callId: query.call_id,
    direction: query.direction,
    minDurationS: query.min_duration_s,
  };
  const order = query.order ?? 'desc';
  const cheap = isSummed(filter);
  return {
    filter,
    range: { from: from ?? null, to: to ?? null },
    order,
    limit: query.limit ?? DEFAULT_LIMIT,
    cursor: query.cursor,
    total: (query.with_total ?? cheap) ? (cheap ? 'summed' : 'counted') : 'none',
    cursorQuery: {
      i_account: String(filter.iAccount),
      from: filter.from,
      to: filter.to,
      cli: filter.cli && JSON.stringify(filter.cli),
      cld: filter.cld && JSON.stringify(filter.cld),
      call_id: filter.callId,
      direction: filter.direction,
      type: filter.type,
      min_duration_s: filter.minDurationS === undefined ? undefined : String(filter.minDurationS),
      order,
    },
  };
}

/** The account asked for; a customer's own where it names none. Whether the caller may see it is not told here. */
export function accountOf(asked: number | undefined, caller: Caller): number {
  const iAccount = asked ?? boundOf(caller);
  if (iAccount === null) throw callsError('no_account', { fields: { fields: ['i_account'] } });
  return iAccount;
}

/** @throws ApiError 400 for a name that is no zone */
export function zoneOf(name: string): ZoneClock {
  const zone = zoneClock(name);
  if (!zone)
    throw badParameter('time_zone', 'is not a time zone of the IANA database, such as Europe/Berlin');
  return zone;
}

/** @throws ApiError 400 unless `from` is before `to` */
export function requireOrder(from: Micros | undefined, to: Micros | undefined): void {
  if (from !== undefined && to !== undefined && from >= to) throw badParameter('from', 'must be before `to`');
}

function instantOf(name: string, text: string | undefined): Micros | undefined {
  if (text === undefined) return undefined;
  const read = readInstant(text);
  if (read.kind === 'bad') throw badParameter(name, read.reason);
  return read.at;
}

function patternOf(name: string, text: string | undefined): NumberPattern | undefined {
  if (text === undefined) return undefined;
  const read = readNumberPattern(text);
  if (read.kind === 'bad') throw badParameter(name, read.reason);
  return read;
}

/** @param reason goes on from the parameter's name */
export function badParameter(name: string, reason: string) {
  return callsError('bad_request', {
    message: `Query parameter \`${name}\` ${reason}`,
    fields: { fields: [name] },
  });
}
