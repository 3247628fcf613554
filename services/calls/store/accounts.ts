/** Statements by which a request finds its account. */
import { type RawBuilder, sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';

const build = sqlBuilder<unknown>();

export interface VisibleAccount {
  readonly time_zone: string;
  readonly country: string | null;
  readonly data_complete_to: string | null;
}

/** A source that has been silent for this long beside the others is taken for retired and holds nothing back. */
const RETIRED_AFTER = sql.raw(`interval '1 day'`);
/** What a source told that was older than this when it came is history, not news: an archive, or a month's file. */
const NEWS_FOR = sql.raw(`interval '1 day'`);

/**
 * The account, if it exists and lies at or below `bound`; and up to when the switches have told their calls, which is to
 * be read before the calls are: read after them, it could promise calls that the page does not have yet.
 *
 * The tree is climbed from the account, whatever the number of accounts below the bound. UNION drops what was seen, so
 * a circle ends too.
 */
export function visibleAccount(iAccount: number, bound: number | null): Statement<VisibleAccount> {
  return sql<VisibleAccount>`
    SELECT a.time_zone, a.country,
           ${dataCompleteTo(sql`s.i_account = ${iAccount}::bigint`)} AS data_complete_to
    FROM calls.accounts a
    WHERE a.i_account = ${iAccount}::bigint ${isWithin(iAccount, bound)}`.compile(build);
}

/** That `calls.accounts a`, which is this account, lies at or below `bound`, as the end of a condition. */
function isWithin(iAccount: number, bound: number | null): RawBuilder<unknown> {
  if (bound === null) return sql``;
  // For most callers there is nothing to climb, and PostgreSQL would plan it each time.
  return bound === iAccount
    ? sql`AND ${isOpen(sql`a`)}`
    : sql`AND ${isAtOrBelow(sql`${iAccount}::bigint`, bound)}`;
}

/** What is known of all accounts together, in which calls are looked up whosever they are. */
export const everyAccount = (): Statement<VisibleAccount> =>
  sql<VisibleAccount>`
    SELECT 'UTC' AS time_zone, NULL AS country, ${leastOf(sql`
      SELECT least(w.last_disconnect, now()) AS told_to, w.updated_at,
             w.last_disconnect > w.updated_at - ${NEWS_FOR} AS is_news
      FROM calls.watermarks w`)} AS data_complete_to`.compile(build);

/**
 * Up to when the switches have told the calls of these accounts: the least over the sources that bring any, whose calls came
 * as news and that still speak. Where none ever did, all there is are files of the past, and it is the least over those
 * that end with the newest.
 *
 * A source speaks for all whose calls it brought as news: one who has not called since then has none. What an account has
 * from archives alone is told as far as those go, though others have newer calls of the same source.
 * @param ofAccounts a condition on `s.i_account`
 */
export const dataCompleteTo = (ofAccounts: RawBuilder<unknown>): RawBuilder<unknown> =>
  leastOf(toldBy(sql`(SELECT * FROM calls.account_sources s WHERE ${ofAccounts})`));

/** How far each source has told, when that was, and whether it is news. @param pairs of account and source */
const toldBy = (pairs: RawBuilder<unknown>): RawBuilder<unknown> => sql`
    SELECT least(CASE WHEN n.is_news THEN w.last_disconnect ELSE i.told_to END, now()) AS told_to,
           w.updated_at, n.is_news
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

/** An account at or below the one that is asked for. */
export interface TreeAccount extends VisibleAccount {
  readonly i_account: number;
  readonly code: string;
}

/**
 * An account and all below it, as far as a caller sees them: those at or below `bound`. None where it does not see the account,
 * or there is no such. Each has the same `data_complete_to`, that of all of them (decisions/0022).
 *
 * One statement, in which nothing is gone through before it is known that the caller may see it.
 */
export function visibleTree(iAccount: number, bound: number | null): Statement<TreeAccount> {
  return sql<TreeAccount>`
    WITH RECURSIVE ${treeBelow(iAccount, bound)}
    SELECT a.i_account, a.code, a.time_zone, a.country,
           ${leastOf(toldBy(SOURCES_OF_TREE))} AS data_complete_to
    FROM tree JOIN calls.accounts a USING (i_account)
    ORDER BY a.i_account`.compile(build);
}

/** One account after the other: how many there are, PostgreSQL does not know, and would read all accounts' sources. */
const SOURCES_OF_TREE = sql`(
  SELECT s.* FROM tree CROSS JOIN LATERAL (
    SELECT * FROM calls.account_sources s WHERE s.i_account = tree.i_account OFFSET 0) AS s)`;

/** An account and those below it as `tree`: empty where the account does not lie at or below `bound`. */
const treeBelow = (iAccount: number, bound: number | null): RawBuilder<unknown> => sql`
  tree AS (
    SELECT a.i_account FROM calls.accounts a WHERE a.i_account = ${iAccount}::bigint ${isWithin(iAccount, bound)}
    UNION SELECT a.i_account FROM calls.accounts a JOIN tree t ON a.i_parent = t.i_account)`;

/**
 * Whether an account is the one that bounds what a caller sees, or stands below it. Below one that is closed nothing is
 * seen: keys of it are refused before, tokens of an identity provider are not.
 */
export const isAtOrBelow = (iAccount: RawBuilder<unknown>, bound: number) => sql`
  ${bound}::bigint IN (
    WITH RECURSIVE up AS (
      SELECT i_account, i_parent, closed_from FROM calls.accounts WHERE i_account = ${iAccount}
      UNION SELECT p.i_account, p.i_parent, p.closed_from FROM calls.accounts p JOIN up ON p.i_account = up.i_parent)
    SELECT i_account FROM up WHERE ${isOpen(sql`up`)})`;

const isOpen = (account: RawBuilder<unknown>) =>
  sql`(${account}.closed_from IS NULL OR ${account}.closed_from > now())`;

/** What the switch calls these accounts. */
export const codesOfAccounts = (
  iAccounts: readonly number[],
): Statement<{ i_account: number; code: string }> =>
  sql<{ i_account: number; code: string }>`
    SELECT i_account, code FROM calls.accounts WHERE i_account = ANY(${iAccounts}::bigint[])`.compile(build);

/** An account as those who may see it choose it. */
export interface ShownAccount {
  readonly i_account: number;
  readonly code: string;
  readonly name: string;
  /** Of those that the caller sees. */
  readonly i_parent: number | null;
  readonly currency: string;
  readonly time_zone: string;
  readonly country: string | null;
  readonly closed_from: string | null;
}

/**
 * The accounts at or below `bound`, by their numbers.
 * @param after only those with a greater number
 */
export function visibleAccounts(bound: number | null, after: number, limit: number): Statement<ShownAccount> {
  const seen = bound === null ? sql`` : sql`WITH RECURSIVE ${treeBelow(bound, bound)}`;
  const from = bound === null ? sql`calls.accounts a` : sql`tree JOIN calls.accounts a USING (i_account)`;
  return sql<ShownAccount>`
    ${seen}
    SELECT a.i_account, a.code, a.name, CASE WHEN a.i_account IS DISTINCT FROM ${bound}::bigint THEN a.i_parent END AS i_parent,
           a.currency, a.time_zone, a.country, a.closed_from
    FROM ${from} WHERE a.i_account > ${after}::bigint ORDER BY a.i_account LIMIT ${limit}`.compile(build);
}

/** An account of a report. */
export interface ReportedAccount {
  readonly i_account: number;
  readonly code: string;
  readonly time_zone: string;
}

/** Of all that there are, closed ones too. */
export const allAccounts = (): Statement<ReportedAccount> =>
  sql<ReportedAccount>`SELECT i_account, code, time_zone FROM calls.accounts ORDER BY i_account`.compile(
    build,
  );
