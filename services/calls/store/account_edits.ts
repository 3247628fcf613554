/** Statements by which the operator makes and changes accounts. */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import { tidyCode } from '../account_codes.ts';
import type { DB } from '../tables.ts';
import { PARENT_NOW, PERIODS } from './account_parents.ts';
import type { AccountEdit, AccountRow, NewAccount } from './account_rows.ts';
import { TIDIED_CODE } from './intake.ts';

const build = sqlBuilder<DB>();

const COLUMNS = sql`a.i_account, a.code, a.name, a.currency, a.time_zone, a.country,
  ${PARENT_NOW} AS parent, ${PERIODS} AS parents, a.created_at,
  a.closed_from, ARRAY(SELECT f.code FROM calls.former_codes f WHERE f.i_account = a.i_account ORDER BY 1) AS former_codes`;

export const insertAccount = (account: NewAccount): Statement<{ i_account: number }> =>
  build
    .insertInto('calls.accounts')
    .values({
      ...{ code: account.code, name: account.name, currency: account.currency, country: account.country },
      ...{ time_zone: account.timeZone, i_parent: account.iParent },
    })
    .returning('i_account')
    .compile();

/** Finds an account by its code: as written, else tidied, else an account whose tidied code is the same. */
export const accountAsWritten = (written: string): Statement<AccountRow> => {
  const code = tidyCode(written);
  return sql<AccountRow>`
    SELECT ${COLUMNS} FROM calls.accounts a
    WHERE code = ${written} OR code = ${code} OR (code <> ${TIDIED_CODE} AND ${TIDIED_CODE} = ${code})
    ORDER BY code = ${written} DESC, code = ${code} DESC, i_account LIMIT 1`.compile(build);
};

export const listAccounts = (after: string, limit: number): Statement<AccountRow> =>
  sql<AccountRow>`
    SELECT ${COLUMNS} FROM calls.accounts a WHERE a.code > ${after} ORDER BY a.code LIMIT ${limit}`.compile(
    build,
  );

/** Changes an account. An undefined field keeps its value. */
export const updateAccount = (
  iAccount: number,
  edit: AccountEdit & { iParent?: number | null },
): Statement<unknown> =>
  sql`
    UPDATE calls.accounts SET
      name = coalesce(${edit.name ?? null}, name),
      currency = coalesce(${edit.currency ?? null}, currency),
      time_zone = coalesce(${edit.timeZone ?? null}, time_zone),
      country = CASE WHEN ${edit.country !== undefined} THEN ${edit.country ?? null} ELSE country END,
      i_parent = CASE WHEN ${edit.iParent !== undefined} THEN ${edit.iParent ?? null}::bigint ELSE i_parent END
    WHERE i_account = ${iAccount}`.compile(build);

export const deleteUsageDays = (iAccount: number): Statement<unknown> =>
  build.deleteFrom('calls.usage_days').where('i_account', '=', iAccount).compile();

/** Sums an account's days again from its quarters, by the account's present zone. */
export const rebuildUsageDays = (iAccount: number): Statement<unknown> =>
  sql`
    INSERT INTO calls.usage_days
    SELECT q.i_account, (q.quarter AT TIME ZONE a.time_zone)::date, q.direction, q.country, q.currency,
           sum(q.calls), sum(q.answered), sum(q.non_zero), sum(q.errors),
           sum(q.seconds), sum(q.billed_seconds), sum(q.cost)
    FROM calls.usage_quarters q JOIN calls.accounts a USING (i_account)
    WHERE q.i_account = ${iAccount}
    GROUP BY 1, 2, 3, 4, 5`.compile(build);
