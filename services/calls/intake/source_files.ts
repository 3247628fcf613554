/** Opening what an import is told to read: files, folders of documents, standard input, gzipped or not. */
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';

/** One stream of bytes to import. */
export interface SourceFile {
  /** Absolute path, or 'stdin'. */
  readonly name: string;
  /** Bytes on disk; undefined where that can't be known (standard input). */
  readonly size: number | undefined;
}

/** What an opened source gives. */
export interface OpenedSource {
  /** The first bytes, unpacked, to tell the format by; empty for an empty file. */
  readonly head: Buffer;
  /** All of it, `head` included. */
  readonly chunks: AsyncIterable<Buffer>;
  /** Bytes read from disk so far. */
  bytesRead(): number;
}

export const STDIN_NAME = 'stdin';
const HEAD_BYTES = 256 * 1024;
/** A read costs the main thread some 100 µs, however much it brings. */
const READ_BYTES = 256 * 1024;
/** Small enough that what is made of a chunk is garbage before the collector comes by. */
const CHUNK_BYTES = 32 * 1024;
const GZIP_MAGIC = Buffer.from([0x1f, 0x8b]);

/**
 * The files that the arguments of `import cdrs` mean: `-` is standard input, a folder its files of *.json and *.json.gz,
 * by name.
 * @throws Error naming the path that is not there, or a folder that holds none
 */
export async function listSources(paths: readonly string[]): Promise<SourceFile[]> {
  const sources: SourceFile[] = [];
  for (const path of paths) {
    if (path === '-') {
      sources.push({ name: STDIN_NAME, size: undefined });
      continue;
    }
    const name = resolve(path);
    const found = await stat(name).catch((error: NodeJS.ErrnoException) => {
      throw new Error(`${path}: ${error.code === 'ENOENT' ? 'no such file or folder' : error.message}`);
    });
    if (!found.isDirectory()) {
      sources.push({ name, size: found.isFile() ? found.size : undefined });
      continue;
    }
    const documents = (await readdir(name)).filter((file) => /\.json(\.gz)?$/i.test(file)).sort();
    if (documents.length === 0)
      throw new Error(`${path}: the folder holds no *.json document; name the files instead`);
    for (const document of documents) {
      const file = join(name, document);
      sources.push({ name: file, size: (await stat(file)).size });
    }
  }
  return sources;
}

/** Opens a source, unpacking it when its bytes say that they are gzip, whatever its name. */
export async function openSourceFile(source: SourceFile, stdin: Readable): Promise<OpenedSource> {
  const raw = source.name === STDIN_NAME ? stdin : chunksOf(await open(source.name));
  let bytesRead = 0;
  const counted = async function* () {
    for await (const chunk of raw as AsyncIterable<Buffer>) {
      bytesRead += chunk.length;
      yield chunk;
    }
  };
  const packed = await peek(counted(), GZIP_MAGIC.length);
  const plain = packed.head.subarray(0, 2).equals(GZIP_MAGIC)
    ? await peek(unzip(packed.chunks), HEAD_BYTES)
    : await peek(packed.chunks, HEAD_BYTES);
  return { ...plain, bytesRead: () => bytesRead };
}

async function* chunksOf(file: FileHandle): AsyncGenerator<Buffer> {
  try {
    for (;;) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafeSlow(READ_BYTES));
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
  yield* input.pipe(gunzip) as AsyncIterable<Buffer>;
}

/** Reads until `bytes` are there or the stream has ended, and gives them back in front of the rest. */
async function peek(
  chunks: AsyncIterable<Buffer>,
  bytes: number,
): Promise<{ head: Buffer; chunks: AsyncIterable<Buffer> }> {
  const iterator = chunks[Symbol.asyncIterator]();
  const first: Buffer[] = [];
  let length = 0;
  while (length < bytes) {
    const next = await iterator.next();
    if (next.done) break;
    first.push(next.value);
    length += next.value.length;
  }
  const head = Buffer.concat(first);
  async function* all(): AsyncGenerator<Buffer> {
    if (head.length > 0) yield head;
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
  }
  return { head, chunks: all() };
}
