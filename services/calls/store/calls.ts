/** Statements that read calls. All lists walk an index of one account in order of time and stop at the page's end. */
import { type RawBuilder, sql } from 'kysely';
import type { RowQuery } from '#platform/database/row_stream.ts';
import type { KeptValues } from '#platform/database/rows/last_row.ts';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import { RESULT_FORMAT } from '#platform/database/wire_messages.ts';
import type { CallFilter } from '../api/call_filter.ts';
import type { NumberPattern } from '../api/number_pattern.ts';
import type { CallResult, CdrFlag, Direction } from '../cdr.ts';

const build = sqlBuilder<unknown>();

/** A call as the API shows it in lists; instants are RFC 3339 with microseconds, amounts decimal strings. */
export interface CallRow {
  readonly i_cdr: number;
  readonly i_account: number;
  readonly call_id: string;
  readonly cli: string;
  readonly cld: string;
  readonly cli_in: string | null;
  readonly cld_in: string | null;
  readonly direction: Direction;
  readonly start_time: string;
  readonly connect_time: string | null;
  readonly disconnect_time: string | null;
  readonly duration_s: number;
  readonly billed_duration_s: number;
  readonly result: CallResult;
  readonly disconnect_cause: string | null;
  readonly country: string | null;
  readonly description: string | null;
  readonly cost: string | null;
  readonly currency: string;
  readonly remote_ip: string | null;
  readonly user_agent: string | null;
  readonly flags: CdrFlag[];
  readonly source: string;
}

export interface CallDetailRow extends CallRow {
  readonly source_key: string;
  readonly file: string | null;
  readonly line: number | null;
  readonly i_import: number | null;
  readonly attributes: Record<string, unknown>;
}

/** What a list shows of a call, in this order. */
export const CALL_COLUMNS = [
  'i_cdr',
  'i_account',
  'call_id',
  'direction',
  'cli',
  'cld',
  'cli_in',
  'cld_in',
  'start_time',
  'connect_time',
  'disconnect_time',
  'duration_s',
  'billed_duration_s',
  'result',
  'disconnect_cause',
  'country',
  'description',
  'cost',
  'currency',
  'remote_ip',
  'user_agent',
  'flags',
  'source',
] as const satisfies readonly (keyof CallRow)[];

/** Numerics that are shown as numbers. */
export const SECONDS_COLUMNS = ['duration_s', 'billed_duration_s'];
export const TIME_COLUMNS: readonly string[] = ['start_time', 'connect_time', 'disconnect_time'];

const FLAGS = "coalesce(c.flags, '{}')";
/** As JavaScript's values. */
const VALUES = listed({
  duration_s: 'c.duration_s::float8',
  billed_duration_s: 'c.billed_duration_s::float8',
  flags: FLAGS,
});
// For writers of bytes: a cast of seconds and the texts of times would be nearly half of what a statement costs.
const PAGE = listed({ flags: FLAGS });
const RECORD = listed({ flags: "array_to_string(c.flags, ' ')" });
const FORMATS = CALL_COLUMNS.map(
  (column) => RESULT_FORMAT[TIME_COLUMNS.includes(column) ? 'binary' : 'text'],
);

/** The columns as SQL, with the expressions of those that are more than their name. */
function listed(expressions: Readonly<Record<string, string>>): RawBuilder<unknown> {
  const terms = CALL_COLUMNS.map((name) =>
    expressions[name] ? `${expressions[name]} AS ${name}` : `c.${name}`,
  );
  return sql.raw(terms.join(', '));
}

export const ORDERS = ['desc', 'asc'] as const;
export type Order = (typeof ORDERS)[number];

/** Where a page ended: the place of its last call in the order. */
export interface Place {
  /** As PostgreSQL gave it: a microsecond less or more would skip or repeat calls. */
  readonly start_time: string;
  readonly i_cdr: number;
}

/** The place of a row whose start_time and i_cdr were kept; undefined where there is no row. */
export function placeOf(kept: KeptValues | undefined): Place | undefined {
  const { start_time, i_cdr } = kept ?? {};
  return start_time && i_cdr ? { start_time, i_cdr: Number(i_cdr) } : undefined;
}

/** The columns to keep for it. */
export const PLACE_COLUMNS = ['start_time', 'i_cdr'];

/** Whole months that a list is looked for in: from `since` up to, not including, `until`; instants in RFC 3339. */
export interface Stretch {
  readonly since?: string;
  readonly until?: string;
}

/** Calls beyond `after`, at most `limit` of them, within a stretch. */
export type PageAsked = [
  filter: CallFilter,
  order: Order,
  after: Place | undefined,
  limit: number,
  stretch?: Stretch,
];

