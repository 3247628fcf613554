/** Imports rows. Calls of files, of posts and of retried rows reach the tables only through here. */
import type { Pool } from '#platform/database/pool.ts';
import { inTurns } from '#platform/lifecycle/turns.ts';
import type { ParsedRow } from '../formats/source_reader.ts';
import { createAccountCache, storedAccounts } from './account_cache.ts';
import { openBatch } from './batch.ts';
import type { ImportSource } from './import_source.ts';
import type { RowOutcome, RowsOf } from './rows.ts';
import { storeBatch } from './store_batch.ts';

/**
 * Imports rows, all of them or, when the database fails, none. Of rows of very many months, perhaps some months.
 * @param of left-out fields: of the import source's file, without a header, and ended
 * @param signal aborted: the running work is cancelled and rolled back
 * @returns the outcome of each row, in order
 * @throws the database's error when it fails as a whole
 */
export async function takeIn(
  pool: Pool,
  importSource: ImportSource,
  rows: readonly ParsedRow[],
  of: Partial<RowsOf> = {},
  signal?: AbortSignal,
): Promise<RowOutcome[]> {
  if (rows.length === 0) return [];
  const accounts = await createAccountCache(
    storedAccounts(pool, importSource.newAccounts, signal),
    importSource.account,
  ).of(rows);
  const batch = openBatch(importSource, rows.length);
  const from = { file: importSource.file, columns: null, ...of };
  await inTurns(rows, (row) => batch.add([row], accounts, Date.now(), from));
  await storeBatch(pool, importSource, batch, { signal });
  return batch.outcomes as RowOutcome[];
}
