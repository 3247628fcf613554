/** One connection in use: runs statements, and holds a transaction where one is wanted. */
import type { ClientBase } from 'pg';
import { type Clock, systemClock } from '#platform/lifecycle/clock.ts';
import { type Answers, type DecodedQuery, runPipeline } from './fast_read/fast_read.ts';
import type { Statement } from './statement.ts';
import { inStatementSpan } from './statement_span.ts';

export interface Session {
  /** The connection itself, for COPY and row streaming. */
  readonly client: ClientBase;
  /** All rows of a statement. */
  rows<Row>(statement: Statement<Row>): Promise<Row[]>;
  /** The single row of a statement, or undefined where it gave none. */
  row<Row>(statement: Statement<Row>): Promise<Row | undefined>;
  /** Several statements for one way to the server and back, each with what its rows become (see fast_read.ts). */
  pipeline<const Queries extends readonly (DecodedQuery<unknown> | undefined)[]>(
    ...queries: Queries
  ): Promise<Answers<Queries>>;
  /** Runs a statement for its effect; returns how many rows it touched. */
  run(statement: Statement<unknown>): Promise<number>;
}

/** What the data that is read is worth. */
export interface ReadFrom {
  /** Seconds that it is at most behind the primary; null when it is the primary's own. */
  readonly replicaLagS: number | null;
}

/** What is read on a session. */
export type Read<T> = (session: Session, from: ReadFrom) => Promise<T>;

export interface SessionOptions {
  /** Told how many rows each statement gave, or touched. */
  readonly onRows?: ((count: number) => void) | undefined;
  /** Aborted: no further statement begins. */
  readonly signal?: AbortSignal | undefined;
  readonly clock?: Clock;
}

const rowsOf = ({ rowCount }: { readonly rowCount: number | null }): number => rowCount ?? 0;

export function createSession(client: ClientBase, options: SessionOptions = {}): Session {
  const { onRows = () => {}, signal, clock = systemClock } = options;
  const execute = async (statement: Statement<unknown>) => {
    signal?.throwIfAborted();
    const result = await inStatementSpan(
      client,
      () => [statement.sql],
      () => client.query(statement.sql, statement.parameters as unknown[]),
      rowsOf,
    );
    onRows(rowsOf(result));
    return result;
  };
  return {
    client,
    rows: async <Row>(statement: Statement<Row>) => (await execute(statement)).rows as Row[],
    row: async <Row>(statement: Statement<Row>) => (await execute(statement)).rows[0] as Row | undefined,
    pipeline: async (...queries) => {
      signal?.throwIfAborted();
      return inStatementSpan(
        client,
        () => queries.flatMap((query) => (query ? [query.query.sql] : [])),
        () => runPipeline(client, queries, { onRows, clock }),
      );
    },
    run: async (statement) => rowsOf(await execute(statement)),
  };
}

/**
 * Runs `work` in a transaction: commits what it did, or rolls all of it back when it throws.
 * A connection that cannot even roll back is broken; the error that is thrown is still the first one.
 */
export async function transaction<T>(session: Session, work: (session: Session) => Promise<T>): Promise<T> {
  await session.client.query('BEGIN');
  let result: T;
  try {
    result = await work(session);
  } catch (error) {
    await session.client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
  const { client } = session;
  await inStatementSpan(
    client,
    () => ['COMMIT'],
    () => client.query('COMMIT'),
  );
  return result;
}
