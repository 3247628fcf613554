/** Statements that find calls which rows may tell again, and that take back calls which are told anew. */
import { type RawBuilder, sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import { COPY_COLUMNS, fieldOf } from '../call_fields.ts';
import { instant } from '../time/instants.ts';
import type { Account } from './account_rows.ts';
import { plainArray, textArray } from './array_text.ts';
import { ADDED } from './intake.ts';

const build = sqlBuilder<unknown>();

/** Where calls are looked for: the table itself, or the one in which a dry run keeps what it would have stored. */
export type CallsTable = 'calls.cdrs' | 'dry_run_cdrs';

/** from ≤ time < to, milliseconds since 1970. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** A call id to look for, and what the row that bears it is. */
export interface LookUp {
  readonly callId: string;
  /** '' where its key alone tells nothing. */
  readonly sourceKey: string;
  readonly told: number;
  /** Milliseconds since 1970. */
  readonly start: number;
}

/**
 * More records with one call id than this are not compared with each other: then it names no call (a column that says
 * "inbound" was mapped to it), and comparing all with all would take for ever. Each is known by all that it says.
 */
export const MAX_OF_ONE_ID = 1_000;

export interface Found {
  /** Places of look-ups, from 1, of rows that were told word for word, each with the i_cdr and its i_import or 0: `1 2026110000000007 3,…`. */
  readonly known: string | null;
  /**
   * Calls that other look-ups may be of: place, i_cdr, i_import or 0, source_key, start in milliseconds since 1970 and, where
   * it is noted, told: `3 2026110000000007 3 Ab… 1793000000000 5,…`.
   */
  readonly perhaps: string | null;
}

/** How far from the rows' starts calls are looked for. */
export interface Reach {
  /** Milliseconds. */
  readonly nearMs: number;
  /**
   * Whole months, and nothing outside them is looked at; in them, of each id, at most MAX_OF_ONE_ID and one calls of whatever
   * source and start.
   */
  readonly within?: Span;
  /** Only calls with the look-up's own key. */
  readonly byKey?: true;
  /** At most MAX_OF_ONE_ID and one of each id: for ids that many calls may bear. It costs twice as much. */
  readonly limited?: true;
}

/**
 * The calls with these ids that start near the rows, in two texts, which cost less than rows. A call whose row said the
 * same, of which as much was understood and which starts there, is `known`, where its key may tell so.
 *
 * The look-ups' own bounds stand beside each row's, so that the planner drops the months that none of them can be in.
 */
export function findCalls(
  lookUps: readonly LookUp[],
  sources: readonly string[],
  { nearMs, within, byKey, limited }: Reach,
  table: CallsTable = 'calls.cdrs',
): Statement<Found> {
  const starts = lookUps.map(({ start }) => start);
  const first = within?.from ?? starts.reduce((least, start) => Math.min(least, start)) - nearMs;
  const last = within?.to ?? starts.reduce((most, start) => Math.max(most, start)) + nearMs;
  const near = sql.raw(`interval '${nearMs / 1000} s'`);
  const until = sql.raw(within ? '<' : '<=');
  const ofId = sql`c.call_id = k.call_id
    AND c.start_time >= ${instant(first)} AND c.start_time ${until} ${instant(last)}`;
  const matching = sql`${ofSources(sources)} ${sql.raw(byKey ? 'AND c.source_key = k.source_key' : '')}
    AND c.start_time >= k.start_time - ${near} AND c.start_time <= k.start_time + ${near}`;
  const found = sql.raw('c.i_cdr, c.i_import, c.source_key, c.told, c.start_time');
  const calls = sql.raw(table);
  const most = sql`LIMIT ${sql.lit(MAX_OF_ONE_ID + 1)}`;
  // Alone the limit, or offset, keeps PostgreSQL from hashing months of calls, too.
  const joined = within
    ? sql`SELECT ${found} FROM (SELECT c.source, ${found} FROM ${calls} c WHERE ${ofId} ${most}) AS c
          WHERE ${matching}`
    : sql`SELECT ${found} FROM ${calls} c WHERE ${ofId} AND ${matching} ${limited ? most : sql`OFFSET 0`}`;
  return sql<Found>`
    SELECT string_agg(concat_ws(' ', place, i_cdr, i_import), ',') FILTER (WHERE is_known) AS known,
           string_agg(concat_ws(' ', place, i_cdr, i_import, source_key, extract(epoch FROM start_time) * 1000, told), ',')
             FILTER (WHERE is_known IS NOT TRUE) AS perhaps
    FROM (
      SELECT k.place, c.i_cdr, coalesce(c.i_import, 0) AS i_import, c.source_key, c.told, c.start_time,
             c.source_key = k.source_key AND c.told = k.told AND c.start_time = k.start_time AS is_known
      FROM unnest(${textArray(lookUps.map(({ callId }) => callId))}::text[],
                  ${plainArray(lookUps.map(({ sourceKey }) => sourceKey || null))}::text[],
                  ${plainArray(lookUps.map(({ told }) => told))}::int[],
                  ${plainArray(starts.map(instant))}::timestamptz[])
           WITH ORDINALITY AS k (call_id, source_key, told, start_time, place)
      CROSS JOIN LATERAL (${joined}) AS c) AS found`.compile(build);
}

const ofSources = (sources: readonly string[]): RawBuilder<unknown> =>
  sources.length === 1 ? sql`c.source = ${sources[0]!}` : sql`c.source = ANY(${textArray(sources)}::text[])`;

/**
 * Which of these months may hold calls of a source with an id between two. Ids that grow with time, as most do, are in
 * none but their own months: so rows need not be looked up in each. Asked for in their order, entries come from no other
 * index, which would first have to be read whole.
 * @param most entries of the index that are looked at in a month; one with more of them may hold such calls
 */
export const monthsWithIds = (
  months: readonly Span[],
  firstId: string,
  lastId: string,
  sources: readonly string[],
  most: number,
): Statement<{ place: number }> =>
  sql<{ place: number }>`
    SELECT m.place FROM unnest(${plainArray(months.map(({ from }) => instant(from)))}::timestamptz[],
                               ${plainArray(months.map(({ to }) => instant(to)))}::timestamptz[])
                        WITH ORDINALITY AS m (since, until, place)
    WHERE EXISTS (
      SELECT 1 FROM (
        SELECT c.source, row_number() OVER (ORDER BY c.call_id) AS n FROM calls.cdrs c
        WHERE c.call_id >= ${firstId} AND c.call_id <= ${lastId}
          AND c.start_time >= m.since AND c.start_time < m.until
          AND c.start_time >= ${instant(months[0]!.from)} AND c.start_time < ${instant(months.at(-1)!.to)}
        LIMIT ${most}::int) AS c
      WHERE ${ofSources(sources)} OR c.n = ${most}::int)
    ORDER BY 1`.compile(build);

/** The columns of a call `c`, each as COPY would read it. */
export const CALL_AS_TEXT = COPY_COLUMNS.map((name) =>
  fieldOf(name).kind === 'time'
    ? `to_char(c.${name} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US"Z"') AS ${name}`
    : `c.${name}::text AS ${name}`,
).join(', ');

/** Calls by their numbers, each column a text. @param span in which all of them start */
export const callsByNumber = (
  iCdrs: readonly number[],
  span: Span,
  table: CallsTable = 'calls.cdrs',
): Statement<Record<string, string | null>> =>
  sql<Record<string, string | null>>`
    SELECT ${sql.raw(CALL_AS_TEXT)} FROM ${sql.raw(table)} c
    WHERE c.i_cdr = ANY(${plainArray(iCdrs)}::bigint[])
      AND c.start_time >= ${instant(span.from)} AND c.start_time < ${instant(span.to)}`.compile(build);

export const accountsByNumber = (iAccounts: readonly number[]): Statement<Account> =>
  sql<Account>`SELECT i_account, code, currency, country, closed_from FROM calls.accounts
    WHERE i_account = ANY(${plainArray(iAccounts)}::bigint[])`.compile(build);

const SUMS = `count(*), count(*) FILTER (WHERE result = 'answered'),
  count(*) FILTER (WHERE billed_duration_s > 0), count(*) FILTER (WHERE result = 'failed'),
  sum(duration_s), sum(billed_duration_s), sum(cost)`;
const TAKEN_BACK = `
  calls = was.calls - excluded.calls, answered = was.answered - excluded.answered,
  non_zero = was.non_zero - excluded.non_zero, errors = was.errors - excluded.errors,
  seconds = was.seconds - excluded.seconds, billed_seconds = was.billed_seconds - excluded.billed_seconds,
  cost = was.cost - coalesce(excluded.cost, 0)`;
const KEY = 'direction, country, currency';

/**
 * Takes calls out of calls.cdrs and of both usage tables, by what is stored of them at that moment; `tidyUsage` must
 * follow. The zones lock is held by who calls it.
 * @param span in which all of them start
 * @returns how many there were
 */
export const takeBack = (iCdrs: readonly number[], span: Span): Statement<{ count: number }> =>
  sql<{ count: number }>`
    WITH gone AS (
      DELETE FROM calls.cdrs c
      WHERE c.i_cdr = ANY(${plainArray(iCdrs)}::bigint[])
        AND c.start_time >= ${instant(span.from)} AND c.start_time < ${instant(span.to)}
      RETURNING c.i_account, c.start_time, c.direction, coalesce(c.country, '') AS country, c.currency, c.result,
                c.duration_s, c.billed_duration_s, c.cost
    ), quarters AS (
      INSERT INTO calls.usage_quarters AS was
      SELECT i_account, date_bin('15 min', start_time, '2000-01-01Z'), ${sql.raw(KEY)}, ${sql.raw(SUMS)}
      FROM gone GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
      ON CONFLICT (i_account, quarter, ${sql.raw(KEY)}) DO UPDATE SET ${sql.raw(TAKEN_BACK)}
    ), days AS (
      INSERT INTO calls.usage_days AS was
      SELECT i_account, (start_time AT TIME ZONE a.time_zone)::date, direction, g.country, g.currency, ${sql.raw(SUMS)}
      FROM gone g JOIN calls.accounts a USING (i_account) GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
      ON CONFLICT (i_account, day, ${sql.raw(KEY)}) DO UPDATE SET ${sql.raw(TAKEN_BACK)}
    )
    SELECT count(*)::int AS count FROM gone`.compile(build);

/** Calls by their numbers, each as JSON that `putBack` takes. @param span in which all of them start */
export const callsAsJson = (
  iCdrs: readonly number[],
  span: Span,
): Statement<{ i_cdr: number; call: string }> =>
  sql<{ i_cdr: number; call: string }>`
    SELECT c.i_cdr, to_jsonb(c)::text AS call FROM calls.cdrs c
    WHERE c.i_cdr = ANY(${plainArray(iCdrs)}::bigint[])
      AND c.start_time >= ${instant(span.from)} AND c.start_time < ${instant(span.to)}`.compile(build);

/**
 * Stores calls as they were before another telling filled or replaced what they told; their usage with them. Of what
 * was replaced no history stays. Those that they have become were taken back before.
 */
export const putBack = (calls: readonly string[]): Statement<unknown> =>
  sql`
    WITH told AS (
      SELECT call FROM unnest(${calls}::jsonb[]) AS t (call)
    ), history AS (
      DELETE FROM calls.cdr_history h USING told WHERE h.call = told.call
    ), back AS (
      INSERT INTO calls.cdrs SELECT (jsonb_populate_record(NULL::calls.cdrs, call)).* FROM told
      RETURNING i_account, start_time, direction, coalesce(country, '') AS country, currency, result, duration_s,
                billed_duration_s, cost
    ), quarters AS (
      INSERT INTO calls.usage_quarters AS was
      SELECT i_account, date_bin('15 min', start_time, '2000-01-01Z'), ${sql.raw(KEY)}, ${sql.raw(SUMS)}
      FROM back GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
      ON CONFLICT (i_account, quarter, ${sql.raw(KEY)}) DO UPDATE SET ${sql.raw(ADDED)}
    )
    INSERT INTO calls.usage_days AS was
    SELECT i_account, (start_time AT TIME ZONE a.time_zone)::date, direction, b.country, b.currency, ${sql.raw(SUMS)}
    FROM back b JOIN calls.accounts a USING (i_account) GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (i_account, day, ${sql.raw(KEY)}) DO UPDATE SET ${sql.raw(ADDED)}`.compile(build);

/** Where calls were taken back: their accounts and starts. */
export interface UsagePlace {
  readonly iAccount: number;
  readonly start: number;
}

/** Where the usage of calls stands. @param span in which all of them start */
export const startsOfCalls = (iCdrs: readonly number[], span: Span): Statement<UsagePlace> =>
  sql<UsagePlace>`
    SELECT c.i_account AS "iAccount", extract(epoch FROM c.start_time)::float8 * 1000 AS start FROM calls.cdrs c
    WHERE c.i_cdr = ANY(${plainArray(iCdrs)}::bigint[])
      AND c.start_time >= ${instant(span.from)} AND c.start_time < ${instant(span.to)}`.compile(build);

/**
 * After calls were taken back, and those that take their place are in: removes sums of no calls, and the cost of sums in
 * which no call is rated any more.
 */
export function tidyUsage(places: readonly UsagePlace[]): Statement<unknown>[] {
  const touched = sql`unnest(${plainArray(places.map(({ iAccount }) => iAccount))}::bigint[],
    ${plainArray(places.map(({ start }) => instant(start)))}::timestamptz[]) AS t (i_account, start_time)`;
  const quarter = sql`date_bin('15 min', t.start_time, '2000-01-01Z')`;
  const day = sql`(t.start_time AT TIME ZONE a.time_zone)::date`;
  const rated = (since: RawBuilder<unknown>, until: RawBuilder<unknown>) => sql`EXISTS (
    SELECT 1 FROM calls.cdrs c WHERE c.i_account = u.i_account AND c.start_time >= ${since} AND c.start_time < ${until}
      AND c.direction = u.direction AND coalesce(c.country, '') = u.country AND c.currency = u.currency
      AND c.cost IS NOT NULL)`;
  const nextQuarter = sql`u.quarter + interval '15 min'`;
  const begins = sql`(u.day::timestamp AT TIME ZONE a.time_zone)`;
  const ends = sql`((u.day + 1)::timestamp AT TIME ZONE a.time_zone)`;
  return [
    sql`DELETE FROM calls.usage_quarters u USING ${touched}
      WHERE u.i_account = t.i_account AND u.quarter = ${quarter} AND u.calls = 0`,
    sql`DELETE FROM calls.usage_days u USING ${touched}, calls.accounts a
      WHERE a.i_account = t.i_account AND u.i_account = t.i_account AND u.day = ${day} AND u.calls = 0`,
    sql`UPDATE calls.usage_quarters u SET cost = NULL FROM ${touched}
      WHERE u.i_account = t.i_account AND u.quarter = ${quarter} AND u.cost = 0
        AND NOT ${rated(sql`u.quarter`, nextQuarter)}`,
    sql`UPDATE calls.usage_days u SET cost = NULL FROM ${touched}, calls.accounts a
      WHERE a.i_account = t.i_account AND u.i_account = t.i_account AND u.day = ${day} AND u.cost = 0
        AND NOT ${rated(begins, ends)}`,
  ].map((statement) => statement.compile(build));
}

/**
 * Keeps the versions of calls that are about to be replaced.
 * @param now numbers of the calls afterwards, in the same order
 */
export const keepHistory = (
  iCdrs: readonly number[],
  now: readonly number[],
  iImport: number,
  span: Span,
): Statement<unknown> =>
  sql`
    INSERT INTO calls.cdr_history (i_cdr, i_import, start_time, call)
    SELECT n.now, ${iImport}::int, c.start_time, to_jsonb(c)
    FROM calls.cdrs c
    JOIN unnest(${plainArray(iCdrs)}::bigint[], ${plainArray(now)}::bigint[]) AS n (i_cdr, now) USING (i_cdr)
    WHERE c.start_time >= ${instant(span.from)} AND c.start_time < ${instant(span.to)}`.compile(build);
