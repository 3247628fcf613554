/**
 * Any number of rows as CSV (RFC 4180: commas, CRLF, a header), written straight from PostgreSQL's bytes and passed on
 * as fast as they are read: memory stays at a few pieces.
 *
 *   numbers of every kind    as they are, a minus included
 *   bool                     true, false
 *   timestamptz              RFC 3339; for local times, let the SQL say AT TIME ZONE
 *   everything else          PostgreSQL's text, quoted where needed and kept from being a formula: see csv_cell.ts
 *   NULL                     an empty cell; the empty text is ""
 */
import type { ClientBase } from 'pg';
import { type ByteOutput, copyBytes, copyRfc3339, createOutput, reserve, textAt } from './byte_output.ts';
import { copyCsvCell, csvCellBytes } from './csv_cell.ts';
import { createLastRow, type KeptValues } from './last_row.ts';
import { type Column, type ColumnKind, type Rewrite, rewritesByColumn } from './row_columns.ts';
import { type RowQuery, type RowStreamOptions, streamRows } from './row_stream.ts';

/** As much as is passed on at once; a single row may be more. */
export const CSV_PIECE_BYTES = 64 * 1024;

/** The longest that a timer takes. How long an export may last is its reader's affair, who has the signal. */
const NO_TIMEOUT_MS = 2 ** 31 - 1;

export interface CsvOptions extends RowStreamOptions {
  /** The header's cells, in the order of the columns; their names when left out. `false`: no header, more of a file. */
  readonly headings?: readonly string[] | false;
  /** Columns whose values in the last row are wanted: what the next batch starts behind. */
  readonly keep?: readonly string[];
  /** Columns whose text is changed on its way, by name: masked numbers. NULL stays empty. */
  readonly rewrite?: Readonly<Record<string, Rewrite>>;
}

export interface CsvFacts {
  /** Rows written. */
  readonly count: number;
  /** The kept columns of the last row; undefined where there is none. */
  readonly last: KeptValues | undefined;
}

/**
 * Runs `query` when first read from. A reader that is slow makes PostgreSQL wait; one that stops early (`return`,
 * `break`) has the query cancelled, and the client is ready again when that is done. A statement_timeout of the server
 * counts the time that it waits for the reader, too: a long export wants one of its own, or batches.
 * @returns at the end, what was written (`yield*` gives it)
 * @throws what streamRows rejects with, in the middle too: what was given before is then only a part
 */
export async function* rowsAsCsv(
  client: ClientBase,
  query: RowQuery,
  options: CsvOptions = {},
): AsyncGenerator<Buffer, CsvFacts, undefined> {
  let out = createOutput(CAPACITY_BYTES);
  let kinds: readonly ColumnKind[] = [];
  let rewrites: readonly (Rewrite | undefined)[] | undefined;
  let count = 0;
  const lastRow = createLastRow(options.keep ?? []);
  let running = true;
  let wake: () => void = () => undefined;

  const rows = streamRows(
    client,
    query,
    {
      columns(columns) {
        kinds = columns.map((column) => column.kind);
        rewrites = rewritesByColumn(columns, options.rewrite);
        lastRow.columns(columns);
        if (options.headings !== false) writeHeader(out, columns, options.headings);
      },
      row(view, at, end) {
        writeCsvRow(out, kinds, view, at, end, rewrites);
        lastRow.row(view, at);
        count++;
      },
      pieceEnd() {
        lastRow.pieceEnd();
        if (out.at < CSV_PIECE_BYTES) return;
        rows.pause();
        wake();
      },
    },
    { timeoutMs: NO_TIMEOUT_MS, ...options },
  );
  const ended = rows.finished.finally(() => {
    running = false;
    wake();
  });
  ended.catch(() => undefined); // told below, when the reader comes back

  try {
    for (;;) {
      if (running && out.at < CSV_PIECE_BYTES) {
        await new Promise<void>((woken) => {
          wake = woken;
        });
      }
      if (!running) await ended;
      const piece = out;
      if (piece.at > 0) {
        out = createOutput(CAPACITY_BYTES);
        rows.resume();
        yield piece.bytes.subarray(0, piece.at);
      } else if (!running) return { count, last: lastRow.values() };
    }
  } finally {
    if (running) {
      rows.stop(new Error('the reader of the rows stopped'));
      await ended.catch(() => undefined);
    }
  }
}

