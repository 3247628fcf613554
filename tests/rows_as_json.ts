/** One statement's rows as JSON, on a connection of the test's own. */
import type { ClientBase } from 'pg';
import { readTogether } from '#platform/database/read_together.ts';
import type { RowQuery, RowStreamOptions } from '#platform/database/row_stream.ts';
import { type JsonPage, type JsonPageOptions, jsonReading } from '#platform/database/rows/rows_json.ts';

export async function rowsAsJson(
  client: ClientBase,
  query: RowQuery,
  options: JsonPageOptions & RowStreamOptions = {},
): Promise<JsonPage> {
  const [page] = await readTogether(client, [jsonReading(query, options)], options);
  return page;
}
