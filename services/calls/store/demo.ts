/** Statements of the sample. */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';

const build = sqlBuilder<unknown>();

export const isEmpty = (): Statement<{ empty: boolean }> =>
  sql<{ empty: boolean }>`
    SELECT NOT EXISTS (SELECT 1 FROM calls.accounts) AND NOT EXISTS (SELECT 1 FROM calls.imports) AS empty`.compile(
    build,
  );

/** Two customers, one with an account under it. */
export const addDemoAccounts = (): Statement<unknown> =>
  sql`
    WITH customers AS (
      INSERT INTO calls.accounts (code, name, currency, time_zone, country)
      VALUES ('acme', 'Acme Ltd (sample)', 'EUR', 'Europe/Berlin', 'DE'),
             ('globex', 'Globex GmbH (sample)', 'EUR', 'Europe/Berlin', 'DE')
      RETURNING i_account, code)
    INSERT INTO calls.accounts (code, name, currency, time_zone, country, i_parent)
    SELECT 'acme-berlin', 'Acme Berlin (sample)', 'EUR', 'Europe/Berlin', 'DE', i_account
    FROM customers WHERE code = 'acme'`.compile(build);
