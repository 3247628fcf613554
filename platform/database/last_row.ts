/** Some columns' values in the last row of a stream: what the next page starts behind. */
import { textAt } from './byte_output.ts';
import { type Column, columnIndex } from './row_columns.ts';

/** By column name, in PostgreSQL's text: instants with all their digits. */
export type KeptValues = Readonly<Record<string, string | null>>;

/** To be told what a RowSink is told. */
export interface LastRow {
  columns(columns: readonly Column[]): void;
  row(view: DataView<ArrayBuffer>, at: number): void;
  /** The rows' memory goes now: reads what is wanted of the last one. */
  pieceEnd(): void;
  /** @returns undefined where no row came */
  values(): KeptValues | undefined;
}

/** @param names of the columns; `columns` throws for one that the query does not have */
export function createLastRow(names: readonly string[]): LastRow {
  let indexes: readonly number[] = [];
  let view: DataView<ArrayBuffer> | undefined;
  let at = 0;
  let values: readonly (string | null)[] | undefined;
  return {
    columns(columns) {
      indexes = names.map((name) => columnIndex(columns, name));
      values = undefined;
    },
    row(rowView, rowAt) {
      view = rowView;
      at = rowAt;
    },
    pieceEnd() {
      if (view) values = valuesAt(view, at, indexes);
      view = undefined;
    },
    values() {
      const found = values;
      return found && Object.fromEntries(names.map((name, i) => [name, found[i]!]));
    },
  };
}

function valuesAt(view: DataView<ArrayBuffer>, rowAt: number, indexes: readonly number[]): (string | null)[] {
  const starts: number[] = [];
  let at = rowAt + 2;
  for (let left = view.getUint16(rowAt); left > 0; left--) {
    starts.push(at);
    at += 4 + Math.max(0, view.getInt32(at));
  }
  return indexes.map((index) => {
    const start = starts[index]!;
    const length = view.getInt32(start);
    return length < 0 ? null : textAt(view, start + 4, length);
  });
}
