/**
 * Reads one file's content as it grows, from the place up to which it is stored. It uses importOpened, whose batches move
 * the position on in their own transaction. A row that waits for its end is in no batch. So after any end, exactly the rows
 * behind the position are read again.
 */
import { type Pool, withSession, withTransaction } from '#platform/database/pool.ts';
import type { Session } from '#platform/database/session.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { detectFormat } from '../formats/detect.ts';
import type { FormatName } from '../formats/formats.ts';
import { linesIn, type Resume } from '../formats/resumed_reader.ts';
import { LAST_BYTES, HEAD_BYTES as PRINT_HEAD_BYTES } from '../formats/source_end.ts';
import type { ImportCounts } from '../intake/import_counts.ts';
import { type ImportEvents, type ImportOptions, importOpened, type Reached } from '../intake/import_file.ts';
import { type FilePosition, type FollowedFile, finishFile, holds, moveOn } from '../store/followed.ts';
import type { Bell } from './bell.ts';
import { fingerprintAt, hasContent, type OpenFile, readAt } from './content.ts';
import { nextStep, ROW_SILENCE_MS } from './next_step.ts';
import { fromLine, REREAD_BYTES, readPacked, resumeFrom } from './read_packed.ts';

/** How often to check a file that gives no hint of its growth, as on a network's file system. */
export const POLL_MS = 500;
/** Pieces that come within this time are read together. */
export const GATHER_MS = 20;
const READ_BYTES = 256 * 1024;
const CHUNK_BYTES = 32 * 1024;
/** The bytes before the place that are compared to see whether the file was truncated during a read. */
const ANCHOR_BYTES = 256;
/** A header is no longer than this. */
const MAX_HEADER_BYTES = 64 * 1024;
/** The bytes of a file that suffice to detect its format. */
const HEAD_BYTES = 64 * 1024;
/** The most bytes of an incomplete row that are kept in case its file is truncated. */
const KEPT_BYTES = 64 * 1024;

const LOST = 'another process reads the source by now';
const NOTHING = Buffer.alloc(0);
/** For a source that is not empty and has a known format. */
const ANY_HEAD = Buffer.from('\n');

/** Another process reads the source by now. */
export class LeaseLostError extends Error {
  override name = 'LeaseLostError';
}

/** The bytes that were read are not there any more. */
class GoneError extends Error {}

export interface ContentNeeds {
  readonly pool: Pool;
  readonly clock: Clock;
  /** The reader: rows are stored only while it holds the source. */
  readonly holder: string;
  /** The options for the rows, and the name under which they are kept. */
  readonly options: ImportOptions;
  readonly path: string;
  readonly bell: Bell;
  /** Waits for free disk space before each read. @throws the signal's reason */
  readonly waitForRoom?: ((signal: AbortSignal) => Promise<void>) | undefined;
  /**
   * Runs in the transaction of each batch.
   * @param writtenAt time of the file's last change, milliseconds since 1970
   */
  readonly onRows: (session: Session, rows: number, writtenAt: number) => Promise<void>;
  readonly onProgress: (before: ImportCounts | undefined, now: ImportCounts) => void;
}

/** How the reading of a content ended: left for good; truncated; or to be retried with more of it. */
export type Ended = 'left' | 'gone';

export interface Content {
  readonly file: FollowedFile;
  readonly open: OpenFile;
  readonly bytesBehind: number;
  readonly bytesRead: number;
  /** '' for a healthy source. */
  readonly trouble: string;
  /** For how many milliseconds it has had another name, or none. Null: it lies at the path. */
  rotate(sinceMs: number | null): void;
  /**
   * Reads until the file is left or truncated.
   * @throws the signal's reason; LeaseLostError; the database's or the disk's error. Stored rows stay
   */
  run(signal: AbortSignal): Promise<Ended>;
  /** The incomplete row of a file that was truncated and whose content is under no name. */
  takeRest(): Promise<void>;
}

