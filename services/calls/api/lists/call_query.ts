/** Parses a request's query, or returns the error that names its fault. */

import type { Caller } from '#platform/access/caller.ts';
import type { CursorQuery } from '#platform/access/cursor.ts';
import type { SeenPeriod } from '../../call_filter.ts';
import { type CallFilter, type FilterPart, isSummed, type NumberSearches } from '../../call_filter.ts';
import type { Order } from '../../contract.ts';
import { type CallsQuery, DEFAULT_LIMIT, type View } from '../../contract.ts';
import { badParameter, callsError } from '../../errors.ts';
import { type NumberPattern, readNumberPattern, searchFor } from '../../number_pattern.ts';
import { createNumberReader } from '../../numbers.ts';
import type { TreeAccount } from '../../store/accounts.ts';
import { utcText } from '../../time/instants.ts';
import { type ZoneClock, zoneClock } from '../../time/zone_clock.ts';
import type { Range } from '../../usage/usage_cover.ts';
import { seesMasked, visibleRootOf } from '../../visibility.ts';
import { type AccountsAsked, type FoundAccounts, seenRange } from './account_access.ts';
import { type End, endAt, readEnd, requireOrder, zoneOf } from './time_range.ts';

/** Parameters with a number: the caller's, the called one, or either. */
const NUMBERS = ['cli', 'cld', 'number'] as const;
type Numbers = Readonly<Partial<Record<(typeof NUMBERS)[number], NumberPattern>>>;

/** A list's request. */
export interface CallsAsked {
  /** All filters except the numbers and the time, whose meaning depends on the account's country and zone (resolveQuery). */
  readonly filter: Omit<CallFilter, keyof Numbers | 'among' | 'from' | 'to'>;
  readonly accounts: AccountsAsked;
  /** Each record, or each call by its first leg. */
  readonly view: View;
  readonly numbers: Numbers;
  readonly from: End | undefined;
  readonly to: End | undefined;
  /** Of dates, and of times in a file. Undefined: not given. */
  readonly zone: ZoneClock | undefined;
  readonly order: Order;
  readonly limit: number;
  readonly cursor: string | undefined;
  /** Whether `total` is requested, and may be read off the usage tables. */
  readonly total: 'none' | 'summed' | 'counted';
  /** The filters to which a cursor is bound. */
  readonly cursorQuery: CursorQuery;
}

/** @throws ApiError 400 or 403 naming the parameter */
export function readCallsQuery(query: CallsQuery, caller: Caller): CallsAsked {
  if (seesMasked(caller) && NUMBERS.some((name) => query[name] !== undefined)) {
    // Hits of a search by number would reveal the masked digits: four starred digits are 10,000 questions.
    throw callsError('numbers_masked');
  }
  const from = readEnd('from', query.from);
  const to = readEnd('to', query.to);
  const zone = query.time_zone === undefined ? undefined : zoneOf(query.time_zone);
  // For a date and an instant the zone decides which comes first.
  if (zone || typeof from === typeof to) requireOrder(endAt(from, zone ?? UTC), endAt(to, zone ?? UTC));
  const view = query.view ?? 'records';
  if (view === 'calls') refuseOfRecords(query);
  const accounts = accountsAsked(query, caller);
  const filter = {
    iAccount: accounts.iAccount,
    type: query.type ?? 'all',
    callId: query.call_id,
    linkedId: query.linked_id,
    numbersHidden: seesMasked(caller),
    direction: query.direction,
    minDurationS: query.min_duration_s,
    iImport: query.i_import,
  };
  const numbers: Numbers = Object.fromEntries(
    NUMBERS.flatMap((name) => {
      const pattern = patternOf(name, query[name]);
      return pattern ? [[name, pattern]] : [];
    }),
  );
  const [number] = Object.keys(numbers);
  if (accounts.iAccount === null && number !== undefined)
    throw badParameter(number, 'needs `i_account`: how a number may be written depends on the account');
  const order = query.order ?? 'desc';
  const cheap = view === 'records' && isSummed(filter) && number === undefined;
  return {
    filter,
    accounts,
    view,
    numbers,
    from,
    to,
    zone,
    order,
    limit: query.limit ?? DEFAULT_LIMIT,
    cursor: query.cursor,
    total: (query.with_total ?? cheap) ? (cheap ? 'summed' : 'counted') : 'none',
    cursorQuery: {
      i_account: accounts.iAccount === null ? undefined : String(accounts.iAccount),
      include: accounts.children ? 'children' : undefined,
      from: textOf(from),
      to: textOf(to),
      time_zone: hasDates({ from, to }) ? zone?.timeZone : undefined,
      ...Object.fromEntries(
        Object.entries(numbers).map(([name, pattern]) => [name, JSON.stringify(pattern)]),
      ),
      call_id: filter.callId,
      linked_id: filter.linkedId,
      direction: filter.direction,
      type: filter.type,
      min_duration_s: filter.minDurationS === undefined ? undefined : String(filter.minDurationS),
      i_import: filter.iImport === undefined ? undefined : String(filter.iImport),
      order,
      // Left out as in cursors of the time before there were views.
      view: view === 'records' ? undefined : view,
    },
  };
}

/** @throws ApiError 400 for filters of records, which do not fit calls */
function refuseOfRecords({ type, i_import }: CallsQuery): void {
  if (type === 'non_zero' || type === 'errors')
    throw badParameter(
      'type',
      `is ${type}, which is of records; with view=calls it may be all, answered or missed`,
    );
  if (i_import !== undefined) throw badParameter('i_import', 'is of records: leave out view=calls');
}

const reader = createNumberReader();

