/**
 * Statements that sum usage. Each is one statement over up to three tables (see usage_cover.ts), so that all of it is of
 * one moment: a call that is stored meanwhile is in all sums or in none.
 */
import { type RawBuilder, sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import type { CallType } from '../api/call_filter.ts';
import { utcText } from '../time/instants.ts';
import type { BucketSpans, InBucket, UsageRow } from '../usage/consumption.ts';
import type { Cover, DaySpan, Midnight, TimeSpan } from '../usage/usage_cover.ts';

const build = sqlBuilder<unknown>();

/** Whether PostgreSQL's days begin where Node says: when not, sums by day are of other stretches than asked for. */
interface Confirmed {
  readonly days_confirmed: boolean;
}

/** Column of the usage tables by type of call. */
const COUNTED: Record<CallType, string> = {
  all: 'calls',
  answered: 'answered',
  non_zero: 'non_zero',
  errors: 'errors',
};

/** How many calls of a type an account has in a range. */
export function totalOfCalls(
  iAccount: number,
  type: CallType,
  cover: Cover,
): Statement<Confirmed & { total: number }> {
  const column = sql.raw(COUNTED[type]);
  const parts: RawBuilder<unknown>[] = [];
  if (cover.days) {
    parts.push(sql`SELECT sum(${column}) AS n FROM calls.usage_days
      WHERE i_account = ${iAccount}::bigint AND day >= ${cover.days.from}::date AND day < ${cover.days.to}::date`);
  }
  for (const span of cover.quarters) {
    parts.push(sql`SELECT sum(${column}) FROM calls.usage_quarters
      WHERE i_account = ${iAccount}::bigint
        AND quarter >= ${utcText(span.from)}::timestamptz AND quarter < ${utcText(span.to)}::timestamptz`);
  }
  for (const span of cover.calls) {
    parts.push(sql`SELECT count(*) FILTER (WHERE ${sql.raw(CALL_COUNTS[type])}) FROM calls.cdrs c
      WHERE c.i_account = ${iAccount}::bigint
        AND c.start_time >= ${utcText(span.from)}::timestamptz AND c.start_time < ${utcText(span.to)}::timestamptz`);
  }
  return sql<Confirmed & { total: number }>`
    SELECT coalesce(sum(n), 0)::bigint AS total, ${confirmed(iAccount, cover.midnights)} AS days_confirmed
    FROM (${sql.join(parts, sql` UNION ALL `)}) AS parts (n)`.compile(build);
}

/** The same rules as intake/usage.ts sums by. */
const CALL_COUNTS: Record<CallType, string> = {
  all: 'true',
  answered: 'c.connect_time IS NOT NULL',
  non_zero: 'c.billed_duration_s > 0',
  errors: "c.result = 'failed'",
};

export const GROUPINGS = ['direction', 'country'] as const;
export type Grouping = (typeof GROUPINGS)[number];

/**
 * Sums of an account's usage by bucket, and by group within it where one is named; the row without a bucket holds the
 * sums of all. There is always at least one row, since it tells whether the days are confirmed.
 *
 * A span's bucket is found by `width_bucket`, a binary search, in one walk over the account's days or quarters. The ends
 * that are counted from calls are few and short, so each is a look-up of its own: a walk would read all between them.
 * @param limit of rows
 */
export function sumUsage(
  iAccount: number,
  spans: BucketSpans,
  grouping: Grouping | undefined,
  limit: number,
): Statement<Confirmed & UsageRow> {
  const parts: RawBuilder<unknown>[] = [];
  if (spans.days.length > 0) parts.push(fromDays(iAccount, spans.days));
  if (spans.quarters.length > 0) parts.push(fromQuarters(iAccount, spans.quarters));
  if (spans.calls.length > 0) parts.push(fromCalls(iAccount, spans.calls));
  const group = grouping ? sql.ref(grouping) : sql`NULL::text`;
  return sql<Confirmed & UsageRow>`
    WITH used AS (${sql.join(parts, sql` UNION ALL `)}),
    by_currency AS (
      SELECT bucket, ${group} AS grp, currency, grouping(bucket) AS overall, sum(calls)::bigint AS calls,
             sum(answered)::bigint AS answered, sum(seconds) AS seconds, sum(billed_seconds) AS billed_seconds,
             sum(cost) AS cost
      FROM used WHERE bucket IS NOT NULL
      GROUP BY GROUPING SETS ((bucket, ${group}, currency), (currency))),
    sums AS (
      SELECT bucket, CASE WHEN overall = 0 THEN grp END AS grp, overall, sum(calls)::bigint AS calls,
             sum(answered)::bigint AS answered, sum(seconds)::float8 AS seconds,
             sum(billed_seconds)::float8 AS billed_seconds,
             coalesce(jsonb_agg(jsonb_build_object('currency', currency, 'amount', trim_scale(cost)::text)
                                ORDER BY currency) FILTER (WHERE cost IS NOT NULL), '[]') AS cost
      FROM by_currency GROUP BY overall, bucket, grp)
    SELECT days.days_confirmed, sums.bucket, sums.grp, coalesce(sums.calls, 0)::bigint AS calls,
           coalesce(sums.answered, 0)::bigint AS answered, coalesce(sums.seconds, 0) AS seconds,
           coalesce(sums.billed_seconds, 0) AS billed_seconds, coalesce(sums.cost, '[]') AS cost
    FROM (SELECT ${confirmed(iAccount, spans.midnights)} AS days_confirmed) AS days LEFT JOIN sums ON true
    ORDER BY sums.overall DESC, sums.bucket, sums.grp
    LIMIT ${limit}`.compile(build);
}

const USED = sql.raw('direction, country, currency, calls, answered, seconds, billed_seconds, cost');

function fromDays(iAccount: number, spans: readonly InBucket<DaySpan>[]): RawBuilder<unknown> {
  const { bounds, buckets } = thresholds(spans, (day) => day);
  return sql`
    SELECT (${buckets}::int[])[width_bucket(day, ${bounds}::date[])] AS bucket, ${USED}
    FROM calls.usage_days
    WHERE i_account = ${iAccount}::bigint AND day >= ${bounds[0]}::date AND day < ${bounds.at(-1)}::date`;
}

function fromQuarters(iAccount: number, spans: readonly InBucket<TimeSpan>[]): RawBuilder<unknown> {
  const { bounds, buckets } = thresholds(spans, utcText);
  return sql`
    SELECT (${buckets}::int[])[width_bucket(quarter, ${bounds}::timestamptz[])] AS bucket, ${USED}
    FROM calls.usage_quarters
    WHERE i_account = ${iAccount}::bigint
      AND quarter >= ${bounds[0]}::timestamptz AND quarter < ${bounds.at(-1)}::timestamptz`;
}

function fromCalls(iAccount: number, spans: readonly InBucket<TimeSpan>[]): RawBuilder<unknown> {
  return sql`
    SELECT span.bucket, ends.*
    FROM unnest(${spans.map((s) => utcText(s.from))}::timestamptz[], ${spans.map((s) => utcText(s.to))}::timestamptz[],
                ${spans.map((s) => s.bucket)}::int[]) AS span (since, until, bucket)
    CROSS JOIN LATERAL (
      SELECT c.direction, coalesce(c.country, '') AS country, c.currency, count(*) AS calls,
             count(c.connect_time) AS answered, sum(c.duration_s) AS seconds,
             sum(c.billed_duration_s) AS billed_seconds, sum(c.cost) AS cost
      FROM calls.cdrs c
      WHERE c.i_account = ${iAccount}::bigint AND c.start_time >= span.since AND c.start_time < span.until
        AND c.start_time >= ${utcText(spans[0]!.from)}::timestamptz
        AND c.start_time < ${utcText(spans.at(-1)!.to)}::timestamptz
      GROUP BY 1, 2, 3) AS ends`;
}

/** Spans as the list of bounds that width_bucket takes, and the bucket above each; null above those of a gap. */
function thresholds<Bound>(
  spans: readonly InBucket<{ readonly from: Bound; readonly to: Bound }>[],
  text: (bound: Bound) => string,
): { bounds: string[]; buckets: (number | null)[] } {
  const bounds: string[] = [];
  const buckets: (number | null)[] = [];
  for (const span of spans) {
    if (bounds.at(-1) === text(span.from)) buckets.pop();
    else bounds.push(text(span.from));
    buckets.push(span.bucket);
    bounds.push(text(span.to));
    buckets.push(null);
  }
  return { bounds, buckets };
}

/** True unless one of the midnights is none to PostgreSQL, by its own rules for the zone that the account has now. */
function confirmed(iAccount: number, midnights: readonly Midnight[]): RawBuilder<unknown> {
  if (midnights.length === 0) return sql`true`;
  return sql`(
    SELECT coalesce(bool_and((m.at AT TIME ZONE a.time_zone)::date = m.day
                    AND ((m.at - interval '1 microsecond') AT TIME ZONE a.time_zone)::date < m.day), true)
    FROM calls.accounts a, unnest(${midnights.map((m) => utcText(m.at))}::timestamptz[],
                                  ${midnights.map((m) => m.day)}::date[]) AS m (at, day)
    WHERE a.i_account = ${iAccount}::bigint)`;
}
