/**
 * The Kysely that Better Auth works with. Each statement goes through the service's queue and circuit breaker to the primary, as a
 * request's own statements do. Nothing of Better Auth that is used here needs a transaction; one is refused, since its statements
 * would run on several connections.
 */
import {
  type DatabaseConnection,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
} from 'kysely';
import pg from 'pg';
import type { Database } from '#platform/database/database.ts';
import { step } from './request.ts';

/** @param schema the schema of all tables */
export function guardedKysely(database: Database, schema: string): Kysely<unknown> {
  const connection: DatabaseConnection = {
    executeQuery: ({ sql, parameters }) =>
      step((context) =>
        database.readForWrite(context, async ({ client }) => {
          // Better Auth compares dates: it needs pg's own types, in which an instant is a Date.
          const query = { text: sql, values: [...parameters], types: pg.types };
          const { rows, rowCount } = await client.query(query);
          return { rows, numAffectedRows: BigInt(rowCount ?? 0) };
        }),
      ),
    streamQuery: () => refuse('streams'),
  };
  const kysely = new Kysely<unknown>({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createIntrospector: (db) => new PostgresIntrospector(db),
      createQueryCompiler: () => new PostgresQueryCompiler(),
      createDriver: () => ({
        init: async () => undefined,
        acquireConnection: async () => connection,
        beginTransaction: async () => refuse('transactions'),
        commitTransaction: async () => refuse('transactions'),
        rollbackTransaction: async () => undefined,
        releaseConnection: async () => undefined,
        destroy: async () => undefined,
      }),
    },
  });
  return kysely.withSchema(schema);
}

function refuse(what: string): never {
  throw new Error(`statements run one by one: there are no ${what}`);
}
