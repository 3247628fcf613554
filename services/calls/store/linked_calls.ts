/**
 * Statements that read calls as their legs make them together (docs/decisions/0030). A leg is of a call's if it is of the
 * same account and source, shares what joins legs, and begins while another leg of the call lasts, or soon after it: so a
 * switch may use its ids again. Nothing of this is stored: whatever becomes of a record is so at once.
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

/** A call by all its legs. */
export interface LinkedCallRow {
  /** Of the first leg, as are the fields up to start_time. */
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
  /** When another party answered first. */
  readonly connect_time: string | null;
  /** When the last leg ended. */
  readonly disconnect_time: string;
  readonly duration_s: number;
  /** While at least one other party was on the line. */
  readonly talk_s: number;
  readonly billed_duration_s: number;
  readonly result: 'answered' | 'missed';
  readonly legs: number;
  /** The leg that was answered first: whom it called, and its number. */
  readonly answered_by: string | null;
  readonly answered_leg: number | null;
  readonly cost: readonly { readonly currency: string; readonly amount: string }[];
}

/** In this order, in pages and files. */
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
 * A leg may begin so long after another one of its call has ended. Longer than an hour, by which a stamp of the night on
 * which clocks are set back may be wrong.
 */
export const JOINED_AFTER = sql.raw(`interval '2 hours'`);
/** No record lasts longer (normalize.ts), so none that begins earlier reaches a leg. */
export const LONGEST_REACH = sql.raw(`interval '100 days 2 hours'`);

/** When a record ends, ringing and all. */
export const endOf = (leg: string): RawBuilder<unknown> =>
  sql.raw(`(${leg}.start_time + make_interval(secs => ${leg}.duration_s::float8))`);
/** Whether a party other than the switch answered it. */
export const isPartys = (leg: string): RawBuilder<unknown> =>
  sql.raw(`(${leg}.result = 'answered' AND NOT coalesce(${leg}.flags, '{}') @> '{answered_by_switch}')`);
/** Since when the party is on the line; for a record that tells no answer time, as long as is billed. */
export const answerOf = (leg: string): RawBuilder<unknown> => sql`
  greatest(${sql.raw(leg)}.start_time, least(${endOf(leg)}, coalesce(${sql.raw(leg)}.connect_time,
    ${endOf(leg)} - make_interval(secs => ${sql.raw(leg)}.billed_duration_s::float8))))`;

/**
 * Of legs that begin together: the channel that began the call comes first, then the longest, then by what they are, not by
 * when they came in, so that the same legs make the same call whatever their order.
 */
export const rankOf = (leg: string): string =>
  `(${leg}.call_id <> ${linkageOf(leg)}), -${leg}.duration_s, ${leg}.call_id, ${leg}.source_key, ${leg}.i_cdr`;

/** LONGEST_REACH, and an hour by which a day of the server's zone may be longer. */
const LONGEST_REACH_MS = (100 * 24 + 2 + 1) * 3_600_000;

/** Before it no record begins that reaches `since`. As a constant: what PostgreSQL would compute it does not plan by. */
function earliestReaching(since: string): string | undefined {
  const at = new Date(Date.parse(since) - LONGEST_REACH_MS);
  // No way to read an infinity, a year before Christ or beyond 9999, nor to write one.
  return at.getUTCFullYear() >= 1 ? at.toISOString() : undefined;
}

/** That a record `c` is the first leg of its call. @param since no record looked at begins earlier than its reach before */
function isFirstLeg(since: string | undefined): RawBuilder<unknown> {
  const earliest = since === undefined ? undefined : earliestReaching(since);
  const reach = earliest === undefined ? sql`` : sql`AND e.start_time >= ${sql.lit(earliest)}::timestamptz`;
  // A scalar that is looked up for each record, nearest first: as NOT EXISTS it might be planned as a join over all. Within
  // coalesce, which the planner expects to be true of every other record: with IS NULL it expects one of two hundred, so fewer
  // than a page holds, and reads and sorts all that an account has instead of walking an index to the page's end.
  return sql`coalesce((
    SELECT false FROM calls.cdrs e
    WHERE e.i_account = c.i_account AND ${sql.raw(linkageOf('e'))} = ${sql.raw(LINKAGE)} AND e.source = c.source
      AND e.start_time <= c.start_time AND e.start_time >= c.start_time - ${LONGEST_REACH} ${reach}
      AND (e.start_time < c.start_time AND ${endOf('e')} + ${JOINED_AFTER} >= c.start_time
           OR e.start_time = c.start_time AND (${sql.raw(rankOf('e'))}) < (${sql.raw(rankOf('c'))}))
    ORDER BY e.start_time DESC LIMIT 1), true)`;
}

/** All legs of the call whose first leg is `c`, as what they make together. */
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

/** What a filter says of the call as a whole; all else it says of the first leg. */
function ofTheWhole({ type, minDurationS }: CallFilter): RawBuilder<unknown>[] {
  const terms: RawBuilder<unknown>[] = [];
  if (type === 'answered') terms.push(sql`t.answered`);
  if (type === 'missed') terms.push(sql`NOT t.answered`);
  if (minDurationS !== undefined) terms.push(sql`t.duration_s >= ${String(minDurationS)}::float8`);
  return terms;
}

/** The filter of first legs: what is of the whole call is left out. */
const ofFirstLegs = (filter: CallFilter): CallFilter => ({ ...filter, type: 'all', minDurationS: undefined });

/** What makes first legs, and all the others with them, of a filter's records. @param since as of isFirstLeg */
function partsOf(filter: CallFilter, since: string | undefined) {
  const whole = ofTheWhole(filter);
  return {
    joined: sql`CROSS JOIN LATERAL (${togetherOf(since)}) AS t`,
    also: sql`AND ${isFirstLeg(since)} ${whole.length === 0 ? sql`` : sql`AND ${sql.join(whole, sql` AND `)}`}`,
    alsoOfJoined: whole.length > 0,
  };
}

/** A page of calls. @param masked for those who see numbers masked; the masks are still to be put on */
export function pageOfLinkedCalls(masked: boolean, ...asked: PageAsked): Statement<LinkedCallRow> {
  const [filter, order, after, limit, window] = asked;
  const parts = { columns: columns(masked), ...partsOf(filter, window?.since) };
  return walkPage<LinkedCallRow>(parts, ofFirstLegs(filter), order, after, limit, window);
}

/** Counts calls by reading their legs: only for those that ask for it. */
export const countLinkedCalls = (filter: CallFilter): Statement<{ total: number }> =>
  countOf(partsOf(filter, filter.from), ofFirstLegs(filter));

/**
 * The legs of the call that a record is of, in order of time: the record's own call, where its switch has used the id for
 * others too; and how many there are.
 * @param from start of the month that the record's number names, and `to` its end
 * @param root the record must lie at or below it, and so must the legs that are told: those of a moved account may not
 * @param most legs that are told
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
