/** Statements that rename and close accounts. */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import { tidyCode } from '../account_codes.ts';
import type { DB } from '../tables.ts';

const build = sqlBuilder<DB>();

export const setCode = (iAccount: number, code: string): Statement<unknown> =>
  build.updateTable('calls.accounts').set({ code }).where('i_account', '=', iAccount).compile();

/** Keeps a former code as written and tidied: rows may name the account by either. */
export const keepFormerCode = (iAccount: number, code: string): Statement<unknown> =>
  sql`
    INSERT INTO calls.former_codes (code, i_account)
    SELECT DISTINCT code, ${iAccount}::bigint FROM unnest(${[code, tidyCode(code)]}::text[]) AS code
    ON CONFLICT (code) DO UPDATE SET i_account = excluded.i_account, renamed_at = now()`.compile(build);

/** Forgets a former code, because an account has it as its code now. */
export const dropFormerCode = (code: string): Statement<unknown> =>
  build.deleteFrom('calls.former_codes').where('code', '=', code).compile();

/** The account that had this code before. */
export const renamedFrom = (code: string): Statement<{ code: string }> =>
  build
    .selectFrom('calls.former_codes as f')
    .innerJoin('calls.accounts as a', 'a.i_account', 'f.i_account')
    .select('a.code')
    .where('f.code', 'in', [code, tidyCode(code)])
    .limit(1)
    .compile();

/** @param at RFC 3339, or `now`; null: the account is open */
export const setClosedFrom = (
  iAccount: number,
  at: string | null,
): Statement<{ closed_from: string | null }> =>
  build
    .updateTable('calls.accounts')
    .set({ closed_from: at })
    .where('i_account', '=', iAccount)
    .returning('closed_from')
    .compile();

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
