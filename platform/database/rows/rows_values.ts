/** A few rows as JavaScript's objects, for a statement that is run together with others. */

import type { Reading, RowQuery } from '../row_stream.ts';
import type { Statement } from '../statement.ts';
import { typeParsers } from '../types.ts';
import { textAt } from './byte_output.ts';
import type { Column } from './row_columns.ts';

/**
 * All rows of a statement, as Session.rows gives them.
 * @param everyday it is asked over and over (see RowQuery)
 */
export function valuesReading<Row>(
  { sql, parameters }: Statement<Row> | Pick<RowQuery, 'sql' | 'parameters'>,
  everyday = false,
): Reading<readonly Row[]> {
  let columns: readonly Column[] = [];
  let rows: Row[] = [];
  return {
    query: { sql, parameters, everyday },
    sink: {
      columns(described) {
        columns = described;
        rows = [];
      },
      row(view, at) {
        rows.push(readRow(columns, view, at) as Row);
      },
    },
    answer: () => rows,
  };
}

function readRow(columns: readonly Column[], view: DataView<ArrayBuffer>, at: number): object {
  const row: Record<string, unknown> = {};
  let valueAt = at + 2;
  for (const { name, type } of columns) {
    const length = view.getInt32(valueAt);
    valueAt += 4;
    row[name] = length < 0 ? null : typeParsers.getTypeParser(type)(textAt(view, valueAt, length));
    valueAt += Math.max(0, length);
  }
  return row;
}
