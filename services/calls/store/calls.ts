/** Statements that read calls. Each list walks an index of one account in order of time, and stops at the end of the page. */
import { type RawBuilder, sql } from 'kysely';
import { type KeptValues, RESULT_FORMAT, type RowQuery } from '#platform/database/fast_read/fast_read.ts';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import { CALL_COLUMNS, type CallColumn, type CallDetailRow, type CallRow, fieldOf } from '../call_fields.ts';
import type { CallFilter, FilterPart } from '../call_filter.ts';
import type { Order } from '../contract.ts';
import { dataCompleteTo, isAtOrBelow } from './accounts.ts';
import { plainArray } from './array_text.ts';
import { accountsSeen, isOfSeen, LINKAGE, matches, matchesIn, waysTo } from './call_conditions.ts';

const build = sqlBuilder<unknown>();

const FLAGS = "coalesce(c.flags, '{}')";
/** Columns whose values pg returns as JavaScript values. */
const AS_VALUES = {
  duration_s: 'c.duration_s::float8',
  billed_duration_s: 'c.billed_duration_s::float8',
  flags: FLAGS,
  linked_id: LINKAGE,
};
const VALUES = listed(AS_VALUES);
/** A call without an id has the hash over its record as id. The hash would confirm a guess at the hidden digits. */
const SHOWN_CALL_ID = "CASE WHEN c.call_id = c.source_key THEN '' ELSE c.call_id END";
const SHOWN_LINKED_ID = `CASE WHEN c.linked_id IS NULL AND c.call_id = c.source_key THEN '' ELSE ${LINKAGE} END`;
const MASKABLE = listed({ ...AS_VALUES, call_id: SHOWN_CALL_ID, linked_id: SHOWN_LINKED_ID });
/** The columns of a record `c` as JavaScript values. @param masked for callers who see masked numbers */
export const valueColumns = (masked: boolean): RawBuilder<unknown> => (masked ? MASKABLE : VALUES);
/** The id columns of a record `c` and of its call. @param masked for callers who see masked numbers */
export const idColumns = (masked: boolean): RawBuilder<unknown> =>
  sql.raw(
    `${masked ? SHOWN_LINKED_ID : LINKAGE} AS linked_id, ${masked ? SHOWN_CALL_ID : 'c.call_id'} AS call_id`,
  );
// For JSON and CSV: casts of seconds and texts of times would be nearly half of the cost of a statement.
const PAGE = listed({ flags: FLAGS, linked_id: LINKAGE });
const RECORD = { flags: "array_to_string(c.flags, ' ')", linked_id: LINKAGE };
const formatsOf = (columns: readonly CallColumn[]) =>
  columns.map((column) => RESULT_FORMAT[fieldOf(column).kind === 'time' ? 'binary' : 'text']);
const FORMATS = formatsOf(CALL_COLUMNS);

/** The columns as SQL. A column that is not a plain name has an expression. */
function listed(
  expressions: Readonly<Record<string, string>>,
  columns: readonly CallColumn[] = CALL_COLUMNS,
): RawBuilder<unknown> {
  const terms = columns.map((name) => (expressions[name] ? `${expressions[name]} AS ${name}` : `c.${name}`));
  return sql.raw(terms.join(', '));
}

/** The last call of a page. The next page begins behind it. */
export interface KeysetPosition {
  /** As PostgreSQL gave it: a microsecond less or more would skip or repeat calls. */
  readonly start_time: string;
  readonly i_cdr: number;
}

/** The position of a row whose start_time and i_cdr were kept; undefined if there is no row. */
export function positionOf(kept: KeptValues | undefined): KeysetPosition | undefined {
  const { start_time, i_cdr } = kept ?? {};
  return start_time && i_cdr ? { start_time, i_cdr: Number(i_cdr) } : undefined;
}

/** The columns of a position. */
export const POSITION_COLUMNS = ['start_time', 'i_cdr'] as const satisfies readonly CallColumn[];

/** The months in which a list is searched: from `since` up to, but not including, `until`; instants in RFC 3339. */
export interface MonthWindow {
  readonly since?: string;
  readonly until?: string;
}

/** The arguments of a page: at most `limit` calls behind `after`, within a window. */
export type PageAsked = [
  filter: CallFilter,
  order: Order,
  after: KeysetPosition | undefined,
  limit: number,
  window?: MonthWindow,
];