const UTC = zoneClock('UTC')!;

const textOf = (end: End | undefined) => (typeof end === 'number' ? utcText(end) : end);

/** Whether the result depends on a zone. */
export const hasDates = ({ from, to }: Pick<CallsAsked, 'from' | 'to'>): boolean =>
  typeof from === 'string' || typeof to === 'string';

/** Whether the account must be known before its calls can be looked for. */
export const needsAccount = (asked: CallsAsked): boolean =>
  asked.accounts.children ||
  Object.keys(asked.numbers).length > 0 ||
  (asked.zone === undefined && hasDates(asked));

/** The request for an account. */
export interface ResolvedQuery {
  readonly filter: CallFilter;
  readonly range: Range;
  /** The zone of a file's reader: the given one, else the account's for dates, else UTC. */
  readonly zone: ZoneClock;
}

/**
 * @param found undefined: the account need not be known (needsAccount)
 * @throws ApiError 400 unless `from` is before `to`
 */
export function resolveQuery(asked: CallsAsked, found: FoundAccounts | undefined): ResolvedQuery {
  const { account, tree } = found ?? {};
  const own = hasDates(asked) && account ? zoneClock(account.time_zone) : undefined;
  const zone = asked.zone ?? own ?? UTC;
  const from = endAt(asked.from, zone);
  const to = endAt(asked.to, zone);
  requireOrder(from, to);
  const whole = { from: from ?? null, to: to ?? null };
  const seen = tree ? null : (account?.seen ?? null);
  const range = seen ? within(whole, seen) : whole;
  const filter = {
    ...asked.filter,
    from: textOf(range.from ?? undefined),
    to: textOf(range.to ?? undefined),
  };
  return {
    filter: tree
      ? { ...filter, among: partsOf(tree, asked.numbers) }
      : {
          ...filter,
          ...(seen && seen.length > 1 && { seen }),
          ...searchesFor(asked.numbers, account?.country ?? null),
        },
    range,
    zone,
  };
}

/** A range from the first of the periods to the last. An empty one where it does not overlap them. */
function within(range: Range, seen: readonly SeenPeriod[]): Range {
  const all = { from: seen[0]!.from, to: seen.at(-1)!.to };
  const found = seenRange(range, all);
  if (found) return found;
  const at = range.from ?? range.to!;
  return { from: at, to: at };
}

const searchesFor = (numbers: Numbers, country: string | null): NumberSearches =>
  Object.fromEntries(
    Object.entries(numbers).map(([name, pattern]) => [name, searchFor(pattern, reader, country)]),
  );

/** Accounts in which a number is looked for in the same way. */
function partsOf(tree: readonly TreeAccount[], numbers: Numbers): FilterPart[] {
  const asksForNumbers = Object.keys(numbers).length > 0;
  return [...Map.groupBy(tree, ({ country }) => (asksForNumbers ? country : null))].flatMap(
    ([country, accounts]) => {
      const always = accounts.filter(({ seen }) => seen === null).map(({ i_account }) => i_account);
      const moved = accounts.flatMap(({ i_account, seen }) =>
        (seen ?? []).map((period) => ({ i_account, period })),
      );
      const searches = searchesFor(numbers, country);
      return [
        ...(always.length > 0 ? [{ iAccounts: always, ...searches }] : []),
        ...(moved.length > 0
          ? [
              {
                iAccounts: moved.map(({ i_account }) => i_account),
                seen: moved.map(({ period }) => period),
                ...searches,
              },
            ]
          : []),
      ];
    },
  );
}

/** A page of this many calls is as much work as a batch of an export. */
const MANY_CALLS = 250;
const MANY_LINKED = 100;

/**
 * Whether a page may take long to find: a count reads all calls that it counts; a filter without an index in order of time
 * may read all calls of the account.
 */
export function isHeavyPage({ filter, accounts, numbers, limit, total, view }: CallsAsked): boolean {
  // Whether a call is answered is known only after its legs are read.
  if (view === 'calls' && (limit > MANY_LINKED || filter.type !== 'all')) return true;
  const { callId, linkedId, direction, minDurationS, iImport } = filter;
  const patterns = Object.values(numbers);
  const isFound =
    callId !== undefined || linkedId !== undefined || patterns.some(({ kind }) => kind === 'exact');
  // Each of many accounts is searched.
  if (accounts.children && callId === undefined) return true;
  const walks = patterns.length > 0 || [direction, minDurationS, iImport].some((one) => one !== undefined);
  return limit > MANY_CALLS || total === 'counted' || (walks && !isFound);
}

/** The accounts of the request. An id without an account is looked up in all accounts of the caller. */
function accountsAsked({ i_account, call_id, include }: CallsQuery, caller: Caller): AccountsAsked {
  const root = visibleRootOf(caller);
  if (i_account !== undefined || call_id === undefined)
    return { iAccount: accountOf(i_account, caller), children: include === 'children' };
  if (root === null && include !== undefined) throw badParameter('include', 'needs `i_account`');
  return { iAccount: root, children: root !== null };
}

/** The requested account; a customer's own where it names none. Another function checks whether the caller may see it. */
export function accountOf(asked: number | undefined, caller: Caller): number {
  const iAccount = asked ?? visibleRootOf(caller);
  if (iAccount === null) throw callsError('no_account', { fields: { fields: ['i_account'] } });
  return iAccount;
}

function patternOf(name: string, text: string | undefined): NumberPattern | undefined {
  if (text === undefined) return undefined;
  const read = readNumberPattern(text);
  if (read.kind === 'bad') throw badParameter(name, read.reason);
  return read;
}
