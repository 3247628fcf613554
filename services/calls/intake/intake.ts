/** Taking rows in: the one way by which calls of files, of posts and of rows that are tried again reach the tables. */
import type { Pool } from '#platform/database/pool.ts';
import { inTurns } from '#platform/lifecycle/turns.ts';
import type { Rejection } from '../cdr.ts';
import type { Taken } from '../formats/source_reader.ts';
import type { NewAccounts } from '../store/intake.ts';
import { createAccountBook, storedAccounts } from './account_book.ts';
import { openBatch, type RowsOf } from './batch.ts';
import type { SameCallRules } from './same_call.ts';
import { storeBatch } from './store_batch.ts';

/** Where rows come from, and what to do with those of unknown accounts. */
export interface Origin {
  readonly iImport: number;
  /** The switch, or the kind of switch, that wrote them: a record comes once from each source. */
  readonly source: string;
  readonly file: string;
  /** How accounts that no one has yet are made; null: their rows are set aside. */
  readonly newAccounts: Omit<NewAccounts, 'codes'> | null;
  /** Code of the account of rows that name none; '' where there is none. */
  readonly account: string;
  /** Costs may be below nought: it is a file of credit notes. */
  readonly credits: boolean;
  /**
   * How many bytes rows of the source have that are set aside: one of such a length that is taken in is dropped from
   * there. null: whatever its length.
   */
  readonly asideLengths: ReadonlySet<number> | null;
  readonly rules: SameCallRules;
  /** What else its source was called by versions before. */
  readonly namesBefore: readonly string[];
  /** Imports of the source whose rows were read as its own are. */
  readonly alike: ReadonlySet<number>;
  /** Versions before have stored calls of the source, which are known by other keys. */
  readonly knownBefore: boolean;
  /** The reader says which column is which field: another time he may say otherwise. */
  readonly readByMapping: boolean;
  /** Then: columns, in small letters, that were taken for the call id before. */
  readonly callIdColumns: ReadonlySet<string>;
  /** How far from a row's start calls of the same id are looked for, in milliseconds. */
  readonly farMs: number;
  /** A name of its own for whoever stores by it (source_turn.ts). */
  readonly writer: string;
}

export type RowOutcome =
  | { readonly kind: 'stored'; readonly iCdr: number }
  /** It filled what a stored call lacked, or took the place of what that told before. */
  | { readonly kind: 'completed'; readonly iCdr: number; readonly timesOf?: number }
  /** `timesOf`: the call keeps the times that this import stored; the row was read at others. */
  | { readonly kind: 'duplicate'; readonly timesOf?: number }
  /** It contradicts a stored call, and is kept aside. */
  | {
      readonly kind: 'conflict';
      readonly iCdr: number;
      readonly rejection: Rejection;
      readonly isKnown?: true;
    }
  /** `isKnown`: it had been set aside before, whatever became of it since. */
  | { readonly kind: 'set_aside'; readonly rejection: Rejection; readonly isKnown?: true };

/**
 * Takes rows in, all of them or, when the database fails, none; of rows of very many months perhaps some months.
 * @param of what is left out: of the origin's file, without a header, and ended
 * @param signal aborted: what is under way is cancelled and undone
 * @returns what became of each row, in order
 * @throws the database's error when it fails as a whole
 */
export async function takeIn(
  pool: Pool,
  origin: Origin,
  rows: readonly Taken[],
  of: Partial<RowsOf> = {},
  signal?: AbortSignal,
): Promise<RowOutcome[]> {
  if (rows.length === 0) return [];
  const accounts = await createAccountBook(
    storedAccounts(pool, origin.newAccounts, signal),
    origin.account,
  ).of(rows);
  const batch = openBatch(origin, rows.length);
  const from = { file: origin.file, columns: null, ...of };
  await inTurns(rows, (row) => batch.add([row], accounts, Date.now(), from));
  await storeBatch(pool, origin, batch, { signal });
  return batch.outcomes as RowOutcome[];
}
