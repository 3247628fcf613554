/**
 * Rows as CSV records (RFC 4180: commas or another separator, CRLF), written straight from PostgreSQL's bytes. A file's header is its writer's
 * affair, and a large file is many queries.
 *
 * A value is written as the text that PostgreSQL makes of it, by the rules of csv_cell.ts, an instant in binary form as RFC 3339;
 * NULL is an empty cell, as the empty text is. A column may have rules of its own (cell_rules.ts).
 */

import { type ByteOutput, reserve, writeText } from '../byte_output.ts';
import { cellRules } from './cell_rules.ts';
import type { ValueRules } from './copy_value.ts';
import { writeInstant } from './instant_text.ts';
import { createLastRow, type KeptValues } from './last_row.ts';
import { type Column, columnIndex, valueText } from './row_columns.ts';
import type { DecodedQuery, RowQuery } from './row_stream.ts';

/** How much longer than its text a cell may be that is written on bytes. */
export const CELL_EXTRA_BYTES = 24;

const INSTANT_RULES: ValueRules = { text: (text) => text, bytes: writeInstant };

export interface CsvOptions {
  /** Columns whose values in the last row are wanted: what the next batch starts behind. */
  readonly keep?: readonly string[];
  /** Columns with rules of their own, by name. */
  readonly rules?: Readonly<Record<string, ValueRules>>;
  /** Between two cells, of ASCII; a comma unless told. */
  readonly separator?: string;
  /** How many columns, from the first, are written: those behind are read for `keep` alone. All unless told. */
  readonly cells?: number;
}

export interface CsvFacts {
  /** Records written. */
  readonly count: number;
  /** The kept columns of the last one; undefined where there is none. */
  readonly last: KeptValues | undefined;
}

/**
 * The rows of `query`, appended to `out` as CSV records. All are held in memory: the query wants a LIMIT.
 * @throws Error, when it is run, for a kept or ruled column that the query does not have. Whatever it fails with, `out` may
 * then hold some of the records
 */
export function csvQuery(query: RowQuery, out: ByteOutput, options: CsvOptions = {}): DecodedQuery<CsvFacts> {
  const begin = out.at;
  const lastRow = createLastRow(options.keep ?? []);
  const separator = (options.separator ?? ',').charCodeAt(0);
  let columns: readonly RuledColumn[] = [];
  let count = 0;
  return {
    query,
    sink: {
      columns(described) {
        columns = ruledColumns(described, options.rules).slice(0, options.cells);
        lastRow.columns(described);
        out.at = begin;
        count = 0;
      },
      row(view, at, end) {
        writeRecord(out, columns, separator, view, at, end);
        lastRow.row(view, at);
        count++;
      },
      pieceEnd: lastRow.pieceEnd,
    },
    answer: () => ({ count, last: lastRow.values() }),
  };
}

interface RuledColumn {
  readonly column: Column;
  readonly rules: ValueRules;
}

function ruledColumns(
  columns: readonly Column[],
  named: Readonly<Record<string, ValueRules>> = {},
): readonly RuledColumn[] {
  for (const name of Object.keys(named)) columnIndex(columns, name);
  return columns.map((column) => ({
    column,
    rules: named[column.name] ?? (column.kind === 'instant' ? INSTANT_RULES : cellRules.text),
  }));
}

const CR_LF = 0x0d0a;

/** Appends a row, which lies in `from` between `at` and `end` (see RowSink). */
function writeRecord(
  out: ByteOutput,
  columns: readonly RuledColumn[],
  separator: number,
  from: DataView<ArrayBuffer>,
  at: number,
  end: number,
): void {
  const room = end - at + (CELL_EXTRA_BYTES + 1) * columns.length + 2;
  reserve(out, room);
  let valueAt = at + 2;
  for (let i = 0; i < columns.length; i++) {
    if (i > 0) out.view.setUint8(out.at++, separator);
    const length = from.getInt32(valueAt);
    valueAt += 4;
    if (length < 0) continue;
    const { column, rules } = columns[i]!;
    const cellEnd = rules.bytes(from, valueAt, out.view, out.at, length);
    if (cellEnd >= 0) out.at = cellEnd;
    else {
      writeText(out, rules.text(valueText(column, from, valueAt, length)));
      reserve(out, room);
    }
    valueAt += length;
  }
  out.view.setUint16(out.at, CR_LF);
  out.at += 2;
}
