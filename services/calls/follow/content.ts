/**
 * Recognises a file's content under any name: by its first KiB and by the KiB before the place up to which it is stored.
 * The first KiB alone is not enough: all of a switch's files may begin with the same long header. Device and inode say
 * where to look first, and identify the file while nothing of it is stored.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { FollowedFile } from '../store/followed.ts';

const KIB = 1024;
const GZIP_MAGIC = Buffer.from([0x1f, 0x8b]);
const UTF16_MARKS = [Buffer.from([0xff, 0xfe]), Buffer.from([0xfe, 0xff])];
const PIECE_BYTES = 256 * KIB;

export interface Fingerprint {
  readonly headBytes: number;
  readonly headHash: Buffer;
  readonly beforeBytes: number;
  readonly beforeHash: Buffer;
}

const hash = (bytes: Buffer) => createHash('sha256').update(bytes).digest();

/** An open file, with its state when it was opened. */
export interface OpenFile {
  readonly name: string;
  readonly handle: FileHandle;
  readonly device: string;
  readonly inode: string;
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly modifiedAt: number;
  readonly isPacked: boolean;
}

/**
 * Opens a file to follow.
 * @throws Error when it can't be opened, or is no file: a pipe or a device has no place to read on from
 */
export async function openFile(name: string): Promise<OpenFile> {
  // Without O_NONBLOCK the open of a pipe without a writer would never return.
  const handle = await open(name, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const found = await handle.stat({ bigint: true });
    if (!found.isFile()) throw new Error(`${name} is no file, and only files can be followed`);
    const start = await readAt(handle, 0, 2);
    if (UTF16_MARKS.some((mark) => start.equals(mark)))
      throw new Error(`${name} is in UTF-16, and only files of UTF-8 can be followed; import it whole`);
    return {
      name,
      handle,
      device: String(found.dev),
      inode: String(found.ino),
      size: Number(found.size),
      modifiedAt: Number(found.mtimeNs) / 1e6,
      isPacked: start.equals(GZIP_MAGIC),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** The bytes at a place. Fewer where the file ends before. */
export async function readAt(handle: FileHandle, from: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(bytes, filled, length - filled, from + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}

/**
 * The fingerprint of bytes that were read, up to their end.
 * @param last the last bytes, a KiB or more
 */
export function fingerprintOf(head: Buffer, last: Buffer): Fingerprint {
  const [begin, end] = [head.subarray(0, KIB), last.subarray(-KIB)];
  return { headBytes: begin.length, headHash: hash(begin), beforeBytes: end.length, beforeHash: hash(end) };
}

/** A file's fingerprint where it is stored up to `position`. For a file that was just truncated: of the rest. */
export async function fingerprintAt(handle: FileHandle, position: number): Promise<Fingerprint> {
  const head = await readAt(handle, 0, Math.min(KIB, position));
  const wanted = Math.min(KIB, position);
  const before = await readAt(handle, position - wanted, wanted);
  const isWhole = before.length === wanted;
  return {
    headBytes: head.length,
    headHash: hash(head),
    beforeBytes: isWhole ? wanted : 0,
    beforeHash: isWhole ? hash(before) : Buffer.alloc(0),
  };
}

type Known = Pick<
  FollowedFile,
  'device' | 'inode' | 'head_bytes' | 'head_hash' | 'position' | 'before_bytes' | 'before_hash'
>;

/** Whether an open file begins with the stored content of a known one. */
export async function hasContent(file: OpenFile, size: number, known: Known): Promise<boolean> {
  if (size < known.position) return false;
  const head = await readAt(file.handle, 0, known.head_bytes);
  const from = known.position - known.before_bytes;
  return fits(file, known, head, await readAt(file.handle, from, known.before_bytes));
}

function fits(file: OpenFile, known: Known, head: Buffer, before: Buffer): boolean {
  const sameNode = file.device === known.device && file.inode === known.inode;
  if (head.length !== known.head_bytes || !hash(head).equals(known.head_hash))
    return sameNode && known.position === 0;
  if (known.before_bytes === 0) return sameNode;
  return before.length === known.before_bytes && hash(before).equals(known.before_hash);
}

/** A gzipped file's bytes, unpacked. @throws Error for an incomplete gzip: it may still be written */
export async function* unpacked(handle: FileHandle): AsyncGenerator<Buffer> {
  async function* packed(): AsyncGenerator<Buffer> {
    for (let at = 0; ; ) {
      const piece = await readAt(handle, at, PIECE_BYTES);
      if (piece.length === 0) return;
      at += piece.length;
      yield piece;
    }
  }
  const gunzip = createGunzip();
  const input = Readable.from(packed());
  input.on('error', (error) => gunzip.destroy(error));
  yield* input.pipe(gunzip) as AsyncIterable<Buffer>;
}

/** Whether a read gzip ends too early: its program may still be writing. */
export const isInTheMaking = (error: unknown): boolean =>
  (error as { code?: string } | null)?.code === 'Z_BUF_ERROR';

/** A gzipped file, unpacked up to the stored position of a known one. */
export interface UnpackedTo {
  readonly matches: boolean;
  /** The bytes before the place that a reader needs to read on: the first ones, and the last. */
  readonly head: Buffer;
  readonly last: Buffer;
  /** The bytes behind the place, to be read on. */
  readonly rest: AsyncIterable<Buffer>;
}

/**
 * Unpacks a gzipped file up to a known file's position.
 * @param keep the number of bytes to keep before the place
 */
export async function unpackTo(
  file: OpenFile,
  known: Known & Pick<FollowedFile, 'header_bytes'>,
  keep: number,
): Promise<UnpackedTo> {
  const pieces = unpacked(file.handle);
  const headWanted = Math.max(KIB, known.header_bytes);
  const none = Buffer.alloc(0);
  const mismatch = async (): Promise<UnpackedTo> => {
    await pieces.return(undefined);
    return { matches: false, head: none, last: none, rest: pieces };
  };
  let head: Buffer = none;
  let last: Buffer = none;
  let behind: Buffer = none;
  for (let at = 0; at < known.position; ) {
    const next = await pieces.next();
    if (next.done) return mismatch();
    const piece = next.value.subarray(0, known.position - at);
    behind = next.value.subarray(piece.length);
    at += piece.length;
    if (head.length < headWanted) head = Buffer.concat([head, piece.subarray(0, headWanted - head.length)]);
    const recent = Buffer.concat([last, piece]);
    last = Buffer.from(recent.subarray(Math.max(0, recent.length - Math.max(keep, KIB))));
    const isHeadThere = head.length >= known.head_bytes;
    if (isHeadThere && !hash(head.subarray(0, known.head_bytes)).equals(known.head_hash)) return mismatch();
  }
  const before = last.subarray(last.length - known.before_bytes);
  if (!fits(file, known, head.subarray(0, known.head_bytes), before)) return mismatch();
  async function* rest(): AsyncGenerator<Buffer> {
    if (behind.length > 0) yield behind;
    yield* pieces;
  }
  return { matches: true, head, last, rest: rest() };
}
