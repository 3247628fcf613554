/** Statements that find the calls that rows may repeat, and that remove calls before they are stored again. */
import { type RawBuilder, sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import { COPY_COLUMNS, fieldOf } from '../call_fields.ts';
import { instant } from '../time/instants.ts';
import type { Account } from './account_rows.ts';
import { plainArray, textArray } from './array_text.ts';
import { ADDED } from './intake.ts';

const build = sqlBuilder<unknown>();

/** The table in which calls are looked up: `calls.cdrs`, or the table with the results of a dry run. */
export type CallsTable = 'calls.cdrs' | 'dry_run_cdrs';

/** from ≤ time < to, milliseconds since 1970. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** A call id to look up, with facts about the row that has it. */
export interface LookUp {
  readonly callId: string;
  /** '' if the key alone identifies nothing. */
  readonly sourceKey: string;
  readonly told: number;
  /** Milliseconds since 1970. */
  readonly start: number;
}

/**
 * If more records than this have one call id, they are not compared with each other. Then the id identifies no call (a column
 * with the value "inbound" was mapped to it), and to compare all with all would take for ever. Such a record is identified by
 * all its values.
 */
export const MAX_OF_ONE_ID = 1_000;

export interface Found {
  /** The look-ups, from 1, whose rows are stored word for word, each with the i_cdr and its i_import or 0: `1 2026110000000007 3,…`. */
  readonly known: string | null;
  /**
   * Candidates for the other look-ups: look-up, i_cdr, i_import or 0, source_key, start in milliseconds since 1970 and, if it is
   * stored, `told`: `3 2026110000000007 3 Ab… 1793000000000 5,…`.
   */
  readonly perhaps: string | null;
}

/** How far from the starts of the rows calls are looked up. */
export interface Reach {
  /** Milliseconds. */
  readonly nearMs: number;
  /**
   * Whole months: the look-up reads nothing outside them. Within them it reads, for each id, at most MAX_OF_ONE_ID + 1 calls of
   * any source and start.
   */
  readonly within?: Span;
  /** Only calls with the look-up's own key. */
  readonly byKey?: true;
  /** At most MAX_OF_ONE_ID + 1 calls for each id: for ids that many calls may have. It costs twice as much. */
  readonly limited?: true;
}

/**
 * The calls with these ids that start near the rows, in two texts, which cost less than rows. A call is `known` if it has the same
 * key, the same `told` and the same start as the row, and the key may decide so.
 *
 * The condition on all look-ups stands beside the condition on each row, so that the planner drops the other months.
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
  // The limit, or offset, also keeps PostgreSQL from hashing whole months of calls.
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
 * The months, among these, that may have calls of a source with an id between two ids. Most ids grow with time, so they occur in
 * their own months alone, and rows need no look-up in the other months. The ORDER BY makes PostgreSQL use this index: it would
 * have to read another index as a whole.
 * @param most index entries to read in a month; a month with more entries may have such calls
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

/** The columns of a call `c`, each in the form that COPY reads. */
export const CALL_AS_TEXT = COPY_COLUMNS.map((name) =>
  fieldOf(name).kind === 'time'
    ? `to_char(c.${name} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US"Z"') AS ${name}`
    : `c.${name}::text AS ${name}`,
).join(', ');

/** Calls by their numbers, each column as text. @param span in which all calls start */
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
 * Removes calls from calls.cdrs, and subtracts their stored values from both usage tables. Call `tidyUsage` afterwards. The caller
 * must hold the zones lock.
 * @param span in which all calls start
 * @returns the number of removed calls
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

/** Calls by their numbers, each as JSON for `putBack`. @param span in which all calls start */
export const callsAsJson = (
  iCdrs: readonly number[],
  span: Span,
): Statement<{ i_cdr: number; call: string }> =>
  sql<{ i_cdr: number; call: string }>`
    SELECT c.i_cdr, to_jsonb(c)::text AS call FROM calls.cdrs c
    WHERE c.i_cdr = ANY(${plainArray(iCdrs)}::bigint[])
      AND c.start_time >= ${instant(span.from)} AND c.start_time < ${instant(span.to)}`.compile(build);

/**
 * Stores calls with the values from before another record completed or replaced them, and adds their usage. No history of the
 * replaced version remains. The later versions must be removed before.
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

/** The account and start of a removed call. */
export interface UsagePlace {
  readonly iAccount: number;
  readonly start: number;
}

/** The accounts and starts of calls. @param span in which all calls start */
export const startsOfCalls = (iCdrs: readonly number[], span: Span): Statement<UsagePlace> =>
  sql<UsagePlace>`
    SELECT c.i_account AS "iAccount", extract(epoch FROM c.start_time)::float8 * 1000 AS start FROM calls.cdrs c
    WHERE c.i_cdr = ANY(${plainArray(iCdrs)}::bigint[])
      AND c.start_time >= ${instant(span.from)} AND c.start_time < ${instant(span.to)}`.compile(build);

/**
 * Removes sums of no calls, and the cost of sums without a rated call. It runs after calls were removed and their replacements
 * stored.
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
 * Stores the versions of calls that are about to be replaced.
 * @param now the later numbers of the calls, in the same order
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