/** A page of calls. */
export const pageOfCalls = (...asked: PageAsked): Statement<CallRow> => selectPage(VALUES, ...asked);

/** The same for callers who see masked numbers. The caller of the function masks the numbers (api/lists/masking.ts). */
export const callsToMask = (...asked: PageAsked): Statement<CallRow> => selectPage(MASKABLE, ...asked);

/** The same for jsonQuery. SECONDS_COLUMNS are numbers. */
export const callsToWrite = (...asked: PageAsked): RowQuery => ({
  ...selectPage(PAGE, ...asked),
  formats: FORMATS,
});

/** The same for csvQuery: these columns, followed by the columns of the position that are not among them. */
export function recordsOfCalls(columns: readonly CallColumn[], ...asked: PageAsked): RowQuery {
  const all = [...columns, ...POSITION_COLUMNS.filter((column) => !columns.includes(column))];
  return { ...selectPage(listed(RECORD, all), ...asked), formats: formatsOf(all) };
}

/**
 * Two calls may start in the same microsecond; then i_cdr orders them. The comparison of pairs alone walks the index, but leaves
 * every partition in the plan. The additional condition on start_time removes partitions from the plan. Window and limit are
 * literals, not parameters, so that a prepared plan has few partitions.
 */
const selectPage = (columns: RawBuilder<unknown>, ...asked: PageAsked): Statement<CallRow> =>
  walkPage<CallRow>({ columns }, ...asked);

/** The parts of a page's statement beside the filter. */
export interface PageParts {
  /** Columns of records `c`, or of the joined tables. */
  readonly columns: RawBuilder<unknown>;
  readonly joined?: RawBuilder<unknown>;
  /** Further conditions. Begins with AND. */
  readonly also?: RawBuilder<unknown>;
  /** Whether the further conditions name joined tables. */
  readonly alsoOfJoined?: boolean;
}

/** A page in the order of its records `c`, of one account or of all accounts of the filter. */
export function walkPage<Row>(parts: PageParts, ...[filter, ...order]: PageAsked): Statement<Row> {
  const { columns, joined = sql``, also = sql`` } = parts;
  const { near, within, ordered } = orderOf(...order);
  const condition = (way: RawBuilder<unknown>) => sql`WHERE ${way} ${also} ${within}`;
  const whole = (way: RawBuilder<unknown>) =>
    sql`SELECT ${columns} FROM calls.cdrs c ${joined} ${condition(way)}`;
  if (!filter.among) {
    const ways = waysTo(filter).map(whole);
    if (ways.length === 1) return sql<Row>`${ways[0]}`.compile(build);
    const each = ways.map((way) => sql`(${way})`);
    return sql<Row>`SELECT * FROM (${sql.join(each, sql` UNION ALL `)}) c ${ordered}`.compile(build);
  }
  const from = sql`calls.cdrs c ${parts.alsoOfJoined ? joined : sql``}`;
  if (filter.callId === undefined) {
    const places = placesAmong(filter.among, filter, from, condition);
    return sql<Row>`
      SELECT ${columns} FROM (
        SELECT c.i_account, c.start_time, c.i_cdr FROM (${sql.join(places, sql` UNION ALL `)}) c ${ordered}) AS page
      JOIN calls.cdrs c ON c.i_account = page.i_account AND c.start_time = page.start_time AND c.i_cdr = page.i_cdr
        ${near} ${joined}
      ${ordered}`.compile(build);
  }
  const ways = filter.among.map((part) => matchesIn(part, filter));
  if (ways.length === 1) return sql<Row>`${whole(ways[0]!)}`.compile(build);
  const each = ways.map((way) => sql`(SELECT c.* FROM ${from} ${condition(way)})`);
  return sql<Row>`
    SELECT ${columns} FROM (${sql.join(each, sql` UNION ALL `)}) c ${joined} ${ordered}`.compile(build);
}

type OrderAsked = PageAsked extends [CallFilter, ...infer Rest] ? Rest : never;

