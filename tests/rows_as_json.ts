/** One statement's rows as JSON, on a connection of the test's own. */
import type { ClientBase } from 'pg';
import {
  type JsonPage,
  type JsonPageOptions,
  jsonQuery,
  type RowQuery,
  runPipeline,
} from '#platform/database/fast_read/fast_read.ts';

export async function rowsAsJson(
  client: ClientBase,
  query: RowQuery,
  options: JsonPageOptions = {},
): Promise<JsonPage> {
  const [page] = await runPipeline(client, [jsonQuery(query, options)]);
  return page;
}
