/** Statements that find the account of a request. */
import { type RawBuilder, sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import type { SeenPeriod } from '../call_filter.ts';
import { climb, descend, parentsOf } from './account_parents.ts';

const build = sqlBuilder<unknown>();

export interface VisibleAccount {
  readonly time_zone: string;
  readonly country: string | null;
  readonly data_complete_to: string | null;
  /**
   * The periods in which the caller sees the account's calls, by their start, in order of time. Null: all time.
   */
  readonly seen: readonly SeenPeriod[] | null;
}

/** A source that has been silent for so long while others spoke counts as retired, and does not hold `data_complete_to` back. */
const RETIRED_AFTER = sql.raw(`interval '1 day'`);
/** Calls that were older than this when they arrived are history, not news: an archive, or the file of a month. */
const NEWS_FOR = sql.raw(`interval '1 day'`);

/**
 * The account, if it exists and lies, or once lay, at or below `root`; and `data_complete_to`. Read it before the calls: read
 * after the calls, `data_complete_to` could promise calls that the page lacks.
 *
 * The statement climbs the tree from the account, so the number of accounts below the root does not matter.
 */
export function visibleAccount(iAccount: number, root: number | null): Statement<VisibleAccount> {
  // Most callers need no climb, and PostgreSQL would plan the climb each time.
  if (root === null || root === iAccount) {
    return sql<VisibleAccount>`
      SELECT a.time_zone, a.country,
             ${dataCompleteTo(sql`s.i_account = ${iAccount}::bigint`)} AS data_complete_to, NULL::jsonb AS seen
      FROM calls.accounts a
      WHERE a.i_account = ${iAccount}::bigint ${root === null ? sql`` : sql`AND ${isOpen(sql`a`)}`}`.compile(
      build,
    );
  }
  // Computed once, though several places use it.
  return sql<VisibleAccount>`
    WITH w AS MATERIALIZED (SELECT ${seenBelow(sql`${iAccount}::bigint`, root)} AS seen)
    SELECT a.time_zone, a.country, ${dataCompleteOf(sql`(
        SELECT s.*, upper(range_merge(w.seen)) AS ends FROM calls.account_sources s WHERE s.i_account = a.i_account)`)}
        AS data_complete_to, ${asPeriods(sql`w.seen`)} AS seen
    FROM w CROSS JOIN calls.accounts a
    WHERE a.i_account = ${iAccount}::bigint AND w.seen IS NOT NULL`.compile(build);
}

/** The periods in which an account lies below `root`: i_account, since, until; none where the root is closed. */
const periodsBelow = (iAccount: RawBuilder<unknown>, root: number): RawBuilder<unknown> => sql`(
  WITH RECURSIVE ${climb(iAccount)}
  SELECT ${iAccount} AS i_account, up.since, up.until FROM up JOIN calls.accounts b ON b.i_account = up.i_account
  WHERE b.i_account = ${root}::bigint AND ${isOpen(sql`b`)} AND up.since <= now())`;

/** Joins adjacent periods `t` into one. */
const SEEN = sql.raw(`range_agg(tstzrange(t.since, t.until))`);

/** When an account lies below `root`, as a multirange; null: never. */
export const seenBelow = (iAccount: RawBuilder<unknown>, root: number): RawBuilder<unknown> =>
  sql`(SELECT ${SEEN} FROM ${periodsBelow(iAccount, root)} AS t)`;

/** Microseconds since 1970; null for an infinity. */
const micros = (at: string) =>
  sql.raw(`CASE WHEN isfinite(${at}) THEN (extract(epoch FROM ${at}) * 1000000)::bigint END`);

/** As SeenPeriod[]; null: all time. */
const asPeriods = (seen: RawBuilder<unknown>): RawBuilder<unknown> => sql`
  CASE WHEN NOT ${seen} @> tstzrange('-infinity', 'infinity') THEN (
    SELECT jsonb_agg(jsonb_build_object('from', ${micros('lower(r)')}, 'to', ${micros('upper(r)')}) ORDER BY r)
    FROM unnest(${seen}) AS r) END`;

/** The row that stands for all accounts, where calls are looked up without an account. */
export const everyAccount = (): Statement<VisibleAccount> =>
  sql<VisibleAccount>`
    SELECT 'UTC' AS time_zone, NULL AS country, NULL::jsonb AS seen, ${leastOf(sql`
      SELECT least(w.last_disconnect, now()) AS told_to, w.updated_at,
             w.last_disconnect > w.updated_at - ${NEWS_FOR} AS is_news
      FROM calls.watermarks w`)} AS data_complete_to`.compile(build);

/**
 * `data_complete_to` of these accounts: the minimum over the sources that deliver calls of these accounts as news and are not
 * retired. If all calls of the accounts are history, it is the minimum over the sources that end with the newest one.
 *
 * A source reports all accounts whose calls it delivered as news: an account without newer calls has made none. Calls from
 * archives alone are complete up to the end of the archives, even if other accounts have newer calls of the same source.
 * @param ofAccounts a condition on `s.i_account`
 */
export const dataCompleteTo = (ofAccounts: RawBuilder<unknown>): RawBuilder<unknown> =>
  leastOf(toldBy(sql`(SELECT * FROM calls.account_sources s WHERE ${ofAccounts})`));

/**
 * The same for accounts whose calls are visible up to `ends` alone. A source that has reported beyond `ends` holds nothing back.
 * @param pairs of account and source, with `ends`
 */
const dataCompleteOf = (pairs: RawBuilder<unknown>): RawBuilder<unknown> => sql`coalesce(
  ${leastOf(sql`SELECT * FROM (${toldBy(pairs, sql`, s.ends`)}) AS t WHERE t.told_to < t.ends`)},
  (SELECT max(ends) FROM (${toldBy(pairs, sql`, s.ends`)}) AS t WHERE t.told_to >= t.ends))`;

/** For each source: the instant up to which it has reported, when it did so, and whether that was news. @param pairs of account and source */
const toldBy = (pairs: RawBuilder<unknown>, more = sql``): RawBuilder<unknown> => sql`
    SELECT least(CASE WHEN n.is_news THEN w.last_disconnect ELSE i.told_to END, now()) AS told_to,
           w.updated_at, n.is_news ${more}
    FROM ${pairs} AS s JOIN calls.imports i USING (i_import)
    JOIN calls.watermarks w ON w.source = s.source
    CROSS JOIN LATERAL (SELECT i.told_to > i.told_at - ${NEWS_FOR}
                          AND w.last_disconnect > w.updated_at - ${NEWS_FOR} AS is_news) AS n`;

/** @param sources as toldBy() gives them: told_to, updated_at, is_news */
const leastOf = (sources: RawBuilder<unknown>): RawBuilder<unknown> => sql`
  (SELECT coalesce(min(told_to) FILTER (WHERE is_news AND updated_at > last_news - ${RETIRED_AFTER}),
                   min(told_to) FILTER (WHERE told_to > newest - ${RETIRED_AFTER}))
   FROM (SELECT told_to, updated_at, is_news, max(told_to) OVER () AS newest,
                max(updated_at) FILTER (WHERE is_news) OVER () AS last_news
         FROM (${sources}) AS told) AS sources)`;

/** An account at or below the requested one. */
export interface TreeAccount extends VisibleAccount {
  readonly i_account: number;
  readonly code: string;
}

/**
 * An account and its descendants, as far as a caller sees them: those that lie, or once lay, at or below `root`. No row if the
 * caller does not see the account, or the account does not exist. All rows have the same `data_complete_to` (decisions/0022).
 *
 * It is one statement, and it reads nothing before it knows that the caller may see the account.
 */
export function visibleTree(iAccount: number, root: number | null): Statement<TreeAccount> {
  return sql<TreeAccount>`
    WITH RECURSIVE ${treeBelow(iAccount, root)}
    SELECT a.i_account, a.code, a.time_zone, a.country, ${asPeriods(sql`below.seen`)} AS seen,
           ${dataCompleteOf(SOURCES_OF_TREE)} AS data_complete_to
    FROM below JOIN calls.accounts a USING (i_account)
    ORDER BY a.i_account`.compile(build);
}

/** One account after the other: PostgreSQL does not know how many accounts there are, and would read the sources of all. */
const SOURCES_OF_TREE = sql`(
  SELECT s.*, upper(range_merge(below.seen)) AS ends FROM below CROSS JOIN LATERAL (
    SELECT * FROM calls.account_sources s WHERE s.i_account = below.i_account OFFSET 0) AS s)`;

/**
 * An account and its descendants as `below`, with their visible periods: empty if the account does not lie at or below `root`.
 */
function treeBelow(iAccount: number, root: number | null): RawBuilder<unknown> {
  const top = sql`
    SELECT a.i_account, '-infinity'::timestamptz AS since, 'infinity'::timestamptz AS until
    FROM calls.accounts a WHERE a.i_account = ${iAccount}::bigint`;
  const tops =
    root === null
      ? top
      : root === iAccount
        ? sql`${top} AND ${isOpen(sql`a`)}`
        : sql`SELECT * FROM ${periodsBelow(sql`${iAccount}::bigint`, root)} AS t`;
  return sql`
  ${descend(tops)},
  below AS (SELECT t.i_account, ${SEEN} AS seen FROM tree t GROUP BY 1)`;
}

/**
 * Whether an account is, at a time, at or below the visible root of a caller. Nothing is visible below a closed root: its keys
 * are refused earlier, but tokens of an identity provider are not.
 */
export const isAtOrBelow = (iAccount: RawBuilder<unknown>, at: RawBuilder<unknown>, root: number) => sql`
  ${root}::bigint IN (
    WITH RECURSIVE up AS (
      SELECT ${iAccount} AS i_account
      UNION SELECT p.i_parent FROM up CROSS JOIN LATERAL ${parentsOf(sql`up.i_account`)} AS p
      WHERE p.since <= least(${at}, now()) AND ${at} < p.until AND p.i_parent IS NOT NULL)
    SELECT b.i_account FROM up JOIN calls.accounts b USING (i_account) WHERE ${isOpen(sql`b`)})`;

const isOpen = (account: RawBuilder<unknown>) =>
  sql`(${account}.closed_from IS NULL OR ${account}.closed_from > now())`;

/** The switch's codes of these accounts. */
export const codesOfAccounts = (
  iAccounts: readonly number[],
): Statement<{ i_account: number; code: string }> =>
  sql<{ i_account: number; code: string }>`
    SELECT i_account, code FROM calls.accounts WHERE i_account = ANY(${iAccounts}::bigint[])`.compile(build);

/** An account in the list from which callers choose one. */
export interface ShownAccount {
  readonly i_account: number;
  readonly code: string;
  readonly name: string;
  /** Only an account that the caller sees. */
  readonly i_parent: number | null;
  readonly currency: string;
  readonly time_zone: string;
  readonly country: string | null;
  readonly closed_from: string | null;
  /** As in VisibleAccount. The future end of a period is not shown. */
  readonly seen: readonly SeenPeriod[] | null;
}

/**
 * The accounts that lie, or once lay, at or below `root`, by their numbers.
 * @param after only those with a greater number
 */
export function visibleAccounts(root: number | null, after: number, limit: number): Statement<ShownAccount> {
  if (root === null) {
    return sql<ShownAccount>`
      SELECT a.i_account, a.code, a.name, CASE WHEN p.i_account IS NULL THEN a.i_parent ELSE p.i_parent END AS i_parent,
             a.currency, a.time_zone, a.country, a.closed_from, NULL::jsonb AS seen
      FROM calls.accounts a
      LEFT JOIN calls.account_parents p
        ON p.i_account = a.i_account AND p.i_account > ${after}::bigint AND p.since <= now() AND now() < p.until
      WHERE a.i_account > ${after}::bigint ORDER BY a.i_account LIMIT ${limit}`.compile(build);
  }
  return sql<ShownAccount>`
    WITH RECURSIVE ${treeBelow(root, root)}, past AS (
      SELECT i_account, seen, upper(range_merge(seen)) AS ends FROM below WHERE i_account > ${after}::bigint)
    SELECT a.i_account, a.code, a.name,
           CASE WHEN a.i_account <> ${root}::bigint THEN ${parentBefore(sql`least(now(), past.ends)`)} END AS i_parent,
           a.currency, a.time_zone, a.country, a.closed_from,
           ${asPeriods(sql`(CASE WHEN past.ends > now() THEN past.seen + tstzmultirange(tstzrange(now(), 'infinity')) ELSE past.seen END)`)} AS seen
    FROM past JOIN calls.accounts a USING (i_account) ORDER BY a.i_account LIMIT ${limit}`.compile(build);
}

/** The last parent of account `a` before an instant. */
const parentBefore = (at: RawBuilder<unknown>): RawBuilder<unknown> => sql`(
  CASE WHEN (SELECT p.i_account FROM calls.account_parents p WHERE p.i_account = a.i_account LIMIT 1) IS NULL THEN a.i_parent
  ELSE (SELECT p.i_parent FROM calls.account_parents p WHERE p.i_account = a.i_account AND p.since < ${at}
        ORDER BY p.since DESC LIMIT 1) END)`;

/** An account of a report. */
export interface ReportedAccount {
  readonly i_account: number;
  readonly code: string;
  readonly time_zone: string;
}

/** All accounts, closed ones too. */
export const allAccounts = (): Statement<ReportedAccount> =>
  sql<ReportedAccount>`SELECT i_account, code, time_zone FROM calls.accounts ORDER BY i_account`.compile(
    build,
  );
