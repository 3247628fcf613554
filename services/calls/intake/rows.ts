/** Rows on their way in, and their outcomes. */
import type { RawRow, Rejection } from '../cdr.ts';
import type { SourceEnd } from '../formats/source_end.ts';

/** The common properties of rows that are added together. */
export interface RowsOf {
  /** As ImportSource has it, or one of its documents. */
  readonly file: string;
  /** The header in force, which the quarantine keeps with a row. */
  readonly columns: readonly string[] | null;
  /** The source's end, for rows without a line end. Undefined where they are not provisional. */
  readonly end?: SourceEnd | undefined;
}

/** A row that is rejected. */
export interface RowToReject {
  readonly row: RawRow;
  readonly of: RowsOf;
  readonly place: number;
  readonly rejection: Rejection;
}

/** A row that repeats another row of the batch, or of a batch that is being stored now. */
export interface RepeatedRow {
  readonly row: RawRow;
  readonly of: RowsOf;
  readonly place: number;
  readonly key: string;
}

/** The outcome of a row. */
export type RowOutcome =
  | { readonly kind: 'stored'; readonly iCdr: number }
  /** It filled missing values of a stored call, or replaced its values. */
  | { readonly kind: 'completed'; readonly iCdr: number; readonly timesOf?: number }
  /** `timesOf`: the call keeps the times that this import stored; the row was read at others. */
  | { readonly kind: 'duplicate'; readonly timesOf?: number }
  /** It contradicts a stored call, and is kept in the quarantine. */
  | {
      readonly kind: 'conflict';
      readonly iCdr: number;
      readonly rejection: Rejection;
      readonly isKnown?: true;
    }
  /** `isKnown`: it had been rejected before, whatever happened to it since. */
  | { readonly kind: 'set_aside'; readonly rejection: Rejection; readonly isKnown?: true };
