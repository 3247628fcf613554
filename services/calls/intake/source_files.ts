/** Opens the sources of an import: files, folders of documents, standard input, gzipped or not. */
import { closeSync, constants, fstatSync, openSync, type Stats } from 'node:fs';
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { Socket } from 'node:net';
import { join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { asUtf8, utf16Of } from './encodings.ts';

/** One stream of bytes to import. */
export interface SourceFile {
  /** Absolute path, or 'stdin'. */
  readonly name: string;
  /** Why it is not even opened: it is no file. */
  readonly refused?: string;
  /** Bytes on disk. Undefined where they are unknown (standard input, a pipe). */
  readonly size: number | undefined;
  /** The folder in which it was found, if the folder was named. */
  readonly folder?: string;
}

/** An opened source. */
export interface OpenedSource {
  /** The first bytes, unpacked and converted from UTF-16 to UTF-8, to detect the format; empty for an empty file. */
  readonly head: Buffer;
  /**
   * All of it, `head` included.
   * @throws Error when it can't be read on, or is packed and was cut; after all readable bytes
   */
  readonly chunks: AsyncIterable<Buffer>;
  /** No bytes can follow the end of a pipe: its end ends its last row. */
  readonly isStream: boolean;
  /** It may have no end: a pipe may go on for ever, and a few packed bytes make terabytes. */
  readonly mayBeEndless?: boolean;
  /** Bytes read from disk so far. */
  bytesRead(): number;
}

export const STDIN_NAME = 'stdin';
const STDIN_PATHS = ['-', '/dev/stdin', '/dev/fd/0', '/proc/self/fd/0'];
const HEAD_BYTES = 256 * 1024;
/** A read costs the main thread some 100 µs, whatever its size. */
const READ_BYTES = 256 * 1024;
/** Small enough that a chunk's objects are garbage before the collector runs. */
const CHUNK_BYTES = 32 * 1024;
/**
 * The names of a folder's files of calls: documents and tables, numbered or dated by a rotation, and CUCM's, which have
 * no ending, and 3CX's cdr.log.
 */
const CALL_FILE =
  /\.(?:json|xml|csv|tsv|tab|psv|txt|cdr)(?:[.-]\d[\d.-]*)?(?:\.gz)?$|^cdr_.*_\d+$|^cdr.*\.log(?:\.gz)?$/i;
const CUT_GZIP =
  'the file is cut: its gzip ends before its end; the whole rows until there were taken in, the rest is missing';
const DAMAGED_GZIP =
  'its gzip is damaged, or something else stands behind it; the rows that could be unpacked before were taken in, the rest is not read (gzip -dc unpacks as much as can be)';
/** By zlib's codes. */
const GZIP_FAULTS: Readonly<Record<string, string>> = { Z_BUF_ERROR: CUT_GZIP, Z_DATA_ERROR: DAMAGED_GZIP };
const GZIP_MAGIC = Buffer.from([0x1f, 0x8b]);

/** Whether a file of a folder has the name of one of calls. */
export const isCallFile = (name: string): boolean => CALL_FILE.test(name) && !name.startsWith('.');

/**
 * The files of the arguments of `import cdrs`: `-` is standard input, a folder stands for its files of calls (CALL_FILE), by
 * name.
 * @throws Error naming the missing path, or a folder without such files
 */
export async function listSources(paths: readonly string[]): Promise<SourceFile[]> {
  const sources: SourceFile[] = [];
  for (const path of paths) {
    if (STDIN_PATHS.includes(path)) {
      sources.push({ name: STDIN_NAME, size: undefined });
      continue;
    }
    const name = resolve(path);
    const found = await stat(name).catch((error: NodeJS.ErrnoException) => {
      throw new Error(`${path}: ${whyNotFound(error)}`);
    });
    if (!found.isDirectory()) {
      const refused = whyNoFile(found);
      if (refused !== undefined) throw new Error(`${path}: ${refused}`);
      sources.push({ name, size: found.isFile() ? found.size : undefined });
      continue;
    }
    const named = (await readdir(name)).filter(isCallFile).sort();
    if (named.length === 0)
      throw new Error(
        `${path}: the folder holds no file that is named as one of calls (*.csv, *.json, *.txt, …); name the files instead`,
      );
    for (const document of named) {
      const file = join(name, document);
      sources.push({ name: file, ...(await inFolder(file)), folder: name });
    }
  }
  return sources;
}

/** The contents of a folder: an entry that is no file costs itself, and not the folder. */
async function inFolder(file: string): Promise<Pick<SourceFile, 'size' | 'refused'>> {
  try {
    const found = await stat(file);
    if (found.isFile()) return { size: found.size };
    const what = found.isDirectory() ? 'a folder' : found.isFIFO() ? 'a pipe' : undefined;
    const refused = what ? `it is ${what}, and of a folder only files are read` : whyNoFile(found)!;
    return { size: 0, refused };
  } catch (error) {
    return { size: 0, refused: whyNotFound(error as NodeJS.ErrnoException) };
  }
}

function whyNotFound({ code, message }: NodeJS.ErrnoException): string {
  if (code === 'ENOENT') return 'no such file or folder';
  return code === 'ELOOP' ? 'its symbolic links go round in a circle' : message;
}

/** Undefined for a file and for a pipe. */
function whyNoFile(found: Stats): string | undefined {
  if (found.isFile() || found.isFIFO()) return undefined;
  const what = found.isSocket() ? 'a socket' : 'a device';
  return `it is ${what}, which holds no calls; name a file, a folder, a pipe, or - for standard input`;
}

/** Opens a source, and unpacks it if its bytes are gzip, whatever its name. */
export async function openSourceFile(source: SourceFile, stdin: Readable): Promise<OpenedSource> {
  const raw = source.name === STDIN_NAME ? stdin : await openPath(source);
  let bytesRead = 0;
  const counted = async function* () {
    for await (const chunk of raw as AsyncIterable<Buffer>) {
      bytesRead += chunk.length;
      yield chunk;
    }
  };
  const packed = await peek(counted(), GZIP_MAGIC.length);
  const isPacked = packed.head.subarray(0, 2).equals(GZIP_MAGIC);
  const plain = isPacked
    ? await peek(unzip(packed.chunks), HEAD_BYTES)
    : await peek(packed.chunks, HEAD_BYTES);
  const encoding = utf16Of(plain.head);
  const text = encoding ? await peek(asUtf8(plain.chunks, encoding), HEAD_BYTES) : plain;
  const isStream = source.size === undefined;
  return { ...text, isStream, mayBeEndless: isStream || isPacked, bytesRead: () => bytesRead };
}

/** @throws Error when it is no file any more, or never was */
async function openPath({ name, size, refused }: SourceFile): Promise<AsyncIterable<Buffer>> {
  if (refused !== undefined) throw new Error(refused);
  // Without O_NONBLOCK a pipe without a writer would block a thread of Node's for ever, and the end of the process.
  const flags = constants.O_RDONLY | constants.O_NONBLOCK;
  if (size === undefined) return openPipe(name, flags);
  const file = await open(name, flags);
  const found = await file.stat();
  if (found.isFile()) return chunksOf(file, size);
  await file.close();
  throw new Error(whyNoFile(found) ?? 'it is no file any more');
}

/** Opened once: a second open would cut off the writer. A socket waits without a thread. */
function openPipe(name: string, flags: number): Socket {
  const fd = openSync(name, flags);
  const found = fstatSync(fd);
  if (found.isFIFO()) return new Socket({ fd, readable: true, writable: false });
  closeSync(fd);
  throw new Error(whyNoFile(found) ?? 'it is no pipe any more');
}

/** @param size its known size: a small file, of which a folder has thousands, takes no more memory than it has bytes */
async function* chunksOf(file: FileHandle, size = READ_BYTES): AsyncGenerator<Buffer> {
  const readBytes = Math.min(READ_BYTES, Math.max(size, 1));
  try {
    for (;;) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafeSlow(readBytes));
      if (bytesRead === 0) return;
      for (let at = 0; at < bytesRead; at += CHUNK_BYTES)
        yield buffer.subarray(at, Math.min(at + CHUNK_BYTES, bytesRead));
    }
  } finally {
    await file.close();
  }
}