export function createContent(needs: ContentNeeds, given: FollowedFile, open: OpenFile): Content {
  const { pool, clock, holder } = needs;
  const bell = needs.bell.listener();
  let file = given;
  let size = open.size;
  let modifiedAt = open.modifiedAt;
  let readTo = file.position;
  let takenAt: number | null = null;
  let grownAt = clock.monotonic() - Math.max(0, clock.now() - open.modifiedAt);
  let rotatedAt: number | null = null;
  let bytesRead = 0;
  let trouble = '';
  /** The file's length, and the time, when its format could last not be detected. */
  let untold: { readonly size: number; readonly isFinal: boolean } | null = null;
  /** The last bytes that were read, and their place. */
  let kept = NOTHING;
  let keptFrom = 0;

  const look = async () => {
    const found = await open.handle.stat();
    const now = clock.monotonic();
    if (found.size !== size) grownAt = now;
    const isTouched = found.mtimeMs !== modifiedAt;
    size = found.size;
    modifiedAt = found.mtimeMs;
    // A file that was truncated and written again may have the same length as before.
    if (isTouched && size === readTo && !(await isAsRead())) return 'gone';
    return nextStep({
      ...{ size, readTo, takenAt, storedTo: file.position },
      silentMs: now - grownAt,
      rotatedMs: rotatedAt === null ? null : now - rotatedAt,
    });
  };

  /** Whether the bytes before the place are still those that were read there. */
  async function isAsRead(): Promise<boolean> {
    const known = kept.subarray(-ANCHOR_BYTES);
    return known.equals(await readAt(open.handle, readTo - known.length, known.length));
  }

  async function run(signal: AbortSignal): Promise<Ended> {
    if (open.isPacked) {
      const done = await readPacked(open, file, signal, {
        format: needs.options.format,
        onBytes: (bytes) => {
          bytesRead += bytes;
        },
        importRest: (chunks, format, resume) => importRest(chunks, format, resume, stayThere, signal),
        finish: (place) => finish({ ...place, modifiedAt }),
      });
      return done ? 'left' : 'gone';
    }
    try {
      for (;;) {
        signal.throwIfAborted();
        const step = await look();
        if (step === 'gone') return 'gone';
        if (step === 'leave') {
          await withSession(pool, (session) => session.run(finishFile(file.i_file, modifiedAt)));
          return 'left';
        }
        const format = step === 'wait' ? null : await formatOf();
        if (format === null) await bell.wait(POLL_MS, signal);
        else await readOn(format, signal);
      }
    } catch (error) {
      if (error instanceof GoneError) return 'gone';
      throw error;
    }
  }

  /** Reads on until a row must be taken unfinished, or the file must be left. */
  async function readOn(format: FormatName, signal: AbortSignal): Promise<void> {
    if (!(await hasContent(open, size, file))) throw new GoneError();
    readTo = file.position;
    takenAt = null;
    const resume = await resumeAt(file.position);
    await importRest(growing(signal), format, resume, movePosition, signal);
    takenAt = readTo;
  }

  async function* growing(signal: AbortSignal): AsyncGenerator<Buffer> {
    let isFlushed = true;
    for (;;) {
      signal.throwIfAborted();
      const step = await look();
      if (step === 'gone') throw new GoneError();
      if (step === 'read') {
        yield* readPiece();
        isFlushed = false;
      } else if (!isFlushed) {
        yield NOTHING;
        isFlushed = true;
      } else if (step === 'wait') {
        await bell.wait(POLL_MS, signal);
        await clock.sleep(GATHER_MS, signal);
      } else return;
    }
  }

  /** One read. Its bytes are handed on only if nothing was truncated meanwhile. */
  async function* readPiece(): AsyncGenerator<Buffer> {
    const from = Math.max(0, readTo - ANCHOR_BYTES);
    const anchor = await readAt(open.handle, from, readTo - from);
    const piece = await readAt(open.handle, readTo, Math.min(READ_BYTES, size - readTo));
    bytesRead += piece.length;
    const first = piece.subarray(0, ANCHOR_BYTES);
    const again = await readAt(open.handle, from, anchor.length + first.length);
    const isSame = again.equals(Buffer.concat([anchor, first]));
    if (piece.length === 0 || !isSame || !isLikeKept(anchor, from)) throw new GoneError();
    keep(piece);
    readTo += piece.length;
    for (let at = 0; at < piece.length; at += CHUNK_BYTES) yield piece.subarray(at, at + CHUNK_BYTES);
  }

  function isLikeKept(anchor: Buffer, from: number): boolean {
    const known = kept.subarray(Math.max(0, from - keptFrom), readTo - keptFrom);
    return anchor.subarray(anchor.length - known.length).equals(known);
  }

  function keep(piece: Buffer): void {
    const all = Buffer.concat([kept, piece]);
    const dropped = Math.max(0, all.length - KEPT_BYTES);
    keptFrom = kept.length === 0 ? readTo + dropped : keptFrom + dropped;
    kept = Buffer.from(all.subarray(dropped));
  }

  /** Null while the format is unknown: the file has only just begun, or its rows have no known format. */
  async function formatOf(): Promise<FormatName | null> {
    const known = needs.options.format ?? (file.format as FormatName | null);
    if (known) return known;
    const isFinal = rotatedAt !== null || clock.monotonic() - grownAt >= ROW_SILENCE_MS;
    if (untold?.size === size && untold.isFinal === isFinal) return null;
    untold = { size, isFinal };
    const head = await readAt(open.handle, 0, HEAD_BYTES);
    if (!head.includes('\n') && head.length < HEAD_BYTES && !isFinal) return null;
    const found = detectFormat(head);
    trouble = found.format === null ? `${open.name}: ${found.why}` : '';
    return found.format;
  }

  async function resumeAt(position: number): Promise<Resume | undefined> {
    kept = NOTHING;
    keptFrom = position;
    if (position === 0) return undefined;
    const header = await readAt(open.handle, 0, Math.min(file.header_bytes, MAX_HEADER_BYTES));
    const from = Math.max(file.header_bytes, position - REREAD_BYTES);
    const last = await readAt(open.handle, from, position - from);
    const stands = {
      head: await readAt(open.handle, 0, PRINT_HEAD_BYTES),
      last: await readAt(open.handle, Math.max(0, position - LAST_BYTES), Math.min(LAST_BYTES, position)),
    };
    return { ...resumeFrom(file, header, from === file.header_bytes ? last : fromLine(last)), stands };
  }

  async function importRest(
    chunks: AsyncIterable<Buffer>,
    format: FormatName,
    resume: Resume | undefined,
    also: typeof movePosition,
    signal?: AbortSignal,
  ): Promise<void> {
    let place: FollowedFile | undefined;
    let counts: ImportCounts | undefined;
    const events: ImportEvents = {
      onFormat: () => undefined,
      onProgress(now) {
        if (place) file = place;
        trouble = '';
        untold = null;
        needs.onProgress(counts, now);
        counts = { ...now, reasons: new Map(now.reasons) };
      },
    };
    const isBegin = resume === undefined && !open.isPacked;
    const head = isBegin ? await readAt(open.handle, 0, HEAD_BYTES) : ANY_HEAD;
    const opened = { head, chunks, isStream: false, bytesRead: () => bytesRead };
    const options: ImportOptions = {
      ...needs.options,
      format,
      resume,
      waitForRoom: signal && (() => needs.waitForRoom?.(signal) ?? Promise.resolve()),
      also: async (session, reached) => {
        place = await also(session, reached, format);
        await needs.onRows(session, reached.rows, modifiedAt);
      },
    };
    await importOpened(pool, needs.path, opened, options, events);
  }

  async function movePosition(session: Session, reached: Reached, format: FormatName): Promise<FollowedFile> {
    const { offset, columns, firstRow } = reached;
    const print = await fingerprintAt(open.handle, offset);
    const line = file.line + (await linesBetween(file.position, offset));
    const headerBytes = file.position === 0 ? firstRow : file.header_bytes;
    const place = { position: offset, line, ...print, format, columns, headerBytes, modifiedAt };
    if ((await session.run(moveOn(file.i_file, holder, place))) === 0) throw new LeaseLostError(LOST);
    return {
      ...file,
      position: offset,
      line,
      head_bytes: print.headBytes,
      head_hash: print.headHash,
      before_bytes: print.beforeBytes,
      before_hash: print.beforeHash,
      format,
      columns: columns && [...columns],
      header_bytes: headerBytes,
    };
  }

  /** The place stays as it is, but this reader must still hold the source. */
  async function stayThere(session: Session): Promise<FollowedFile> {
    if ((await session.run(holds(file.i_source, holder))) === 0) throw new LeaseLostError(LOST);
    return file;
  }

  async function finish(place: FilePosition): Promise<void> {
    await withTransaction(pool, async (session) => {
      if ((await session.run(moveOn(file.i_file, holder, place))) === 0) throw new LeaseLostError(LOST);
      await session.run(finishFile(file.i_file, modifiedAt));
    });
  }

  async function linesBetween(from: number, to: number): Promise<number> {
    let lines = 0;
    for (let at = from; at < to; at += READ_BYTES)
      lines += linesIn(await readAt(open.handle, at, Math.min(READ_BYTES, to - at)));
    return lines;
  }

  return {
    open,
    get file() {
      return file;
    },
    get bytesBehind() {
      return open.isPacked || (takenAt === size && untold === null) ? 0 : Math.max(0, size - file.position);
    },
    get bytesRead() {
      return bytesRead;
    },
    get trouble() {
      return trouble;
    },
    rotate(sinceMs) {
      rotatedAt = sinceMs === null ? null : clock.monotonic() - sinceMs;
    },
    run,
    async takeRest() {
      const rest = kept.subarray(Math.max(0, file.position - keptFrom));
      if (rest.length === 0 || file.position < keptFrom || takenAt !== null) return;
      const format = needs.options.format ?? (file.format as FormatName | null);
      if (format === null) return;
      const resume = file.position === 0 ? undefined : resumeFrom(file, NOTHING, NOTHING);
      const chunks = (async function* () {
        yield rest;
      })();
      await importRest(chunks, format, resume, stayThere);
    },
  };
}
