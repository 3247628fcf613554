/**
 * The parents of accounts, each with its period (migration 0020, docs/decisions/0032). Fragments of statements climb and descend
 * the tree as it was at each time. Statements move an account.
 */
import { type RawBuilder, sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import type { ParentPeriod } from './account_rows.ts';

const build = sqlBuilder<unknown>();

/** Aliases that no other statement has, so that a name in `account` belongs to the statement around it. */
// A scalar, looked up for each account. PostgreSQL might plan a NOT EXISTS as a join over all moved accounts.
const isUnmoved = sql.raw(
  '(SELECT kept.i_account FROM calls.account_parents kept WHERE kept.i_account = whole.i_account LIMIT 1) IS NULL',
);
const ALL_TIME = sql.raw(`'-infinity'::timestamptz AS since, 'infinity'::timestamptz AS until`);

/** The parents of an account with their periods: i_parent, since, until. */
export const parentsOf = (account: RawBuilder<unknown>): RawBuilder<unknown> => sql`(
  SELECT part.i_parent, part.since, part.until FROM calls.account_parents part WHERE part.i_account = ${account}
  UNION ALL
  SELECT whole.i_parent, ${ALL_TIME} FROM calls.accounts whole WHERE whole.i_account = ${account} AND ${isUnmoved})`;

/** The children of an account, with their periods: i_account, since, until. */
const childrenOf = (account: RawBuilder<unknown>): RawBuilder<unknown> => sql`(
  SELECT part.i_account, part.since, part.until FROM calls.account_parents part WHERE part.i_parent = ${account}
  UNION ALL
  SELECT whole.i_account, ${ALL_TIME} FROM calls.accounts whole WHERE whole.i_parent = ${account} AND ${isUnmoved})`;

const OVERLAP = sql.raw(`greatest(t.since, p.since), least(t.until, p.until)`);
const OVERLAPS = sql.raw(`greatest(t.since, p.since) < least(t.until, p.until)`);

/**
 * `up`: an account and its ancestors, each with the periods in which it was an ancestor. UNION drops repeated rows, and periods
 * only get shorter on the way. So the recursion ends even if there is a circle.
 */
export const climb = (iAccount: RawBuilder<unknown>, since = sql`'-infinity'`): RawBuilder<unknown> => sql`
  up AS (
    SELECT ${iAccount} AS i_account, ${since}::timestamptz AS since, 'infinity'::timestamptz AS until
    UNION SELECT p.i_parent, ${OVERLAP} FROM up t CROSS JOIN LATERAL ${parentsOf(sql`t.i_account`)} AS p
    WHERE p.i_parent IS NOT NULL AND ${OVERLAPS})`;

/**
 * `tree`: accounts and their descendants, each with the periods in which it was a descendant. Future periods are left out:
 * nobody sees an account before it belongs to them.
 * @param tops i_account, since, until
 */
export const descend = (tops: RawBuilder<unknown>): RawBuilder<unknown> => sql`
  tree AS (
    ${tops}
    UNION SELECT p.i_account, ${OVERLAP} FROM tree t CROSS JOIN LATERAL ${childrenOf(sql`t.i_account`)} AS p
    WHERE ${OVERLAPS} AND p.since <= now())`;

/** The code of the present parent of account `a`. */
export const PARENT_NOW = sql`(
  SELECT above.code FROM ${parentsOf(sql`a.i_account`)} AS p JOIN calls.accounts above ON above.i_account = p.i_parent
  WHERE p.since <= now() AND now() < p.until)`;

/** RFC 3339 in UTC; null for an infinity. */
const textOf = (at: string): RawBuilder<unknown> =>
  sql.raw(`CASE WHEN isfinite(${at})
    THEN rtrim(rtrim(to_char(${at} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '0'), '.') || 'Z' END`);

/** The periods of account `a` as JSON; empty if the account was never moved. */
export const PERIODS = sql`(
  SELECT coalesce(jsonb_agg(jsonb_build_object('parent', above.code, 'from', ${textOf('p.since')}, 'to', ${textOf('p.until')})
                            ORDER BY p.since), '[]')
  FROM calls.account_parents p LEFT JOIN calls.accounts above ON above.i_account = p.i_parent
  WHERE p.i_account = a.i_account)`;

/** Locks the tree until the end of the transaction: two moves at the same time could make a circle. */
export const lockParents = (): Statement<unknown> =>
  sql`LOCK TABLE calls.account_parents IN SHARE ROW EXCLUSIVE MODE`.compile(build);

/** The first instant, at `since` or later, at which `iAncestor` is the account itself or above it; no row: never. */
export const isAbove = (
  iAncestor: number,
  iAccount: number,
  since: string,
): Statement<Pick<ParentPeriod, 'from'>> =>
  sql<Pick<ParentPeriod, 'from'>>`
    WITH RECURSIVE ${climb(sql`${iAccount}::bigint`, sql`${since}`)}
    SELECT ${textOf('since')} AS "from" FROM up WHERE i_account = ${iAncestor}::bigint
    ORDER BY since LIMIT 1`.compile(build);

/** An instant (`now` is one) in RFC 3339, and the parent of an account at that instant. */
export const readMove = (
  iAccount: number,
  at: string,
): Statement<{ from: string; i_parent: number | null; parent: string | null }> =>
  sql<{ from: string; i_parent: number | null; parent: string | null }>`
    SELECT ${textOf('m.at')} AS "from", p.i_parent, above.code AS parent
    FROM (SELECT date_trunc('milliseconds', ${at}::timestamptz) AS at) AS m
    CROSS JOIN LATERAL ${parentsOf(sql`${iAccount}::bigint`)} AS p
    LEFT JOIN calls.accounts above ON above.i_account = p.i_parent
    WHERE p.since <= m.at AND m.at < p.until`.compile(build);

/** The moves of an account at an instant or later. */
export const movesSince = (iAccount: number, from: string): Statement<ParentPeriod> =>
  sql<ParentPeriod>`
    SELECT above.code AS parent, ${textOf('p.since')} AS "from", ${textOf('p.until')} AS "to"
    FROM calls.account_parents p LEFT JOIN calls.accounts above ON above.i_account = p.i_parent
    WHERE p.i_account = ${iAccount} AND p.since >= ${from}::timestamptz ORDER BY p.since`.compile(build);

/**
 * Moves an account below another parent from an instant on, for good. Later moves of the account are deleted. Adjacent periods
 * of one parent become one period. If one parent remains for all time, the account counts as never moved.
 */
export const moveParent = (iAccount: number, iParent: number | null, from: string): Statement<unknown> =>
  sql`
    WITH cut AS (
      SELECT p.i_parent, p.since, least(p.until, ${from}::timestamptz) AS until
      FROM ${parentsOf(sql`${iAccount}::bigint`)} AS p WHERE p.since < ${from}::timestamptz
      UNION ALL SELECT ${iParent}::bigint, ${from}::timestamptz, 'infinity'
    ), begun AS (
      SELECT *, lag(i_parent) OVER w IS DISTINCT FROM i_parent OR lag(since) OVER w IS NULL AS begins
      FROM cut WINDOW w AS (ORDER BY since)
    ), numbered AS (
      SELECT *, count(*) FILTER (WHERE begins) OVER (ORDER BY since) AS nth FROM begun
    ), wanted AS (
      SELECT min(i_parent) AS i_parent, min(since) AS since, max(until) AS until FROM numbered GROUP BY nth
    ), parent AS (
      UPDATE calls.accounts SET i_parent = ${iParent}::bigint WHERE i_account = ${iAccount}
    ), gone AS (
      DELETE FROM calls.account_parents p
      WHERE i_account = ${iAccount}
        AND (p.since NOT IN (SELECT since FROM wanted) OR (SELECT count(*) FROM wanted) = 1)
    )
    INSERT INTO calls.account_parents AS was (i_account, i_parent, since, until)
    SELECT ${iAccount}::bigint, i_parent, since, until FROM wanted WHERE (SELECT count(*) FROM wanted) > 1
    ON CONFLICT (i_account, since) DO UPDATE SET i_parent = excluded.i_parent, until = excluded.until`.compile(
    build,
  );

/**
 * Counts the accounts below an account, and the calls of all of them from an instant on, by quarters of an hour. The quarter of
 * the instant itself is left out.
 */
export const movedWith = (iAccount: number, from: string): Statement<{ below: number; calls: number }> =>
  sql<{ below: number; calls: number }>`
    WITH RECURSIVE ${descend(
      sql`SELECT ${iAccount}::bigint AS i_account, ${from}::timestamptz AS since, 'infinity'::timestamptz AS until`,
    )}
    SELECT count(DISTINCT t.i_account)::int - 1 AS below, coalesce(sum(u.calls), 0)::bigint AS calls
    FROM tree t CROSS JOIN LATERAL (
      SELECT sum(q.calls) AS calls FROM calls.usage_quarters q
      WHERE q.i_account = t.i_account AND q.quarter >= t.since AND q.quarter < t.until) AS u`.compile(build);

/** The present and future descendants of an account. */
export const accountsBelow = (iAccount: number): Statement<{ code: string }> =>
  sql<{ code: string }>`
    SELECT DISTINCT a.code FROM ${childrenOf(sql`${iAccount}::bigint`)} AS p JOIN calls.accounts a USING (i_account)
    WHERE p.until > now() ORDER BY 1`.compile(build);
