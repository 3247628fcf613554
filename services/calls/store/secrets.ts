/** Statements about secrets that the processes of this service share. */
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import type { DB } from '../tables.ts';

const build = sqlBuilder<DB>();

/** The first process makes the secret; the others find it. */
export const putSecret = (name: string, value: Buffer): Statement<unknown> =>
  build
    .insertInto('calls.secrets')
    .values({ name, value })
    .onConflict((name) => name.column('name').doNothing())
    .compile();

export const getSecret = (name: string): Statement<{ value: Buffer }> =>
  build.selectFrom('calls.secrets').select('value').where('name', '=', name).compile();
