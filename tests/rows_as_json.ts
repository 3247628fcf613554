/** One statement's rows as JSON, on a connection of the test's own. */
import type { ClientBase } from 'pg';
import {
  type JsonPage,
  type JsonPageOptions,
  jsonReading,
  type RowQuery,
  readTogether,
} from '#platform/database/fast_read/fast_read.ts';

export async function rowsAsJson(
  client: ClientBase,
  query: RowQuery,
  options: JsonPageOptions = {},
): Promise<JsonPage> {
  const [page] = await readTogether(client, [jsonReading(query, options)]);
  return page;
}
