/**
 * SQL statements as values. A store builds statements (typed by Kysely or written with its `sql` template); a Session
 * runs them. The two are apart so that a plan test can read every statement, and the list routes can stream its rows.
 */
import {
  type CompiledQuery,
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
} from 'kysely';

/** A compiled statement whose rows are `Row`s. */
export type Statement<Row> = CompiledQuery<Row>;

/**
 * A Kysely that only writes SQL. Connections, queues and cancellation belong to platform/database, so Kysely never
 * holds one.
 */
export function sqlBuilder<Tables>(): Kysely<Tables> {
  return new Kysely<Tables>({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createDriver: () => new DummyDriver(),
      createIntrospector: (db) => new PostgresIntrospector(db),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    },
  });
}
