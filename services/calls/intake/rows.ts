/** Rows on their way in, and what became of them. */
import type { RawRow, Rejection } from '../cdr.ts';
import type { SourceEnd } from '../formats/source_end.ts';

/** What rows that are added together have in common. */
export interface RowsOf {
  /** As Origin has it, or one of its documents. */
  readonly file: string;
  /** The header in force, kept with rows that are set aside. */
  readonly columns: readonly string[] | null;
  /** What the source held when it ended, of rows that are not ended; undefined where they are not provisional. */
  readonly end?: SourceEnd | undefined;
}

/** A row that can't be taken in. */
export interface AsideRow {
  readonly row: RawRow;
  readonly of: RowsOf;
  readonly place: number;
  readonly rejection: Rejection;
}

/** A row that says again what another row of the batch, or of one that is being stored meanwhile, says. */
export interface RepeatedRow {
  readonly row: RawRow;
  readonly of: RowsOf;
  readonly place: number;
  readonly key: string;
}

/** What became of a row. */
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
