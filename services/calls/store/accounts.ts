/** Statements by which a request finds its account. */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';

const build = sqlBuilder<unknown>();

export interface VisibleAccount {
  readonly i_account: number;
  readonly currency: string;
  readonly time_zone: string;
  readonly data_complete_to: string | null;
}

/** A source that has been silent for this long beside the others is taken for retired and holds nothing back. */
const RETIRED_AFTER = sql.raw(`interval '1 day'`);

/**
 * The account, if it exists and lies at or below `bound`; and up to when the switches have told their calls, which is to
 * be read before the calls are: read after them, it could promise calls that the page does not have yet.
 *
 * The tree is climbed from the account, whatever the number of accounts below the bound. UNION drops what was seen, so
 * a circle ends too.
 */
export function visibleAccount(iAccount: number, bound: number | null): Statement<VisibleAccount> {
  // For most callers there is nothing to climb, and PostgreSQL would plan it each time.
  const within = bound === null || bound === iAccount ? sql`` : sql`AND ${isBelow(iAccount, bound)}`;
  return sql<VisibleAccount>`
    SELECT a.i_account, a.currency, a.time_zone,
           (SELECT min(least(w.last_disconnect, now())) FROM calls.watermarks w
            WHERE w.updated_at > (SELECT max(updated_at) FROM calls.watermarks) - ${RETIRED_AFTER}) AS data_complete_to
    FROM calls.accounts a
    WHERE a.i_account = ${iAccount}::bigint ${within}`.compile(build);
}

const isBelow = (iAccount: number, bound: number) => sql`
  ${bound}::bigint IN (
    WITH RECURSIVE up AS (
      SELECT i_account, i_parent FROM calls.accounts WHERE i_account = ${iAccount}::bigint
      UNION SELECT p.i_account, p.i_parent FROM calls.accounts p JOIN up ON p.i_account = up.i_parent)
    SELECT i_account FROM up)`;

/** What the switch calls these accounts. */
export const codesOfAccounts = (
  iAccounts: readonly number[],
): Statement<{ i_account: number; code: string }> =>
  sql<{ i_account: number; code: string }>`
    SELECT i_account, code FROM calls.accounts WHERE i_account = ANY(${iAccounts}::bigint[])`.compile(build);
