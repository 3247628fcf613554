/**
 * Sums calls that are joined from their legs. No sum is stored: the statement reads the legs of the range by the index of account
 * and time, joins them in memory by the rules of linked_calls.ts, and counts each call where its first leg begins. So the sums
 * are exact after any change of records. The cost grows with the number of records in the range.
 *
 *            from                                     to
 *   ··· long ··│·· near ··│═══════════ range ══════════│·· later, of calls that go on ··
 *
 * A leg before the range shows that its call does not begin in the range. Two kinds of records reach into the range: records of
 * the hours before it, and long records of the hundred days before it. Long records have an index of their own. The later legs
 * of calls that last beyond the range are looked up by the linked id.
 */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import { type Micros, utcText } from '../time/instants.ts';
import { plainArray } from './array_text.ts';
import { accountsSeen, isOfSeen, LINKAGE } from './call_conditions.ts';
import { answerOf, endOf, isPartys, JOINED_AFTER, LONGEST_REACH } from './linked_calls.ts';
import type { Dimension, SeenAccounts } from './usage.ts';
import type { UsageRow } from './usage_rows.ts';

const build = sqlBuilder<unknown>();

/** As in the index of long records: PostgreSQL uses the index only for a query with the same text. */
const IS_LONG = sql.raw(`c.duration_s > 21600`);
/** How long before a leg a record may begin that reaches the leg and is not long. */
const NEAR = sql.raw(`interval '8 hours'`);

/**
 * Sums of calls by bucket and by the other dimensions. The row without a bucket always exists, comes first, and has the sums of
 * all buckets. Direction and country are those of the first leg. A call counts for the currency of its first leg, and the cost of
 * a leg for the leg's own currency. So all columns add up, and a row may have a cost alone.
 * @param accounts their calls count if the first leg begins while the account is visible
 * @param bounds the instants between the buckets
 * @param limit of rows
 */
