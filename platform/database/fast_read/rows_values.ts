/** A few rows as JavaScript's objects, for a statement that is run together with others. */

import type { Statement } from '../statement.ts';
import { typeParsers } from '../types.ts';
import type { DecodedQuery, RowQuery } from './row_stream.ts';

/**
 * All rows of a statement, as Session.rows gives them.
 * @param prepared it is asked over and over (see RowQuery)
 */
export function valuesQuery<Row>(
  { sql, parameters }: Statement<Row> | Pick<RowQuery, 'sql' | 'parameters'>,
  prepared = false,
): DecodedQuery<readonly Row[]> {
  let readers: readonly ColumnReader[] = [];
  let rows: Row[] = [];
  /** The rows of what has come through the socket lie in one piece of memory. */
  let piece: DataView<ArrayBuffer> | undefined;
  let bytes = Buffer.alloc(0);
  return {
    query: { sql, parameters, prepared },
    sink: {
      columns(described) {
        readers = described.map(({ name, type }) => ({ name, read: typeParsers.getTypeParser(type) }));
        rows = [];
      },
      row(view, at) {
        if (view !== piece) {
          piece = view;
          bytes = Buffer.from(view.buffer, view.byteOffset, view.byteLength);
        }
        rows.push(readRow(readers, view, bytes, at) as Row);
      },
    },
    answer: () => rows,
  };
}

interface ColumnReader {
  readonly name: string;
  readonly read: (text: string) => unknown;
}

/** @param bytes of the view */
function readRow(
  readers: readonly ColumnReader[],
  view: DataView<ArrayBuffer>,
  bytes: Buffer,
  at: number,
): object {
  const row: Record<string, unknown> = {};
  let valueAt = at + 2;
  for (const { name, read } of readers) {
    const length = view.getInt32(valueAt);
    valueAt += 4;
    row[name] = length < 0 ? null : read(bytes.toString('utf8', valueAt, valueAt + length));
    valueAt += Math.max(0, length);
  }
  return row;
}