/** A page of calls. */
export const pageOfCalls = (...asked: PageAsked): Statement<CallRow> => selectPage(VALUES, ...asked);

/** The same for jsonReading, in which SECONDS_COLUMNS are numbers. */
export const callsToWrite = (...asked: PageAsked): RowQuery => ({
  ...selectPage(PAGE, ...asked),
  formats: FORMATS,
});

/** The same as a file's records, for csvReading. */
export const recordsOfCalls = (...asked: PageAsked): RowQuery => ({
  ...selectPage(RECORD, ...asked),
  formats: FORMATS,
});

/**
 * Two calls may start in the same microsecond, so i_cdr decides between them. The comparison of pairs alone would walk
 * the index but leave every partition in the plan; the bound on start_time beside it takes them out. Stretch and limit
 * are written out rather than bound: so a plan that is kept knows its few partitions.
 */
function selectPage(
  columns: RawBuilder<unknown>,
  ...[filter, order, after, limit, { since, until } = {}]: PageAsked
): Statement<CallRow> {
  const down = order === 'desc';
  const beyond = after
    ? down
      ? sql`AND c.start_time <= ${after.start_time}::timestamptz
            AND (c.start_time, c.i_cdr) < (${after.start_time}::timestamptz, ${after.i_cdr}::bigint)`
      : sql`AND c.start_time >= ${after.start_time}::timestamptz
            AND (c.start_time, c.i_cdr) > (${after.start_time}::timestamptz, ${after.i_cdr}::bigint)`
    : sql``;
  const direction = sql.raw(down ? 'DESC' : 'ASC');
  return sql<CallRow>`
    SELECT ${columns} FROM calls.cdrs c
    WHERE ${matches(filter)} ${beyond}
      ${since === undefined ? sql`` : sql`AND c.start_time >= ${sql.lit(since)}::timestamptz`}
      ${until === undefined ? sql`` : sql`AND c.start_time < ${sql.lit(until)}::timestamptz`}
    ORDER BY c.start_time ${direction}, c.i_cdr ${direction}
    LIMIT ${sql.lit(limit)}`.compile(build);
}

/** Counts what a filter matches by reading it: only for those that ask for it. */
export const countCalls = (filter: CallFilter): Statement<{ total: number }> =>
  sql<{ total: number }>`SELECT count(*) AS total FROM calls.cdrs c WHERE ${matches(filter)}`.compile(build);

/**
 * One call with all that is known of it.
 * @param from start of the month that its number names, and `to` its end: they leave one partition to look in
 */
export const callByNumber = (iCdr: number, from: string, to: string): Statement<CallDetailRow> =>
  sql<CallDetailRow>`
    SELECT ${VALUES}, c.source_key, i.file, c.line, c.i_import, coalesce(c.attributes, '{}') AS attributes
    FROM calls.cdrs c LEFT JOIN calls.imports i USING (i_import)
    WHERE c.i_cdr = ${iCdr}::bigint AND c.start_time >= ${from}::timestamptz AND c.start_time < ${to}::timestamptz`.compile(
    build,
  );

function matches(filter: CallFilter): RawBuilder<unknown> {
  const terms: RawBuilder<unknown>[] = [sql`c.i_account = ${filter.iAccount}::bigint`];
  if (filter.from !== undefined) terms.push(sql`c.start_time >= ${filter.from}::timestamptz`);
  if (filter.to !== undefined) terms.push(sql`c.start_time < ${filter.to}::timestamptz`);
  if (filter.cli) terms.push(numberMatches('cli', filter.cli));
  if (filter.cld) terms.push(numberMatches('cld', filter.cld));
  if (filter.callId !== undefined) terms.push(sql`c.call_id = ${filter.callId}`);
  if (filter.direction) terms.push(sql`c.direction = ${filter.direction}`);
  if (filter.minDurationS !== undefined)
    terms.push(sql`c.duration_s >= ${String(filter.minDurationS)}::numeric`);
  const type = TYPE_TERMS[filter.type];
  if (type) terms.push(type);
  return sql.join(terms, sql` AND `);
}

/** Written out rather than bound: the index of errors serves only a query that says the same as it does. */
const TYPE_TERMS: Record<CallFilter['type'], RawBuilder<unknown> | null> = {
  all: null,
  answered: sql`c.connect_time IS NOT NULL`,
  non_zero: sql`c.billed_duration_s > 0`,
  errors: sql`c.result = 'failed'`,
};

function numberMatches(column: 'cli' | 'cld', pattern: NumberPattern): RawBuilder<unknown> {
  const name = sql.ref(`c.${column}`);
  if (pattern.kind === 'exact') return sql`${name} = ${pattern.number}`;
  return sql`${name} >= ${pattern.from} AND ${name} < ${pattern.below}`;
}
