/**
 * What a back-up is made of, from outside to inside (docs/decisions/0023):
 *
 *   MAGIC, the header's length (4 bytes, big endian), the header (JSON, readable by anybody)
 *   chunks (chunks.ts), in them one stream of zstd, in it frames: a letter, a length (4 bytes), so many bytes
 *
 *   T {table, columns …}  D bytes of COPY's text form …  t {rows}     a table
 *   S {name}              D lines …                      s {}         sums, which the restored tables must give again
 *   Q {sequences}         Z {tables, rows}                            where sequences stood; the end
 */
import { createHmac, randomBytes } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { pipeline, Readable } from 'node:stream';
import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib';
import { BackupFileError, openChunks, sealChunks } from './chunks.ts';

const MAGIC = Buffer.from('TRUNKLINE BACK-UP 1\n');
const LENGTH_BYTES = 4;
const FRAME_HEAD_BYTES = 1 + LENGTH_BYTES;
const MOST_HEADER_BYTES = 1024 * 1024;
/** A frame is held in memory whole; bytes of COPY are cut so. */
export const MOST_FRAME_BYTES = 1024 * 1024;
const SALT_BYTES = 16;

/** What of a service is in it, and by which of its migrations. */
export interface BackedUpSchema {
  readonly schema: string;
  readonly migrations: readonly string[];
}

export interface BackupHeader {
  readonly format: 1;
  /** Version of the program that made it. */
  readonly program: string;
  readonly postgres: string;
  /** The instant of its snapshot, RFC 3339. */
  readonly made_at: string;
  readonly schemas: readonly BackedUpSchema[];
  readonly salt: string;
  /** What the key can be recognised by; null: not encrypted. */
  readonly key_id: string | null;
}

export type FrameKind = 'T' | 'D' | 't' | 'S' | 's' | 'Q' | 'Z';

export interface Frame {
  readonly kind: FrameKind;
  readonly body: Buffer;
}

export const jsonFrame = (kind: FrameKind, value: object): Frame => ({
  kind,
  body: Buffer.from(JSON.stringify(value)),
});

export const frameJson = <T>({ body }: Frame): T => JSON.parse(body.toString()) as T;

/** Tells a key from another one without telling the key. */
const keyIdOf = (secret: Buffer, salt: Buffer): string =>
  createHmac('sha256', secret).update('key id ').update(salt).digest('hex').slice(0, 16);

/** All bytes of a back-up: its header, and its frames compressed and sealed. */
export async function* encodeBackup(
  about: Omit<BackupHeader, 'format' | 'salt' | 'key_id'>,
  frames: AsyncIterable<Frame>,
  secret: Buffer | undefined,
): AsyncGenerator<Buffer> {
  const salt = randomBytes(SALT_BYTES);
  const keyId = secret ? keyIdOf(secret, salt) : null;
  const whole: BackupHeader = { format: 1, ...about, salt: salt.toString('base64'), key_id: keyId };
  const json = Buffer.from(JSON.stringify(whole));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(json.length);
  const header = Buffer.concat([MAGIC, length, json]);
  yield header;
  const compressed = createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: 3 } });
  yield* sealChunks(piped(Readable.from(encodeFrames(frames)), compressed), { secret, salt, header });
}

async function* encodeFrames(frames: AsyncIterable<Frame>): AsyncGenerator<Buffer> {
  for await (const { kind, body } of frames) {
    const head = Buffer.alloc(FRAME_HEAD_BYTES);
    head.write(kind, 0, 'latin1');
    head.writeUInt32BE(body.length, 1);
    yield head;
    yield body;
  }
}

/** What comes out of `through`; an error of either end is thrown, and whoever stops reading ends both. */
function piped(from: Readable, through: NodeJS.ReadWriteStream): AsyncIterable<Buffer> {
  return pipeline(from, through, () => undefined) as unknown as AsyncIterable<Buffer>;
}

