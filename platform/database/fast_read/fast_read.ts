/**
 * The door of this folder: statements that are run together, and what becomes of their rows without a JavaScript value of
 * each in between. Files outside of the folder import this one alone (tests/floors.ts).
 *
 * Several statements leave at once, for one way to the server and back, each with what its rows become: JavaScript's objects
 * (valuesReading), a page of JSON (jsonReading) or records of a CSV file (csvReading).
 */
import pg, { type ClientBase } from 'pg';
import type { Clock } from '#platform/lifecycle/clock.ts';
import {
  forbidNames,
  introduce,
  isIntroduced,
  isNameRefused,
  namesOn,
  WHO_ANSWERS,
} from './named_statements.ts';
import { type Reading, streamRows } from './row_stream.ts';
import { valuesReading } from './rows_values.ts';

export { cellRules } from './cell_rules.ts';
export type { ValueRules } from './copy_value.ts';
export { csvCell } from './csv_cell.ts';
export type { KeptValues } from './last_row.ts';
export type { Reading, RowQuery } from './row_stream.ts';
export { csvReading } from './rows_csv.ts';
export { type JsonPage, type JsonPageOptions, jsonReading } from './rows_json.ts';
export { valuesReading } from './rows_values.ts';
export { RESULT_FORMAT } from './wire_messages.ts';

/** The answers of readings, in their order; undefined for those that were left out. */
export type Answers<Readings extends readonly (Reading<unknown> | undefined)[]> = {
  -readonly [I in keyof Readings]: Readings[I] extends Reading<infer T>
    ? T
    : Readings[I] extends Reading<infer T> | undefined
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
  forbidNames(client);
  return true;
}

const whoAnswers = { sql: WHO_ANSWERS, parameters: [] };

interface TogetherOptions {
  /** Told how many rows all of them had. */
  readonly onRows?: (count: number) => void;
  readonly clock?: Clock;
}

/**
 * Runs readings in one transaction, in their order, for one way to the server and back.
 * @throws what streamRows rejects with
 */
export async function readTogether<const Readings extends readonly (Reading<unknown> | undefined)[]>(
  client: ClientBase,
  readings: Readings,
  options: TogetherOptions = {},
): Promise<Answers<Readings>> {
  const parts = readings.filter((reading) => reading !== undefined);
  const who = isIntroduced(client) ? undefined : valuesReading<{ pid: number }>(whoAnswers);
  const run = () => streamRows(client, who ? [who, ...parts] : parts, options.clock);
  let rows: number;
  try {
    rows = await run();
  } catch (error) {
    if (!isRunAnew(client, error)) throw error;
    rows = await run();
  }
  if (who) introduce(client, who.answer()[0]!.pid);
  options.onRows?.(who ? rows - 1 : rows);
  return readings.map((reading) => reading?.answer()) as Answers<Readings>;
}
