/**
 * The entry file of this folder: a pipeline of statements. A decoder makes an answer of the rows of each statement, without a
 * JavaScript value for each cell. Files outside of the folder import this file alone (tests/floors.ts).
 *
 * All statements of a pipeline are sent at once, so they share one round trip. The decoders give JavaScript's objects
 * (valuesQuery), a page of JSON (jsonQuery) or records of a CSV file (csvQuery).
 */
import pg, { type ClientBase } from 'pg';
import type { Clock } from '#platform/lifecycle/clock.ts';
import {
  detectPooler,
  disablePreparedStatements,
  isNameRefused,
  isPoolerKnown,
  namesOn,
  WHO_ANSWERS,
} from './named_statements.ts';
import { type DecodedQuery, streamRows } from './row_stream.ts';
import { valuesQuery } from './rows_values.ts';

export { cellRules } from './cell_rules.ts';
export type { ValueRules } from './copy_value.ts';
export { csvCell } from './csv_cell.ts';
export type { KeptValues } from './last_row.ts';
export type { DecodedQuery, RowQuery } from './row_stream.ts';
export { csvQuery } from './rows_csv.ts';
export { type JsonPage, type JsonPageOptions, jsonQuery } from './rows_json.ts';
export { valuesQuery } from './rows_values.ts';
export { RESULT_FORMAT } from './wire_messages.ts';

/** The answers of queries, in their order; undefined for those that were left out. */
export type Answers<Queries extends readonly (DecodedQuery<unknown> | undefined)[]> = {
  -readonly [I in keyof Queries]: Queries[I] extends DecodedQuery<infer T>
    ? T
    : Queries[I] extends DecodedQuery<infer T> | undefined
      ? T | undefined
      : never;
};

/** As PostgreSQL answers to one of two who wait for each other. */
const DEADLOCK_DETECTED = '40P01';

/**
 * Whether the statements are to be run once more, since nothing of them was done: without names where a name was refused;
 * and where they and a migration waited for each other's tables, which they hold until the last has been run.
 */
function isRunAnew(client: ClientBase, error: unknown): boolean {
  if (!(error instanceof pg.DatabaseError)) return false;
  if (error.code === DEADLOCK_DETECTED) return client.getTransactionStatus() === 'I';
  if (!namesOn(client) || !isNameRefused(error)) return false;
  disablePreparedStatements(client);
  return true;
}

const whoAnswers = { sql: WHO_ANSWERS, parameters: [] };

interface PipelineOptions {
  /** Told how many rows all of them had. */
  readonly onRows?: (count: number) => void;
  readonly clock?: Clock;
}

/**
 * Runs queries in one transaction, in their order, for one way to the server and back.
 * @throws what streamRows rejects with
 */
export async function runPipeline<const Queries extends readonly (DecodedQuery<unknown> | undefined)[]>(
  client: ClientBase,
  queries: Queries,
  options: PipelineOptions = {},
): Promise<Answers<Queries>> {
  const parts = queries.filter((query) => query !== undefined);
  const who = isPoolerKnown(client) ? undefined : valuesQuery<{ pid: number }>(whoAnswers);
  const run = () => streamRows(client, who ? [who, ...parts] : parts, options.clock);
  let rows: number;
  try {
    rows = await run();
  } catch (error) {
    if (!isRunAnew(client, error)) throw error;
    rows = await run();
  }
  if (who) detectPooler(client, who.answer()[0]!.pid);
  options.onRows?.(who ? rows - 1 : rows);
  return queries.map((query) => query?.answer()) as Answers<Queries>;
}