async function* unzip(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const gunzip = createGunzip();
  const input = Readable.from(chunks);
  input.on('error', (error) => gunzip.destroy(error));
  try {
    yield* input.pipe(gunzip) as AsyncIterable<Buffer>;
  } catch (error) {
    const what = GZIP_FAULTS[(error as { code?: string }).code ?? ''];
    throw what === undefined ? error : new Error(what, { cause: error });
  }
}

/** Reads until `bytes` are there or the stream has ended or failed, and puts them back in front of the rest. */
async function peek(
  chunks: AsyncIterable<Buffer>,
  bytes: number,
): Promise<{ head: Buffer; chunks: AsyncIterable<Buffer> }> {
  const iterator = chunks[Symbol.asyncIterator]();
  const first: Buffer[] = [];
  let length = 0;
  let failure: { readonly error: unknown } | undefined;
  while (length < bytes && !failure) {
    try {
      const next = await iterator.next();
      if (next.done) break;
      first.push(next.value);
      length += next.value.length;
    } catch (error) {
      failure = { error };
    }
  }
  const head = Buffer.concat(first);
  if (failure && length === 0) throw failure.error;
  async function* all(): AsyncGenerator<Buffer> {
    if (head.length > 0) yield head;
    if (failure) throw failure.error;
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
  }
  return { head, chunks: all() };
}
