/** Reads on in a file that a rotation has gzipped. It reads at once, since such a file does not grow any more. */
import { detectFormat } from '../formats/detect.ts';
import type { FormatName } from '../formats/formats.ts';
import type { Resume } from '../formats/resumed_reader.ts';
import type { FilePosition, FollowedFile } from '../store/followed.ts';
import { fingerprintOf, isInTheMaking, type OpenFile, type UnpackedTo, unpackTo } from './content.ts';

/** How many of the rows before the place are read again, for the facts that they give about later rows. */
export const REREAD_BYTES = 16 * 1024;

interface PackedNeeds {
  /** Undefined: detected from the content. */
  readonly format: FormatName | undefined;
  readonly onBytes: (bytes: number) => void;
  /** Imports the bytes behind the place. The place itself stays. */
  readonly importRest: (
    chunks: AsyncIterable<Buffer>,
    format: FormatName,
    resume: Resume | undefined,
  ) => Promise<void>;
  /** Moves the place to the file's end. */
  readonly finish: (place: Omit<FilePosition, 'modifiedAt'>) => Promise<void>;
}

/**
 * @returns false where the file lacks the known content, or its gzip is not complete yet
 * @throws errors of importRest and finish, and the signal's reason
 */
export async function readPacked(
  open: OpenFile,
  file: FollowedFile,
  signal: AbortSignal,
  needs: PackedNeeds,
): Promise<boolean> {
  const from = await unpackTo(open, file, REREAD_BYTES);
  if (!from.matches) return false;
  try {
    await importPacked(open, file, from, signal, needs);
    return true;
  } catch (error) {
    if (isInTheMaking(error)) return false;
    throw error;
  }
}

async function importPacked(
  open: OpenFile,
  file: FollowedFile,
  from: UnpackedTo,
  signal: AbortSignal,
  needs: PackedNeeds,
): Promise<void> {
  let { head, last } = from;
  let end = file.position;
  async function* counted(): AsyncGenerator<Buffer> {
    for await (const piece of from.rest) {
      signal.throwIfAborted();
      needs.onBytes(piece.length);
      end += piece.length;
      if (head.length < REREAD_BYTES) head = Buffer.concat([head, piece]).subarray(0, REREAD_BYTES);
      last = Buffer.from(Buffer.concat([last, piece]).subarray(-REREAD_BYTES));
      yield piece;
    }
  }
  const behindHeader = file.position - file.header_bytes;
  const rows = last.length < behindHeader ? fromLine(last) : last.subarray(last.length - behindHeader);
  const header = head.subarray(0, file.header_bytes);
  const resume = file.position === 0 ? undefined : resumeFrom(file, header, rows);
  const pieces = counted();
  const first = await pieces.next();
  let format = needs.format ?? (file.format as FormatName | null);
  if (!first.done) {
    const detected = format ?? detectFormat(first.value);
    if (typeof detected !== 'string' && detected.format === null)
      throw new Error(`${open.name}: ${detected.why}`);
    format = typeof detected === 'string' ? detected : detected.format;
    const all = (async function* () {
      yield first.value;
      yield* pieces;
    })();
    await needs.importRest(all, format, resume);
  }
  const { line, columns, header_bytes: headerBytes } = file;
  await needs.finish({
    position: end,
    line,
    ...fingerprintOf(head, last),
    format: format ?? '',
    columns,
    headerBytes,
  });
}

/** @param rows the rows before the place, as far as available */
export const resumeFrom = (file: FollowedFile, header: Buffer, rows: Buffer): Resume => ({
  offset: file.position,
  line: file.line,
  columns: file.columns,
  before: Buffer.concat([header, rows]),
});

/** Without the bytes before the first line that begins in it. */
export const fromLine = (bytes: Buffer): Buffer => bytes.subarray(bytes.indexOf('\n') + 1);
