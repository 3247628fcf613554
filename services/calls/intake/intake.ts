/** Taking rows in: the one way by which calls of files, of posts and of rows that are tried again reach the tables. */
import type { Pool } from '#platform/database/pool.ts';
import type { Rejection } from '../cdr.ts';
import type { Taken } from '../formats/reader.ts';
import type { NewAccounts } from '../store/intake.ts';
import { createAccountBook, storedAccounts } from './account_book.ts';
import { openBatch } from './batch.ts';
import { storeBatch } from './store_batch.ts';

/** Where rows come from, and what to do with those of unknown accounts. */
export interface Origin {
  readonly iImport: number;
  /** The switch, or the kind of switch, that wrote them: a record comes once from each source. */
  readonly source: string;
  readonly file: string;
  /** How accounts that no one has yet are made; null: their rows are set aside. */
  readonly newAccounts: Omit<NewAccounts, 'codes'> | null;
  /** Rows of this file were set aside before: those taken in now are dropped from there. */
  readonly hasRejected: boolean;
}

export type RowOutcome =
  | { readonly kind: 'stored'; readonly iCdr: number }
  | { readonly kind: 'duplicate' }
  | { readonly kind: 'set_aside'; readonly rejection: Rejection };

/**
 * Takes rows in, all of them or, when the database fails, none; of rows of very many months perhaps some months.
 * @param columns the header in force, kept with rows that are set aside
 * @param signal aborted: what is under way is cancelled and undone
 * @returns what became of each row, in order
 * @throws the database's error when it fails as a whole
 */
export async function takeIn(
  pool: Pool,
  origin: Origin,
  rows: readonly Taken[],
  columns: readonly string[] | null = null,
  signal?: AbortSignal,
): Promise<RowOutcome[]> {
  if (rows.length === 0) return [];
  const accounts = await createAccountBook(storedAccounts(pool, origin.newAccounts, signal)).of(rows);
  const batch = openBatch(origin, rows.length);
  batch.add(rows, accounts, Date.now());
  await storeBatch(pool, origin, batch, columns, signal);
  return batch.outcomes as RowOutcome[];
}