function orderOf(...[order, after, limit, { since, until } = {}]: OrderAsked): {
  /** Begins with AND, as `within` does. */
  near: RawBuilder<unknown>;
  within: RawBuilder<unknown>;
  ordered: RawBuilder<unknown>;
} {
  const down = order === 'desc';
  const beyond = after
    ? down
      ? sql`AND c.start_time <= ${after.start_time}::timestamptz
            AND (c.start_time, c.i_cdr) < (${after.start_time}::timestamptz, ${after.i_cdr}::bigint)`
      : sql`AND c.start_time >= ${after.start_time}::timestamptz
            AND (c.start_time, c.i_cdr) > (${after.start_time}::timestamptz, ${after.i_cdr}::bigint)`
    : sql``;
  const direction = sql.raw(down ? 'DESC' : 'ASC');
  const near = sql`
      ${since === undefined ? sql`` : sql`AND c.start_time >= ${sql.lit(since)}::timestamptz`}
      ${until === undefined ? sql`` : sql`AND c.start_time < ${sql.lit(until)}::timestamptz`}`;
  const ordered = sql`ORDER BY c.start_time ${direction}, c.i_cdr ${direction} LIMIT ${sql.lit(limit)}`;
  return { near, within: sql`${beyond} ${near} ${ordered}`, ordered };
}

/**
 * The positions of the calls of several accounts, as far as the page may reach. No index has the calls of all accounts in order of
 * time, so the statement finds, for each account, as many positions as the page has calls. An index alone returns positions.
 */
function placesAmong(
  parts: readonly FilterPart[],
  filter: CallFilter,
  from: RawBuilder<unknown>,
  condition: (way: RawBuilder<unknown>) => RawBuilder<unknown>,
): RawBuilder<unknown>[] {
  return parts.flatMap(({ iAccounts, seen, ...searches }) => {
    const accounts = seen
      ? accountsSeen(iAccounts, seen)
      : sql`unnest(${plainArray(iAccounts)}::bigint[]) AS a (i_account)`;
    const ofOne = seen ? isOfSeen(sql`c.start_time`) : sql`c.i_account = a.i_account`;
    return waysTo({ ...filter, ...searches }, ofOne).map(
      (way) => sql`
        SELECT c.* FROM ${accounts} CROSS JOIN LATERAL (
          SELECT c.i_account, c.start_time, c.i_cdr FROM ${from} ${condition(way)}) AS c`,
    );
  });
}

/** Counts the calls of a filter by reading them. Only requests that ask for this count pay for it. */
export const countCalls = (filter: CallFilter): Statement<{ total: number }> => countOf({}, filter);

/** The same with the parts of a page. */
export function countOf(
  { joined = sql``, also = sql`` }: Omit<PageParts, 'columns'>,
  filter: CallFilter,
): Statement<{ total: number }> {
  const parts = filter.among ? filter.among.map((part) => matchesIn(part, filter)) : [matches(filter)];
  const counts = parts.map(
    (part) => sql`SELECT count(*) AS total FROM calls.cdrs c ${joined} WHERE ${part} ${also}`,
  );
  if (counts.length === 1) return sql<{ total: number }>`${counts[0]}`.compile(build);
  return sql<{ total: number }>`
    SELECT sum(total)::bigint AS total FROM (${sql.join(counts, sql` UNION ALL `)}) AS parts`.compile(build);
}

/**
 * One call with all its fields, if its account lies at or below `root`; and `data_complete_to`. It is one statement, so that
 * another customer's call takes no longer than a call that does not exist.
 * @param from start of the month in the call's number; `to` is its end. They leave one partition to search
 */
export const visibleCall = (
  iCdr: number,
  from: string,
  to: string,
  root: number | null,
): Statement<CallDetailRow & { readonly data_complete_to: string | null }> =>
  sql<CallDetailRow & { readonly data_complete_to: string | null }>`
    SELECT ${VALUES}, c.source_key, i.file, c.line, c.i_import, coalesce(c.attributes, '{}') AS attributes,
           ${dataCompleteTo(sql`s.i_account = c.i_account`)} AS data_complete_to
    FROM calls.cdrs c LEFT JOIN calls.imports i USING (i_import)
    WHERE c.i_cdr = ${iCdr}::bigint AND c.start_time >= ${from}::timestamptz AND c.start_time < ${to}::timestamptz
      ${root === null ? sql`` : sql`AND ${isAtOrBelow(sql`c.i_account`, sql`c.start_time`, root)}`}`.compile(
    build,
  );