/** A full piece, and the rest of what the socket had given when it became full. */
const CAPACITY_BYTES = 2 * CSV_PIECE_BYTES;

const COMMA = 0x2c;
const MINUS = 0x2d;
const CR = 0x0d;
const LF = 0x0a;
const LETTER_t = 0x74;

function writeHeader(out: ByteOutput, columns: readonly Column[], headings?: readonly string[]): void {
  const cells = headings ?? columns.map((column) => column.name);
  if (cells.length !== columns.length) {
    throw new Error(`${cells.length} headings for ${columns.length} columns`);
  }
  for (const [i, cell] of cells.entries()) {
    reserve(out, 1);
    if (i > 0) out.view.setUint8(out.at++, COMMA);
    writeCell(out, cell);
  }
  endLine(out);
}

/** Beyond twice its text: a comma, quotes around it, "false" for "f", an offset's ":00". */
const ROOM_PER_CELL_BYTES = 8;

/** Appends a row, which lies in `from` between `at` and `end` (see RowSink). */
function writeCsvRow(
  out: ByteOutput,
  kinds: readonly ColumnKind[],
  from: DataView<ArrayBuffer>,
  at: number,
  end: number,
  rewrites?: readonly (Rewrite | undefined)[],
): void {
  const room = 2 * (end - at) + ROOM_PER_CELL_BYTES * kinds.length;
  reserve(out, room);
  let valueAt = at + 2;
  for (let i = 0; i < kinds.length; i++) {
    if (i > 0) out.view.setUint8(out.at++, COMMA);
    const length = from.getInt32(valueAt);
    valueAt += 4;
    if (length < 0) continue;
    const rewrite = rewrites?.[i];
    if (rewrite) {
      writeCell(out, rewrite(textAt(from, valueAt, length)));
      reserve(out, room);
    } else {
      out.at = copyCell(kinds[i]!, from, valueAt, out.view, out.at, length);
    }
    valueAt += length;
  }
  endLine(out);
}

function copyCell(
  kind: ColumnKind,
  from: DataView<ArrayBuffer>,
  fromAt: number,
  to: DataView<ArrayBuffer>,
  toAt: number,
  length: number,
): number {
  switch (kind) {
    case 'number':
    case 'int8':
    case 'float':
    case 'decimal':
      copyBytes(from, fromAt, to, toAt, length);
      return toAt + length;
    case 'timestamptz': // "-infinity" is no number
      if (from.getUint8(fromAt) === MINUS) return copyCsvCell(from, fromAt, to, toAt, length);
      return copyRfc3339(from, fromAt, to, toAt, length);
    case 'boolean': {
      const word = from.getUint8(fromAt) === LETTER_t ? TRUE : FALSE;
      copyBytes(word, 0, to, toAt, word.byteLength);
      return toAt + word.byteLength;
    }
    default:
      return copyCsvCell(from, fromAt, to, toAt, length);
  }
}

const TRUE = viewOf('true');
const FALSE = viewOf('false');

function viewOf(text: string): DataView<ArrayBuffer> {
  return new DataView(new TextEncoder().encode(text).buffer);
}

function writeCell(out: ByteOutput, text: string): void {
  const view = viewOf(text);
  reserve(out, csvCellBytes(view.byteLength));
  out.at = copyCsvCell(view, 0, out.view, out.at, view.byteLength);
}

function endLine(out: ByteOutput): void {
  reserve(out, 2);
  out.view.setUint8(out.at++, CR);
  out.view.setUint8(out.at++, LF);
}