export function sumLinkedUsage(
  accounts: readonly Omit<SeenAccounts, 'timeZone'>[],
  bounds: readonly Micros[],
  by: readonly Dimension[],
  limit: number,
): Statement<UsageRow> {
  const [from, to] = [utcText(bounds[0]!), utcText(bounds.at(-1)!)];
  const ofDimensions = (term: (name: Dimension) => string) =>
    sql.raw(by.map((name) => `, ${term(name)}`).join(''));
  const dimensions = ofDimensions((name) => `g_${name}`);
  // The currency of a cost is a dimension of all sums.
  const ofCosts = ofDimensions((name) => (name === 'currency' ? 'currency' : `g_${name}`));
  const costDimensions = ofDimensions((name) =>
    name === 'currency' ? 'CASE grouping(bucket) WHEN 0 THEN currency END AS g_currency' : `g_${name}`,
  );
  const leg = sql`c.i_account, ${sql.raw(LINKAGE)} AS linkage, c.source, c.start_time, c.i_cdr, c.call_id, c.source_key,
    c.duration_s, c.call_id <> ${sql.raw(LINKAGE)} AS is_other, ${endOf('c')} AS ended, ${isPartys('c')} AS party,
    ${answerOf('c')} AS answer, c.billed_duration_s, c.currency, c.cost
    ${ofDimensions((name) => `${name === 'country' ? "coalesce(c.country, '')" : `c.${name}`} AS g_${name}`)}`;
  const iAccounts = [...new Set(accounts.flatMap((part) => part.iAccounts))];
  const each = accounts.flatMap((part) => part.iAccounts.map((iAccount) => ({ iAccount, seen: part.seen })));
  // Nearly all accounts are visible for all time: then no look-up is necessary for each leg.
  const isSeen = accounts.every(({ seen }) => seen.from === null && seen.to === null)
    ? sql``
    : sql`AND EXISTS (
        SELECT FROM ${accountsSeen(
          each.map(({ iAccount }) => iAccount),
          each.map(({ seen }) => seen),
        )} WHERE ${isOfSeen(sql`c.began`)})`;
  const whose = sql`c.i_account = ANY(${plainArray(iAccounts)}::bigint[])`;
  const order = sql`start_time, is_other, -duration_s, call_id, source_key, i_cdr`;
  const call = sql.raw('i_account, linkage, source');
  return sql<UsageRow>`
    WITH reaching AS MATERIALIZED (
      SELECT ${leg} FROM calls.cdrs c
      WHERE ${whose} AND c.start_time >= ${from}::timestamptz - ${NEAR} AND c.start_time < ${to}::timestamptz
      UNION ALL
      SELECT ${leg} FROM calls.cdrs c
      WHERE ${whose} AND ${IS_LONG}
        AND c.start_time >= ${from}::timestamptz - ${LONGEST_REACH} AND c.start_time < ${from}::timestamptz - ${NEAR}
    ), later AS (
      SELECT l.* FROM (
        SELECT DISTINCT ${call} FROM reaching WHERE ended + ${JOINED_AFTER} >= ${to}::timestamptz) AS open
      CROSS JOIN LATERAL (
        SELECT ${leg} FROM calls.cdrs c
        WHERE c.i_account = open.i_account AND ${sql.raw(LINKAGE)} = open.linkage AND c.source = open.source
          AND c.start_time >= ${to}::timestamptz) AS l
    ), legs AS (
      SELECT l.*, count(*) FILTER (WHERE apart) OVER (PARTITION BY ${call} ORDER BY ${order}) AS nth
      FROM (SELECT l.*, start_time > max(ended + ${JOINED_AFTER})
                     OVER (PARTITION BY ${call} ORDER BY ${order} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS apart
            FROM (SELECT * FROM reaching UNION ALL SELECT * FROM later) AS l) AS l
    ), placed AS MATERIALIZED (
      SELECT *, width_bucket(began, ${bounds.map((bound) => utcText(bound))}::timestamptz[]) - 1 AS bucket FROM (
        SELECT ${call}, nth, ended, party, answer, billed_duration_s, currency, cost,
               first_value(start_time) OVER w AS began ${ofDimensions((name) => `first_value(g_${name}) OVER w AS g_${name}`)}
        FROM legs WINDOW w AS (PARTITION BY ${call}, nth ORDER BY ${order})) AS c
      WHERE began >= ${from}::timestamptz AND began < ${to}::timestamptz ${isSeen}
    ), one AS (
      SELECT bucket ${dimensions}, bool_or(party) AS answered, extract(epoch FROM max(ended) - began) AS seconds,
             sum(billed_duration_s) AS billed_seconds,
             CASE count(*) FILTER (WHERE party)
               WHEN 0 THEN 0
               WHEN 1 THEN extract(epoch FROM max(ended) FILTER (WHERE party) - min(answer) FILTER (WHERE party))
               ELSE (SELECT coalesce(sum(extract(epoch FROM upper(spoken) - lower(spoken))), 0)
                     FROM unnest(range_agg(tstzrange(answer, ended)) FILTER (WHERE party)) AS spoken)
             END AS talk_seconds
      FROM placed GROUP BY ${call}, nth, began, bucket ${dimensions}
    ), sums AS (
      SELECT bucket ${dimensions}, grouping(bucket) AS overall, count(*)::bigint AS calls,
             count(*) FILTER (WHERE answered)::bigint AS answered, count(*) FILTER (WHERE NOT answered)::bigint AS missed,
             coalesce(sum(seconds), 0)::float8 AS seconds, coalesce(sum(talk_seconds), 0)::float8 AS talk_seconds,
             coalesce(sum(billed_seconds), 0)::float8 AS billed_seconds
      FROM one GROUP BY GROUPING SETS ((bucket ${dimensions}), ())
    ), by_currency AS (
      SELECT bucket ${costDimensions}, currency, grouping(bucket) AS overall, sum(cost) AS cost
      FROM placed WHERE cost IS NOT NULL
      GROUP BY GROUPING SETS ((bucket ${ofCosts} ${by.includes('currency') ? sql`` : sql`, currency`}), (currency))
    ), costs AS (
      SELECT bucket ${dimensions}, overall,
             jsonb_agg(jsonb_build_object('currency', currency, 'amount', trim_scale(cost)::text) ORDER BY currency) AS cost
      FROM by_currency GROUP BY bucket, overall ${dimensions}
    ), together AS (
      SELECT bucket ${dimensions}, overall, calls, answered, missed, seconds, talk_seconds, billed_seconds, NULL AS cost FROM sums
      UNION ALL SELECT bucket ${dimensions}, overall, 0, 0, 0, 0, 0, 0, cost FROM costs)
    SELECT bucket ${ofDimensions((name) => `g_${name} AS ${name}`)}, sum(calls)::bigint AS calls, sum(answered)::bigint AS answered,
           sum(missed)::bigint AS missed, sum(seconds) AS seconds, sum(talk_seconds) AS talk_seconds,
           sum(billed_seconds) AS billed_seconds, coalesce((array_agg(cost) FILTER (WHERE cost IS NOT NULL))[1], '[]') AS cost
    FROM together GROUP BY overall, bucket ${dimensions}
    ORDER BY overall DESC, bucket ${dimensions}
    LIMIT ${limit}`.compile(build);
}
