/** Reads a source on from the place where an earlier reader stopped. */

import { SourceError } from './source_error.ts';
import type { ParsedRow, SourceReader } from './source_reader.ts';

/** The place from which a source is read on, and the source before that place. */
export interface Resume {
  /** In the source, unpacked: as a reader's `offset` said. */
  readonly offset: number;
  /** Number of the line that begins there, from 1. */
  readonly line: number;
  /** The header in force there. Null where there is none. */
  readonly columns: readonly string[] | null;
  /**
   * The source's header, and the last rows before the place as far as available. The reader gives none of these rows. It
   * reads them for the facts that rows give about later rows, such as the number of columns and the pass of a repeated hour.
   */
  readonly before: Buffer;
  /**
   * The source before the place, as source_end.ts needs it to recognise the source by its content. Without it a row that
   * the end of the source has cut stays as it is, whatever the source becomes.
   */
  readonly stands?: { readonly head: Buffer; readonly last: Buffer } | undefined;
}

const LF = 10;

/**
 * A reader that gives the rows from `resume` on, with offsets and lines as in the whole source.
 * @param open makes a reader of the format, with the known header if columns are given
 * @throws what `open` throws
 */
export function resumedReader(
  open: (columns: readonly string[] | null) => SourceReader,
  { offset, line, columns, before }: Resume,
): SourceReader {
  const primed = open(null);
  // If the piece began in the middle of a row, its last row need not end at the place.
  const isPrimed = canRead(primed, before) && primed.offset === before.length;
  const isSame = isPrimed && JSON.stringify(primed.columns) === JSON.stringify(columns);
  const inner = isSame ? primed : open(columns);
  const begin = isSame ? before.length : 0;
  const firstLine = isSame ? linesIn(before) + 1 : 1;
  const asInSource = (taken: ParsedRow[]): ParsedRow[] =>
    taken.map((one) => {
      const { row } = one;
      const place = { offset: row.offset - begin + offset, line: row.line - firstLine + line };
      return { ...one, row: { ...row, ...place } };
    });
  return {
    get columns() {
      return inner.columns;
    },
    get offset() {
      return inner.offset - begin + offset;
    },
    push: (chunk) => asInSource(inner.push(chunk)),
    end: (whole) => asInSource(inner.end(whole)),
  };
}

/** False where a piece of a row stands in the place of a header. */
function canRead(reader: SourceReader, bytes: Buffer): boolean {
  try {
    reader.push(bytes);
    return true;
  } catch (error) {
    if (error instanceof SourceError) return false;
    throw error;
  }
}

/** How many lines end in these bytes. */
export function linesIn(bytes: Buffer): number {
  let lines = 0;
  for (let at = bytes.indexOf(LF); at !== -1; at = bytes.indexOf(LF, at + 1)) lines++;
  return lines;
}