export interface OpenedBackup {
  readonly header: BackupHeader;
  /** Of the file. */
  readonly bytes: number;
  /** Once. @throws BackupFileError where the file was changed, cut off, or the key is not its own */
  frames(secret: Buffer | undefined, onBytes?: (count: number) => void): AsyncGenerator<Frame>;
  close(): Promise<void>;
}

/** @throws BackupFileError when it is no back-up, or one of a later program */
export async function openBackup(path: string): Promise<OpenedBackup> {
  const file = await open(path, 'r');
  try {
    const { header, bytes } = await readHeader(file);
    return {
      header,
      bytes: (await file.stat()).size,
      frames: (secret, onBytes) => decode(file, header, bytes, secret, onBytes),
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function readHeader(file: FileHandle): Promise<{ header: BackupHeader; bytes: Buffer }> {
  const start = await readExactly(file, 0, MAGIC.length + LENGTH_BYTES);
  if (!start.subarray(0, MAGIC.length).equals(MAGIC))
    throw new BackupFileError('this is no back-up of trunkline, or one of a later version');
  const length = start.readUInt32BE(MAGIC.length);
  if (length > MOST_HEADER_BYTES) throw new BackupFileError('the back-up is damaged: its header is too long');
  const json = await readExactly(file, start.length, length);
  try {
    return { header: JSON.parse(json.toString()) as BackupHeader, bytes: Buffer.concat([start, json]) };
  } catch (cause) {
    throw new BackupFileError('the back-up is damaged: its header can not be read', { cause });
  }
}

async function readExactly(file: FileHandle, from: number, count: number): Promise<Buffer> {
  const bytes = Buffer.alloc(count);
  const { bytesRead } = await file.read(bytes, 0, count, from);
  if (bytesRead < count) throw new BackupFileError('this is no whole back-up: it ends in its header');
  return bytes;
}

async function* decode(
  file: FileHandle,
  header: BackupHeader,
  bytes: Buffer,
  secret: Buffer | undefined,
  onBytes: (count: number) => void = () => undefined,
): AsyncGenerator<Frame> {
  const salt = Buffer.from(header.salt, 'base64');
  if (header.key_id !== null && !secret)
    throw new BackupFileError('the back-up is encrypted: set BACKUP_KEY to the key that it was made with');
  if (header.key_id !== null && keyIdOf(secret!, salt) !== header.key_id)
    throw new BackupFileError('the back-up was made with another key than that of BACKUP_KEY');
  const sealing = { secret: header.key_id === null ? undefined : secret, salt, header: bytes };
  const sealed = file.createReadStream({ start: bytes.length, autoClose: false, highWaterMark: 256 * 1024 });
  sealed.on('data', (some) => onBytes(some.length));
  sealed.pause();
  const plain = openChunks(sealed as AsyncIterable<Buffer>, sealing);
  yield* decodeFrames(piped(Readable.from(plain), createZstdDecompress()));
}

async function* decodeFrames(bytes: AsyncIterable<Buffer>): AsyncGenerator<Frame> {
  let held: Buffer = Buffer.alloc(0);
  let ended = false;
  for await (const some of bytes) {
    held = held.length === 0 ? some : Buffer.concat([held, some]);
    for (;;) {
      if (held.length < FRAME_HEAD_BYTES) break;
      const length = held.readUInt32BE(1);
      if (length > MOST_FRAME_BYTES) throw new BackupFileError('the back-up is damaged: a part is too long');
      if (held.length < FRAME_HEAD_BYTES + length) break;
      const kind = String.fromCharCode(held[0]!) as FrameKind;
      yield { kind, body: held.subarray(FRAME_HEAD_BYTES, FRAME_HEAD_BYTES + length) };
      ended = kind === 'Z';
      held = held.subarray(FRAME_HEAD_BYTES + length);
    }
  }
  if (!ended || held.length > 0) throw new BackupFileError('the back-up is not whole: it has no end');
}
