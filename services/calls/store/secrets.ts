/** Statements about secrets that the processes of this service share. */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';

const build = sqlBuilder<unknown>();

/** The first process makes the secret; the others find it. */
export const putSecret = (name: string, value: Buffer): Statement<unknown> =>
  sql`INSERT INTO calls.secrets (name, value) VALUES (${name}, ${value}) ON CONFLICT (name) DO NOTHING`.compile(
    build,
  );

export const getSecret = (name: string): Statement<{ value: Buffer }> =>
  sql<{ value: Buffer }>`SELECT value FROM calls.secrets WHERE name = ${name}`.compile(build);
