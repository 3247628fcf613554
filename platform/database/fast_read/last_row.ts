/** Some columns' values in the last row of a stream: what the next page starts behind. */
import { type Column, columnIndex, valueText } from './row_columns.ts';

/** By column name, in PostgreSQL's text, or RFC 3339 where it came in binary form: instants with all their digits. */
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
  let described: readonly Column[] = [];
  let indexes: readonly number[] = [];
  let view: DataView<ArrayBuffer> | undefined;
  let at = 0;
  let values: readonly (string | null)[] | undefined;
  return {
    columns(columns) {
      described = columns;
      indexes = names.map((name) => columnIndex(columns, name));
      values = undefined;
      view = undefined; // rows of a run that is begun anew are gone
    },
    row(rowView, rowAt) {
      view = rowView;
      at = rowAt;
    },
    pieceEnd() {
      if (view) values = valuesAt(described, indexes, view, at);
      view = undefined;
    },
    values() {
      const found = values;
      return found && Object.fromEntries(names.map((name, i) => [name, found[i]!]));
    },
  };
}

function valuesAt(
  columns: readonly Column[],
  indexes: readonly number[],
  view: DataView<ArrayBuffer>,
  rowAt: number,
): (string | null)[] {
  const starts: number[] = [];
  let at = rowAt + 2;
  for (let left = view.getUint16(rowAt); left > 0; left--) {
    starts.push(at);
    at += 4 + Math.max(0, view.getInt32(at));
  }
  return indexes.map((index) => {
    const start = starts[index]!;
    const length = view.getInt32(start);
    return length < 0 ? null : valueText(columns[index]!, view, start + 4, length);
  });
}
