/**
 * Rejected rows as a file to mend: `import rejected export` writes it, and `import cdrs` reads it as it is. A line before
 * each row names it, so that the mended row replaces the rejected one, whatever its content. The row itself stands as in
 * its source, in any format. The options for reading it are kept with its import.
 */
import { type Pool, withSession } from '#platform/database/pool.ts';
import { printable } from '#platform/telemetry/printable.ts';
import { type Rejected, rejectedByNumber, takeRejected } from '../store/rejected.ts';
import { countOutcomes, type ImportCounts, newCounts } from './import_counts.ts';
import { groupByImportSource, type RetryOptions, readGroup } from './retry.ts';

const BEGIN =
  '# trunkline: rows that were set aside. Mend each below its line, then: trunkline import cdrs FILE';
/** A spreadsheet may have quoted the line, and added cells behind it. */
const ROW = /^"?# trunkline row (\d{1,15})\b/;
const LF = 0x0a;
const CR = 0x0d;
const PAGE_ROWS = 1_000;
/** A kept row has 64 KiB at most, a document 1 MiB. A mended one may be longer. */
const MOST_ROW_BYTES = 4 * 1024 * 1024;

/** Whether a file with this beginning is one of rows to mend. */
export const isMendedFile = (head: Buffer): boolean =>
  head
    .toString('latin1', 0, 80)
    .replace('\u00ef\u00bb\u00bf', '')
    .replace(/^"/, '')
    .startsWith('# trunkline: rows that were');

/** The file's beginning. */
export const beginMendedFile = (): string => `${BEGIN}\n`;

/** The line before a row. */
export function lineBefore({ i_rejected, file, line, reason, columns }: Rejected): string {
  const header = columns ? `; its columns: ${columns.map(printable).join(', ')}` : '';
  return `# trunkline row ${i_rejected}: ${printable(file)}:${line}: ${printable(reason)}${header}\n`;
}

interface MendedRow {
  readonly iRejected: number;
  readonly bytes: Buffer;
}

/** Its rows. @throws Error where one is longer than any row may be */
export async function* readMendedFile(chunks: AsyncIterable<Buffer>): AsyncGenerator<MendedRow> {
  let iRejected: number | undefined;
  let lines: Buffer[] = [];
  let size = 0;
  let rest = Buffer.alloc(0);
  const ended = (): MendedRow[] => {
    const bytes = trimmed(Buffer.concat(lines));
    [lines, size] = [[], 0];
    return iRejected === undefined || bytes.length === 0 ? [] : [{ iRejected, bytes }];
  };
  function* add(line: Buffer): Generator<MendedRow> {
    const named = ROW.exec(line.toString('latin1', 0, 80))?.[1];
    if (named !== undefined) {
      yield* ended();
      iRejected = Number(named);
      return;
    }
    size += line.length;
    if (size > MOST_ROW_BYTES) throw new Error(`row ${iRejected} has more than ${MOST_ROW_BYTES} bytes`);
    if (iRejected !== undefined) lines.push(line);
  }
  for await (const chunk of chunks) {
    rest = Buffer.concat([rest, chunk]);
    for (let at = rest.indexOf(LF); at >= 0; at = rest.indexOf(LF)) {
      yield* add(rest.subarray(0, at + 1));
      rest = rest.subarray(at + 1);
    }
    if (rest.length > MOST_ROW_BYTES) throw new Error(`a line has more than ${MOST_ROW_BYTES} bytes`);
  }
  yield* add(rest);
  yield* ended();
}

/** Without the line ends behind it. */
function trimmed(bytes: Buffer): Buffer {
  let end = bytes.length;
  while (end > 0 && (bytes[end - 1] === LF || bytes[end - 1] === CR)) end--;
  return bytes.subarray(0, end);
}

/**
 * Imports mended rows. A row that is rejected again waits in place of the old one.
 * @param options as for `retryRejected`, without a filter
 * @param onProgress called after each page
 * @returns the outcomes; and how many rows that the file names do not wait any more
 */
export async function takeInMended(
  pool: Pool,
  rows: AsyncIterable<MendedRow>,
  options: Omit<RetryOptions, 'filter'>,
  onProgress: (counts: ImportCounts) => void,
): Promise<{ counts: ImportCounts; gone: number }> {
  const counts = newCounts();
  let gone = 0;
  let page: MendedRow[] = [];
  const take = async () => {
    const byNumber = new Map(page.map(({ iRejected, bytes }) => [iRejected, bytes]));
    const waiting = await withSession(pool, (session) =>
      session.rows(rejectedByNumber([...byNumber.keys()])),
    );
    gone += byNumber.size - waiting.length;
    const mended = waiting.map((was) => mendedAs(was, byNumber.get(was.i_rejected)!));
    for (const group of groupByImportSource(mended)) {
      const { importSource, outcomes } = await readGroup(pool, group, options, 'mended rows');
      const replaced = group.filter(
        (row, index) => row.isMended || !['set_aside', 'conflict'].includes(outcomes[index]!.kind),
      );
      await withSession(pool, (session) =>
        session.run(
          takeRejected(
            importSource.iImport,
            replaced.map((row) => row.i_rejected),
          ),
        ),
      );
      countOutcomes(counts, outcomes, 0);
    }
    page = [];
    onProgress(counts);
  };
  for await (const row of rows) {
    page.push(row);
    if (page.length >= PAGE_ROWS) await take();
  }
  if (page.length > 0) await take();
  return { counts, gone };
}

/** The row as it is now. */
function mendedAs(was: Rejected, bytes: Buffer): Rejected & { readonly isMended: boolean } {
  if (!was.cut && bytes.equals(trimmed(was.bytes))) return { ...was, isMended: false };
  // Whole, as the user who mended it says.
  return { ...was, bytes, cut: false, end: null, row_offset: null, isMended: true };
}
