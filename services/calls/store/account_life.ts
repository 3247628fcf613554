/** Statements that rename and close accounts. */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import { tidyCode } from '../account_codes.ts';

const build = sqlBuilder<unknown>();

export const setCode = (iAccount: number, code: string): Statement<unknown> =>
  sql`UPDATE calls.accounts SET code = ${code} WHERE i_account = ${iAccount}`.compile(build);

/** Keeps a former code as written and tidied: rows may name the account by either. */
export const keepFormerCode = (iAccount: number, code: string): Statement<unknown> =>
  sql`
    INSERT INTO calls.former_codes (code, i_account)
    SELECT DISTINCT code, ${iAccount}::bigint FROM unnest(${[code, tidyCode(code)]}::text[]) AS code
    ON CONFLICT (code) DO UPDATE SET i_account = excluded.i_account, renamed_at = now()`.compile(build);

/** Forgets a former code, because an account has it as its code now. */
export const dropFormerCode = (code: string): Statement<unknown> =>
  sql`DELETE FROM calls.former_codes WHERE code = ${code}`.compile(build);

/** The account that had this code before. */
export const renamedFrom = (code: string): Statement<{ code: string }> =>
  sql<{ code: string }>`
    SELECT a.code FROM calls.former_codes f JOIN calls.accounts a USING (i_account)
    WHERE f.code IN (${code}, ${tidyCode(code)}) LIMIT 1`.compile(build);

/** @param at RFC 3339, or `now`; null: the account is open */
export const setClosedFrom = (
  iAccount: number,
  at: string | null,
): Statement<{ closed_from: string | null }> =>
  sql<{ closed_from: string | null }>`
    UPDATE calls.accounts SET closed_from = ${at}::timestamptz WHERE i_account = ${iAccount}
    RETURNING closed_from`.compile(build);

/** Counts an account's calls since it was closed, by quarters of an hour. The quarter of the closing itself is left out. */
export const callsSince = (iAccount: number): Statement<{ calls: number }> =>
  sql<{ calls: number }>`
    SELECT coalesce(sum(calls), 0)::bigint AS calls FROM calls.usage_quarters q JOIN calls.accounts a USING (i_account)
    WHERE a.i_account = ${iAccount} AND quarter >= a.closed_from`.compile(build);

/** Of these accounts, the ones that are closed or will be. */
export const closedFrom = (
  iAccounts: readonly number[],
): Statement<{ i_account: number; closed_from: string }> =>
  sql<{ i_account: number; closed_from: string }>`
    SELECT i_account, closed_from FROM calls.accounts
    WHERE i_account = ANY(${iAccounts}::bigint[]) AND closed_from IS NOT NULL`.compile(build);
