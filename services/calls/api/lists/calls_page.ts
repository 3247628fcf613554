/** A page of calls, its account, and the total. */

import type { Caller } from '#platform/access/caller.ts';
import { type DecodedQuery, jsonQuery, valuesQuery } from '#platform/database/fast_read/fast_read.ts';
import type { Session } from '#platform/database/session.ts';
import { SECONDS_COLUMNS } from '../../call_fields.ts';
import { accountsOf, type CallFilter, isSummed, seesAllTime } from '../../call_filter.ts';
import type { VisibleAccount } from '../../store/accounts.ts';
import {
  callsToMask,
  callsToWrite,
  countCalls,
  type KeysetPosition,
  type PageAsked,
  POSITION_COLUMNS,
  positionOf,
} from '../../store/calls.ts';
import { totalOfCalls } from '../../store/usage.ts';
import { zoneClock } from '../../time/zone_clock.ts';
import { coverRange, type Range } from '../../usage/usage_cover.ts';
import { seesMasked, visibleRootOf } from '../../visibility.ts';
import {
  accountAsked,
  type FoundAccounts,
  findVisibleAccounts,
  noAccount,
  seenByZone,
  seenRange,
} from './account_access.ts';
import { type CallsAsked, needsAccount, resolveQuery } from './call_query.ts';
import { maskCall } from './masking.ts';
import { nearbyMonths } from './nearby_months.ts';

/** A total of all time needs no zone, so any zone will do. */
const UTC = zoneClock('UTC');

export interface Page {
  readonly account: VisibleAccount;
  /** Where the next page begins, if there is one. */
  readonly next: KeysetPosition | undefined;
  /** Of all pages, if requested. */
  readonly total: number | undefined;
  /** The answer: the calls as `data`, and the rest of its fields behind. */
  answer(rest: object): Buffer;
  /** Frees the answer's memory. Call it after the answer is sent. */
  free(): void;
}

/**
 * Reads a page for a caller. The usual request, for the newest calls of an account that is certainly visible to the caller,
 * takes one round trip to PostgreSQL.
 * @param now milliseconds since 1970
 * @throws ApiError 404 for an account that the caller may not see
 */
export async function readPage(
  session: Session,
  asked: CallsAsked,
  after: KeysetPosition | undefined,
  caller: Caller,
  now: number,
): Promise<Page> {
  const { order, limit } = asked;
  const { iAccount } = asked.filter;
  const root = visibleRootOf(caller);
  // If the calls may be another customer's, they are not looked for before that is known: the time of the search would show it.
  const mayBeForeign = root !== null && root !== iAccount;
  const known =
    mayBeForeign || needsAccount(asked)
      ? await findVisibleAccounts(session, asked.accounts, caller)
      : undefined;
  const { filter, range } = resolveQuery(asked, known);
  let account = known?.account;
  const prepared = isSummed(filter) && seesAllTime(filter) && range.from === null && range.to === null;

  let calls: Calls | undefined;
  let total: number | undefined;
  for (const window of nearbyMonths(filter, order, after, now)) {
    const first = calls === undefined;
    calls?.free();
    const callsQuery = seesMasked(caller) ? maskedCalls : plainCalls;
    // The account comes first: data_complete_to must not be read after the calls. The total comes last, so
    // that it is never less than the page shows.
    const [accounts, found, totals] = await session.pipeline(
      account ? undefined : valuesQuery(accountAsked(iAccount, caller), true),
      callsQuery([filter, order, after, limit + 1, window], limit, prepared),
      first && prepared && asked.total === 'summed'
        ? valuesQuery(totalOfCalls([{ ...allOf(filter), cover: coverRange(range, UTC) }], filter.type), true)
        : undefined,
    );
    calls = found;
    account ??= accounts?.[0];
    if (!account) throw noAccount(iAccount);
    total = totals?.[0]?.total;
    if (calls.next) break;
  }
  const { next, count, answer, free } = calls!;
  if (!after && !next) total = asked.total === 'none' ? undefined : count;
  else total ??= await totalOf(session, asked.total, filter, range, known ?? { account: account! });
  return { account: account!, next, total, answer, free };
}

/** The calls of a page. */
interface Calls {
  readonly count: number;
  readonly next: KeysetPosition | undefined;
  answer(rest: object): Buffer;
  free(): void;
}

/** @param asked for one call more than `limit`: it shows that there is a next page */
type CallsQuery = (asked: PageAsked, limit: number, prepared: boolean) => DecodedQuery<Calls>;

const ANSWER_BEGINS = '{"success":true,"data":';

const behind = (rest: object) => `,${JSON.stringify(rest).slice(1)}`;

/** A page with unmasked numbers goes from PostgreSQL's bytes to JSON's without a stop. */
const plainCalls: CallsQuery = (asked, limit, prepared) => {
  const options = {
    limit,
    keep: POSITION_COLUMNS,
    numbers: SECONDS_COLUMNS,
    before: ANSWER_BEGINS,
  };
  const { query, sink, answer } = jsonQuery({ ...callsToWrite(...asked), prepared }, options);
  return {
    query,
    sink,
    answer: () => {
      const page = answer();
      return {
        count: page.count,
        next: page.more ? positionOf(page.last) : undefined,
        answer: (rest) => {
          page.append(behind(rest));
          return page.bytes;
        },
        free: page.free,
      };
    },
  };
};

/** Numbers are masked in JavaScript. */
const maskedCalls: CallsQuery = (asked, limit, prepared) => {
  const { query, sink, answer } = valuesQuery(callsToMask(...asked), prepared);
  return {
    query,
    sink,
    answer: () => {
      const found = answer();
      const calls = found.slice(0, limit);
      return {
        count: calls.length,
        next: found.length > limit ? calls.at(-1) : undefined,
        answer: (rest) =>
          Buffer.from(`${ANSWER_BEGINS}${JSON.stringify(calls.map(maskCall))}${behind(rest)}`),
        free: () => undefined,
      };
    },
  };
};

/** The total of a page that came without one. It is read after the page, so it is never less than the page shows. */
async function totalOf(
  session: Session,
  wanted: CallsAsked['total'],
  filter: CallFilter,
  range: Range,
  found: FoundAccounts,
): Promise<number | undefined> {
  if (wanted === 'none') return undefined;
  if (wanted === 'counted') return (await session.row(countCalls(filter)))!.total;
  // The sums are of one account.
  const zones = seenByZone(found, filter.iAccount!);
  const total = (byDays: boolean) => {
    const parts = zones.flatMap((accounts) => {
      const days = byDays ? zoneClock(accounts.timeZone) : undefined;
      const seen = seenRange(range, accounts.seen);
      return seen ? [{ ...accounts, cover: coverRange(seen, days) }] : [];
    });
    return session.row(totalOfCalls(parts, filter.type));
  };
  const byDays = (await total(true))!;
  return byDays.days_confirmed ? byDays.total : (await total(false))!.total;
}

/** A total of all time needs no zone. */
const allOf = (filter: CallFilter) => ({ iAccounts: accountsOf(filter), timeZone: '' });
