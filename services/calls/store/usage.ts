/**
 * Statements that sum usage. Each sum is one statement over up to three tables (see usage_cover.ts), so it shows one moment: a
 * call that is stored meanwhile is in all sums or in none.
 */
import { type RawBuilder, sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import type { SeenPeriod } from '../call_filter.ts';
import type { CallType } from '../contract.ts';
import { instant, MICROS_PER_MS, type Micros, utcText } from '../time/instants.ts';
import { plainArray } from './array_text.ts';
import type { BucketSpans, Cover, DaySpan, InBucket, Midnight, TimeSpan, UsageRow } from './usage_rows.ts';

const build = sqlBuilder<unknown>();
const MICROS_PER_S = 1_000 * MICROS_PER_MS;

/** Whether PostgreSQL's days begin at the instants that Node computed. If not, the sums by day are those of other periods. */
interface Confirmed {
  readonly days_confirmed: boolean;
}

/** The column of the usage tables for each type of call. */
const COUNTED: Record<CallType, string> = {
  all: 'calls',
  answered: 'answered',
  non_zero: 'non_zero',
  errors: 'errors',
  missed: 'calls - answered',
};

/** Accounts of one zone. The zone has the spelling of the database. */
interface ZoneAccounts {
  readonly iAccounts: readonly number[];
  readonly timeZone: string;
}

/** The same, visible in one period. */
export interface SeenAccounts extends ZoneAccounts {
  readonly seen: SeenPeriod;
}

/** Accounts of one zone, and the parts of the requested range: days, quarters and loose ends. */
export interface CoverPart extends ZoneAccounts {
  readonly cover: Cover;
}

/** Counts the calls of a type that accounts have in a range. */
export function totalOfCalls(
  parts: readonly CoverPart[],
  type: CallType,
): Statement<Confirmed & { total: number }> {
  const column = sql.raw(COUNTED[type]);
  const counts = parts.flatMap(({ iAccounts, cover: { days, quarters, calls } }) => [
    ...(days
      ? [
          sql`SELECT sum(${column}) FROM calls.usage_days
            WHERE ${isOneOf(iAccounts)} AND day >= ${days.from}::date AND day < ${days.to}::date`,
        ]
      : []),
    ...quarters.map(
      (span) => sql`SELECT sum(${column}) FROM calls.usage_quarters
        WHERE ${isOneOf(iAccounts)}
          AND quarter >= ${utcText(span.from)}::timestamptz AND quarter < ${utcText(span.to)}::timestamptz`,
    ),
    ...calls.map(
      (span) => sql`SELECT count(*) FILTER (WHERE ${sql.raw(CALL_COUNTS[type])}) FROM calls.cdrs c
        WHERE ${isOneOf(iAccounts, sql.ref('c.i_account'))}
          AND c.start_time >= ${utcText(span.from)}::timestamptz AND c.start_time < ${utcText(span.to)}::timestamptz`,
    ),
  ]);
  if (counts.length === 0) counts.push(sql`SELECT 0`);
  return sql<Confirmed & { total: number }>`
    SELECT coalesce(sum(n), 0)::bigint AS total, ${allConfirmed(parts, ({ cover }) => cover.midnights)} AS days_confirmed
    FROM (${sql.join(counts, sql` UNION ALL `)}) AS parts (n)`.compile(build);
}

/** The same rules as in intake/usage.ts. */
const CALL_COUNTS: Record<CallType, string> = {
  all: 'true',
  answered: "c.result = 'answered'",
  non_zero: 'c.billed_duration_s > 0',
  errors: "c.result = 'failed'",
  missed: "c.result <> 'answered'",
};

export const GROUPINGS = ['account', 'direction', 'country'] as const;
export type Grouping = (typeof GROUPINGS)[number];
/** The dimensions of usage beside time. */
export type Dimension = Exclude<Grouping, 'account'> | 'currency' | 'i_account';

/** The columns of groups. */
export const dimensionsOf = (groups: readonly Grouping[]): Dimension[] =>
  groups.map((group) => (group === 'account' ? 'i_account' : group));

/** Accounts of one zone, and the spans to sum. */
export interface UsagePart extends ZoneAccounts {
  readonly spans: BucketSpans;
}

/**
 * Sums of usage by bucket and by the other dimensions. The row without a bucket has the sums of all buckets. There is always at
 * least one row, since it shows whether the days are confirmed. Amounts of different currencies are never added.
 *
 * `width_bucket`, a binary search, finds the bucket of a span, in one walk over the days or quarters of each account. The loose
 * ends are counted from calls. They are few and short, so each is a look-up of its own: a walk would read all calls between them.
 * @param limit of rows
 */
export function sumUsage(
  parts: readonly UsagePart[],
  by: readonly Dimension[],
  limit: number,
): Statement<Confirmed & UsageRow> {
  const used = parts.flatMap(({ iAccounts, spans }) => [
    ...(spans.days.length > 0 ? [fromDays(iAccounts, spans.days)] : []),
    ...(spans.quarters.length > 0 ? [fromQuarters(iAccounts, spans.quarters)] : []),
    ...(spans.calls.length > 0 ? [fromCalls(iAccounts, spans.calls)] : []),
  ]);
  const listed = (term: (name: Dimension) => string) => sql.raw(by.map((name) => `, ${term(name)}`).join(''));
  const groups = listed((name) => name);
  // The sums of all buckets are by currency as well, and must not be confused with those of a bucket.
  const groupsOfBuckets = listed((name) => `CASE WHEN grouping(bucket) = 0 THEN ${name} END AS g_${name}`);
  const named = listed((name) => `g_${name}`);
  const order = listed((name) => `sums.g_${name}`);
  const shown = listed((name) => `sums.g_${name} AS ${name}`);
  if (used.length === 0)
    used.push(sql`SELECT NULL::int AS bucket, ${USED} FROM calls.usage_days WHERE false`);
  return sql<Confirmed & UsageRow>`
    WITH used AS (${sql.join(used, sql` UNION ALL `)}),
    by_currency AS (
      SELECT bucket ${groupsOfBuckets}, currency AS of_currency, grouping(bucket) AS overall, sum(calls)::bigint AS calls,
             sum(answered)::bigint AS answered, sum(seconds) AS seconds, sum(billed_seconds) AS billed_seconds,
             sum(cost) AS cost
      FROM used WHERE bucket IS NOT NULL
      GROUP BY GROUPING SETS ((bucket ${groups}, currency), (currency))),
    sums AS (
      SELECT bucket ${named}, overall, sum(calls)::bigint AS calls,
             sum(answered)::bigint AS answered, sum(seconds)::float8 AS seconds,
             sum(billed_seconds)::float8 AS billed_seconds,
             coalesce(jsonb_agg(jsonb_build_object('currency', of_currency, 'amount', trim_scale(cost)::text)
                                ORDER BY of_currency) FILTER (WHERE cost IS NOT NULL), '[]') AS cost
      FROM by_currency GROUP BY overall, bucket ${named})
    SELECT days.days_confirmed, sums.bucket ${shown}, coalesce(sums.calls, 0)::bigint AS calls,
           coalesce(sums.answered, 0)::bigint AS answered, coalesce(sums.seconds, 0) AS seconds,
           coalesce(sums.billed_seconds, 0) AS billed_seconds, coalesce(sums.cost, '[]') AS cost
    FROM (SELECT ${allConfirmed(parts, ({ spans }) => spans.midnights)} AS days_confirmed) AS days LEFT JOIN sums ON true
    ORDER BY sums.overall DESC, sums.bucket ${order}
    LIMIT ${limit}`.compile(build);
}

const USED = sql.raw(
  'i_account, direction, country, currency, calls, answered, seconds, billed_seconds, cost',
);

/** A condition on accounts. Most requests have one account, and the plan is simpler then. */
const isOneOf = (iAccounts: readonly number[], column = sql.ref('i_account')): RawBuilder<unknown> =>
  iAccounts.length === 1
    ? sql`${column} = ${iAccounts[0]}::bigint`
    : sql`${column} = ANY(${plainArray(iAccounts)}::bigint[])`;

function fromDays(iAccounts: readonly number[], spans: readonly InBucket<DaySpan>[]): RawBuilder<unknown> {
  const { bounds, buckets } = thresholds(spans);
  return sql`
    SELECT (${plainArray(buckets)}::int[])[width_bucket(day, ${plainArray(bounds)}::date[])] AS bucket, ${USED}
    FROM calls.usage_days
    WHERE ${isOneOf(iAccounts)} AND day >= ${bounds[0]}::date AND day < ${bounds.at(-1)}::date`;
}

function fromQuarters(
  iAccounts: readonly number[],
  spans: readonly InBucket<TimeSpan>[],
): RawBuilder<unknown> {
  const { bounds, buckets } = thresholds(spans);
  const text = (bound: Micros) => instant(bound / MICROS_PER_MS);
  // A year has some 8,800 hours. To write, send, parse and search seconds takes a fraction of the time that stamps take.
  const seconds = bounds.map((bound) => bound / MICROS_PER_S);
  return sql`
    SELECT (${plainArray(buckets)}::int[])[width_bucket(date_part('epoch', quarter), ${plainArray(seconds)}::float8[])] AS bucket,
           ${USED}
    FROM calls.usage_quarters
    WHERE ${isOneOf(iAccounts)}
      AND quarter >= ${text(bounds[0]!)}::timestamptz AND quarter < ${text(bounds.at(-1)!)}::timestamptz`;
}

function fromCalls(iAccounts: readonly number[], spans: readonly InBucket<TimeSpan>[]): RawBuilder<unknown> {
  return sql`
    SELECT span.bucket, ends.*
    FROM unnest(${spans.map((s) => utcText(s.from))}::timestamptz[], ${spans.map((s) => utcText(s.to))}::timestamptz[],
                ${spans.map((s) => s.bucket)}::int[]) AS span (since, until, bucket)
    CROSS JOIN LATERAL (
      SELECT c.i_account, c.direction, coalesce(c.country, '') AS country, c.currency, count(*) AS calls,
             count(*) FILTER (WHERE c.result = 'answered') AS answered, sum(c.duration_s) AS seconds,
             sum(c.billed_duration_s) AS billed_seconds, sum(c.cost) AS cost
      FROM calls.cdrs c
      WHERE ${isOneOf(iAccounts, sql.ref('c.i_account'))}
        AND c.start_time >= span.since AND c.start_time < span.until
        AND c.start_time >= ${utcText(spans[0]!.from)}::timestamptz
        AND c.start_time < ${utcText(spans.at(-1)!.to)}::timestamptz
      GROUP BY 1, 2, 3, 4) AS ends`;
}

/** Spans as the sorted bounds for width_bucket, with the bucket above each bound; null above a bound that begins a gap. */
function thresholds<Bound>(spans: readonly InBucket<{ readonly from: Bound; readonly to: Bound }>[]): {
  bounds: Bound[];
  buckets: (number | null)[];
} {
  const bounds: Bound[] = [];
  const buckets: (number | null)[] = [];
  for (const span of spans) {
    if (bounds.at(-1) === span.from) buckets.pop();
    else bounds.push(span.from);
    buckets.push(span.bucket);
    bounds.push(span.to);
    buckets.push(null);
  }
  return { bounds, buckets };
}

/** Whether the midnights of all parts are confirmed. */
const allConfirmed = <Part extends ZoneAccounts>(
  parts: readonly Part[],
  midnightsOf: (part: Part) => readonly Midnight[],
): RawBuilder<unknown> =>
  parts.length === 0
    ? sql`true`
    : sql.join(
        parts.map((part) => confirmed(part, midnightsOf(part))),
        sql` AND `,
      );

/**
 * True if each midnight is a midnight by PostgreSQL's rules for the zone, and each account still has the zone.
 */
function confirmed(
  { iAccounts, timeZone }: ZoneAccounts,
  midnights: readonly Midnight[],
): RawBuilder<unknown> {
  if (midnights.length === 0) return sql`true`;
  return sql`(
    (SELECT coalesce(bool_and((m.at AT TIME ZONE ${timeZone}::text)::date = m.day
                     AND ((m.at - interval '1 microsecond') AT TIME ZONE ${timeZone}::text)::date < m.day), true)
     FROM unnest(${midnights.map((m) => utcText(m.at))}::timestamptz[],
                 ${midnights.map((m) => m.day)}::date[]) AS m (at, day))
    AND NOT EXISTS (SELECT FROM calls.accounts a
                    WHERE ${isOneOf(iAccounts, sql.ref('a.i_account'))} AND a.time_zone <> ${timeZone}::text))`;
}
