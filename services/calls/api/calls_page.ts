/** A page of calls, and the total beside it. */
import type { Session } from '#platform/database/session.ts';
import type { Statement } from '#platform/database/statement.ts';
import { rfc3339 } from '#platform/database/types.ts';
import type { VisibleAccount } from '../store/accounts.ts';
import { type CallRow, countCalls, type Place, pageOfCalls } from '../store/calls.ts';
import { totalOfCalls } from '../store/usage.ts';
import { type ZoneClock, zoneClock } from '../time/zone_clock.ts';
import { coverRange } from '../usage/usage_cover.ts';
import type { CallsAsked } from './call_query.ts';
import { type Caller, seesMasked } from './caller.ts';
import { maskCall } from './masking.ts';
import { nearbyMonths } from './nearby_months.ts';

export interface Page {
  /** A JSON array. */
  readonly calls: Buffer;
  readonly count: number;
  /** Where the next page begins, if there is one. */
  readonly next: Place | undefined;
  /** Gives the memory of `calls` back once they are copied. */
  readonly free?: () => void;
}

/** @param now milliseconds since 1970 */
export async function readPage(
  session: Session,
  asked: CallsAsked,
  after: Place | undefined,
  caller: Caller,
  now: number,
): Promise<Page> {
  const { order, limit } = asked;
  const read = seesMasked(caller) ? readMasked : readBytes;
  let page: Page | undefined;
  for (const filter of nearbyMonths(asked.filter, order, after, now)) {
    page?.free?.();
    page = await read(session, pageOfCalls(filter, order, after, limit + 1), limit);
    if (page.next) break;
  }
  return page!;
}

/** Numbers are masked in JavaScript. */
async function readMasked(session: Session, statement: Statement<CallRow>, limit: number): Promise<Page> {
  const found = await session.rows(statement);
  const calls = found.slice(0, limit);
  return {
    calls: Buffer.from(JSON.stringify(calls.map(maskCall))),
    count: calls.length,
    next: found.length > limit ? calls.at(-1) : undefined,
  };
}

/** A page that shows numbers goes from PostgreSQL's bytes to JSON's without a stop. */
async function readBytes(session: Session, statement: Statement<CallRow>, limit: number): Promise<Page> {
  const page = await session.json(statement, { limit, keep: ['start_time', 'i_cdr'] });
  const { start_time, i_cdr } = page.last ?? {};
  const next =
    page.more && start_time && i_cdr ? { start_time: rfc3339(start_time), i_cdr: Number(i_cdr) } : undefined;
  return { calls: page.bytes, count: page.count, next, free: page.free };
}

/**
 * The total beside a page. Page and total are two statements, and a call may come in between; read after the page, the
 * total is never less than what the page shows, and where the page is all there is, it is the page's own count.
 * @param all how many calls the page has, where it is all there is
 */
export async function totalOf(
  session: Session,
  asked: CallsAsked,
  account: VisibleAccount,
  all: number | undefined,
): Promise<number | undefined> {
  if (asked.total === 'none') return undefined;
  if (all !== undefined) return all;
  if (asked.total === 'counted') return (await session.row(countCalls(asked.filter)))!.total;
  const total = (zone: ZoneClock | undefined) =>
    session.row(totalOfCalls(asked.filter.iAccount, asked.filter.type, coverRange(asked.range, zone)));
  const byDays = (await total(zoneClock(account.time_zone)))!;
  return byDays.days_confirmed ? byDays.total : (await total(undefined))!.total;
}
