/**
 * Statements that join legs into calls (docs/decisions/0030). Legs belong to one call if they have the same account, source and
 * linked id, and each leg begins while another leg of the call lasts, or soon after it. So a switch may use its ids again. The
 * result is not stored, so a change of a record has its effect at once.
 *
 *   ┌──────── queue ────────┐
 *      ┌ ring ┐  ┌──── ring, talk ────┐
 *                              ┌─ transfer ─┐          ┌ the same id again, days later: another call
 */
import { type RawBuilder, sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import type { CallRow, Direction } from '../call_fields.ts';
import type { CallFilter } from '../call_filter.ts';
import { isAtOrBelow, seenBelow } from './accounts.ts';
import { LINKAGE, linkageOf } from './call_conditions.ts';
import { countOf, idColumns, type PageAsked, valueColumns, walkPage } from './calls.ts';

const build = sqlBuilder<unknown>();

/** A call, made of all its legs. */
export interface LinkedCallRow {
  /** This field and the fields up to start_time are those of the first leg. */
  readonly i_cdr: number;
  readonly i_account: number;
  readonly linked_id: string;
  readonly call_id: string;
  readonly source: string;
  readonly direction: Direction;
  readonly cli: string;
  readonly cld: string;
  readonly country: string | null;
  readonly start_time: string;
  /** The first answer of another party. */
  readonly connect_time: string | null;
  /** The end of the last leg. */
  readonly disconnect_time: string;
  readonly duration_s: number;
  /** The time with at least one other party on the line. */
  readonly talk_s: number;
  readonly billed_duration_s: number;
  readonly result: 'answered' | 'missed';
  readonly legs: number;
  /** The called number and the record number of the leg that was answered first. */
  readonly answered_by: string | null;
  readonly answered_leg: number | null;
  readonly cost: readonly { readonly currency: string; readonly amount: string }[];
}

/** The columns, in the order of pages and files. */
export const LINKED_COLUMNS = [
  'i_cdr',
  'i_account',
  'linked_id',
  'call_id',
  'direction',
  'cli',
  'cld',
  'start_time',
  'connect_time',
  'disconnect_time',
  'duration_s',
  'talk_s',
  'billed_duration_s',
  'result',
  'answered_by',
  'answered_leg',
  'legs',
  'country',
  'source',
  'cost',
] as const satisfies readonly (keyof LinkedCallRow)[];

/**
 * A leg may begin so long after the end of another leg of the call. It is more than an hour, because a stamp may be wrong by an
 * hour in the night in which clocks are set back.
 */
export const JOINED_AFTER = sql.raw(`interval '2 hours'`);
/** The longest duration of a record (normalize.ts). A record that begins earlier does not reach a leg. */
export const LONGEST_REACH = sql.raw(`interval '100 days 2 hours'`);

/** The end of a record, ringing included. */
export const endOf = (leg: string): RawBuilder<unknown> =>
  sql.raw(`(${leg}.start_time + make_interval(secs => ${leg}.duration_s::float8))`);
/** Whether a party other than the switch answered the record. */
export const isPartys = (leg: string): RawBuilder<unknown> =>
  sql.raw(`(${leg}.result = 'answered' AND NOT coalesce(${leg}.flags, '{}') @> '{answered_by_switch}')`);
/** The beginning of the talk. For a record without an answer time, it is the end minus the billed time. */
export const answerOf = (leg: string): RawBuilder<unknown> => sql`
  greatest(${sql.raw(leg)}.start_time, least(${endOf(leg)}, coalesce(${sql.raw(leg)}.connect_time,
    ${endOf(leg)} - make_interval(secs => ${sql.raw(leg)}.billed_duration_s::float8))))`;

/**
 * The order of legs that begin at the same time: the channel that began the call, then the longest, then by their values. The
 * order of arrival does not matter, so the same legs always make the same call.
 */
export const rankOf = (leg: string): string =>
  `(${leg}.call_id <> ${linkageOf(leg)}), -${leg}.duration_s, ${leg}.call_id, ${leg}.source_key, ${leg}.i_cdr`;

/** LONGEST_REACH plus an hour, because a day of the server's zone may have 25 hours. */
const LONGEST_REACH_MS = (100 * 24 + 2 + 1) * 3_600_000;

/** No record that begins before this instant reaches `since`. It is a literal: PostgreSQL does not use a computed value in planning. */
function earliestReaching(since: string): string | undefined {
  const at = new Date(Date.parse(since) - LONGEST_REACH_MS);
  // An infinity, a year before Christ or a year beyond 9999 can be neither read nor written.
  return at.getUTCFullYear() >= 1 ? at.toISOString() : undefined;
}

/** The condition that a record `c` is the first leg of its call. @param since the earliest start of the records, if known */
function isFirstLeg(since: string | undefined): RawBuilder<unknown> {
  const earliest = since === undefined ? undefined : earliestReaching(since);
  const reach = earliest === undefined ? sql`` : sql`AND e.start_time >= ${sql.lit(earliest)}::timestamptz`;
  // A scalar, looked up for each record, nearest first: PostgreSQL might plan a NOT EXISTS as a join over all records. The planner
  // expects coalesce to be true for every second record. It expects IS NULL to be true for one record of two hundred: fewer than
  // a page has. Then it would read and sort all records of the account, instead of walking an index to the end of the page.
  return sql`coalesce((
    SELECT false FROM calls.cdrs e
    WHERE e.i_account = c.i_account AND ${sql.raw(linkageOf('e'))} = ${sql.raw(LINKAGE)} AND e.source = c.source
      AND e.start_time <= c.start_time AND e.start_time >= c.start_time - ${LONGEST_REACH} ${reach}
      AND (e.start_time < c.start_time AND ${endOf('e')} + ${JOINED_AFTER} >= c.start_time
           OR e.start_time = c.start_time AND (${sql.raw(rankOf('e'))}) < (${sql.raw(rankOf('c'))}))
    ORDER BY e.start_time DESC LIMIT 1), true)`;
}

/** The values of the call whose first leg is `c`, from all its legs. */
const togetherOf = (since: string | undefined): RawBuilder<unknown> => sql`
  SELECT count(*)::int AS legs, max(${endOf('l')}) AS disconnect_time,
         extract(epoch FROM max(${endOf('l')}) - c.start_time)::float8 AS duration_s,
         min(answer) FILTER (WHERE party) AS connect_time, bool_or(party) AS answered,
         (SELECT coalesce(sum(extract(epoch FROM upper(spoken) - lower(spoken))), 0)::float8
          FROM unnest(range_agg(tstzrange(answer, ${endOf('l')})) FILTER (WHERE party)) AS spoken) AS talk_s,
         sum(l.billed_duration_s)::float8 AS billed_duration_s,
         (array_agg(l.cld ORDER BY answer, ${sql.raw(rankOf('l'))}) FILTER (WHERE party))[1] AS answered_by,
         (array_agg(l.i_cdr ORDER BY answer, ${sql.raw(rankOf('l'))}) FILTER (WHERE party))[1] AS answered_leg,
         (SELECT coalesce(jsonb_agg(jsonb_build_object('currency', currency, 'amount', trim_scale(amount)::text)
                                    ORDER BY currency), '[]')
          FROM (SELECT p.currency, sum(p.cost) AS amount
                FROM unnest(array_agg(l.currency::text), array_agg(l.cost)) AS p (currency, cost)
                WHERE p.cost IS NOT NULL GROUP BY 1) AS by_currency) AS cost
  FROM (SELECT l.*, ${isPartys('l')} AS party, ${answerOf('l')} AS answer,
               coalesce(bool_or(apart) OVER (ORDER BY l.start_time, ${sql.raw(rankOf('l'))}), false) AS of_later_call
        FROM (SELECT l.*, l.start_time > max(${endOf('l')} + ${JOINED_AFTER})
                       OVER (ORDER BY l.start_time, ${sql.raw(rankOf('l'))} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS apart
              FROM calls.cdrs l
              WHERE l.i_account = c.i_account AND ${sql.raw(linkageOf('l'))} = ${sql.raw(LINKAGE)} AND l.source = c.source
                AND l.start_time >= c.start_time
                ${since === undefined ? sql`` : sql`AND l.start_time >= ${sql.lit(since)}::timestamptz`}) AS l) AS l
  WHERE NOT of_later_call`;

const columns = (masked: boolean): RawBuilder<unknown> => sql`
  c.i_cdr, c.i_account, ${idColumns(masked)}, c.direction, c.cli, c.cld, c.start_time, t.connect_time,
  t.disconnect_time, t.duration_s, t.talk_s, t.billed_duration_s,
  CASE WHEN t.answered THEN 'answered' ELSE 'missed' END AS result, t.answered_by, t.answered_leg, t.legs, c.country,
  t.cost, c.source`;

/** The conditions of a filter on the whole call. The other conditions apply to the first leg. */
function ofTheWhole({ type, minDurationS }: CallFilter): RawBuilder<unknown>[] {
  const terms: RawBuilder<unknown>[] = [];
  if (type === 'answered') terms.push(sql`t.answered`);
  if (type === 'missed') terms.push(sql`NOT t.answered`);
  if (minDurationS !== undefined) terms.push(sql`t.duration_s >= ${String(minDurationS)}::float8`);
  return terms;
}

/** The filter of first legs, without the conditions on the whole call. */
const ofFirstLegs = (filter: CallFilter): CallFilter => ({ ...filter, type: 'all', minDurationS: undefined });

/** The parts of a statement that finds first legs and joins the other legs. @param since as for isFirstLeg */
function partsOf(filter: CallFilter, since: string | undefined) {
  const whole = ofTheWhole(filter);
  return {
    joined: sql`CROSS JOIN LATERAL (${togetherOf(since)}) AS t`,
    also: sql`AND ${isFirstLeg(since)} ${whole.length === 0 ? sql`` : sql`AND ${sql.join(whole, sql` AND `)}`}`,
    alsoOfJoined: whole.length > 0,
  };
}

/** A page of calls. @param masked for callers who see masked numbers; the caller of the function masks them */
export function pageOfLinkedCalls(masked: boolean, ...asked: PageAsked): Statement<LinkedCallRow> {
  const [filter, order, after, limit, window] = asked;
  const parts = { columns: columns(masked), ...partsOf(filter, window?.since) };
  return walkPage<LinkedCallRow>(parts, ofFirstLegs(filter), order, after, limit, window);
}

/** Counts calls by reading their legs. Only requests that ask for this count pay for it. */
export const countLinkedCalls = (filter: CallFilter): Statement<{ total: number }> =>
  countOf(partsOf(filter, filter.from), ofFirstLegs(filter));

/**
 * The legs of a record's call in order of time, and their number. If the switch has used the id again, only legs of the record's
 * own call count.
 * @param from start of the month in the record's number; `to` is its end
 * @param root the record and the returned legs must lie at or below it; a leg of a moved account may not
 * @param most the maximum of returned legs
 */
export const legsOfCall = (
  iCdr: number,
  from: string,
  to: string,
  root: number | null,
  masked: boolean,
  most: number,
): Statement<CallRow & { readonly total: number }> =>
  sql<CallRow & { readonly total: number }>`
    WITH one AS (
      SELECT c.i_cdr, c.i_account, c.source, ${sql.raw(LINKAGE)} AS linkage FROM calls.cdrs c
      WHERE c.i_cdr = ${iCdr}::bigint AND c.start_time >= ${from}::timestamptz AND c.start_time < ${to}::timestamptz
        ${root === null ? sql`` : sql`AND ${isAtOrBelow(sql`c.i_account`, sql`c.start_time`, root)}`}
    ), legs AS (
      SELECT l.*, count(*) FILTER (WHERE apart) OVER (ORDER BY l.start_time, ${sql.raw(rankOf('l'))}) AS nth
      FROM (SELECT l.*, l.start_time > max(${endOf('l')} + ${JOINED_AFTER})
                     OVER (ORDER BY l.start_time, ${sql.raw(rankOf('l'))} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS apart
            FROM one JOIN calls.cdrs l
              ON l.i_account = one.i_account AND ${sql.raw(linkageOf('l'))} = one.linkage AND l.source = one.source) AS l)
    SELECT ${valueColumns(masked)}, count(*) OVER ()::int AS total
    FROM legs c WHERE nth = (SELECT nth FROM legs WHERE i_cdr = ${iCdr}::bigint)
      ${root === null ? sql`` : sql`AND (SELECT ${seenBelow(sql`one.i_account`, root)} FROM one) @> c.start_time`}
    ORDER BY c.start_time, ${sql.raw(rankOf('c'))} LIMIT ${most}::int`.compile(build);
