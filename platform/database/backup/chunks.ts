/**
 * The bytes of a back-up in chunks that can't be changed, moved or left out without being noticed: the STREAM
 * construction, as age and Tink have it. Each chunk of CHUNK_BYTES (the last one may be shorter) is followed by a tag of 16
 * bytes. Its nonce is the chunk's number in 11 bytes, and one byte that is 1 for the last chunk alone: so a file that ends
 * early is told from a whole one.
 *
 * With a key: AES-256-GCM, by a key that HKDF-SHA-256 derives from BACKUP_KEY, the file's salt and its header. Without one
 * the tag is the beginning of a SHA-256 over header, nonce and chunk: it tells of a broken disk, not of an attacker.
 */
import { createCipheriv, createDecipheriv, createHash, hkdfSync } from 'node:crypto';

export const CHUNK_BYTES = 64 * 1024;
const TAG_BYTES = 16;
const NONCE_BYTES = 12;
const KEY_BYTES = 32;

/** What can't be restored as it is: cut off, changed, made with another key, or no back-up at all. */
export class BackupFileError extends Error {
  override name = 'BackupFileError';
}

/** How chunks are closed: by a secret, or only against accidents. */
interface Seal {
  close(nonce: Buffer, chunk: Buffer): Buffer;
  /** @returns undefined where it is not what was closed */
  open(nonce: Buffer, sealed: Buffer): Buffer | undefined;
}

/**
 * @param secret BACKUP_KEY's 32 bytes; undefined: only checksums
 * @param header all bytes of the file before the first chunk, the salt in them
 */
function sealOf(secret: Buffer | undefined, salt: Buffer, header: Buffer): Seal {
  const headerHash = createHash('sha256').update(header).digest();
  if (!secret) return checksums(headerHash);
  const info = Buffer.concat([Buffer.from('trunkline back-up 1 '), headerHash]);
  const key = Buffer.from(hkdfSync('sha256', secret, salt, info, KEY_BYTES));
  return {
    close: (nonce, chunk) => {
      const cipher = createCipheriv('aes-256-gcm', key, nonce);
      return Buffer.concat([cipher.update(chunk), cipher.final(), cipher.getAuthTag()]);
    },
    open: (nonce, sealed) => {
      const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
      decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
      const chunk = decipher.update(sealed.subarray(0, -TAG_BYTES));
      try {
        return Buffer.concat([chunk, decipher.final()]);
      } catch {
        return undefined;
      }
    },
  };
}

function checksums(headerHash: Buffer): Seal {
  const tagOf = (nonce: Buffer, chunk: Buffer) =>
    createHash('sha256').update(headerHash).update(nonce).update(chunk).digest().subarray(0, TAG_BYTES);
  return {
    close: (nonce, chunk) => Buffer.concat([chunk, tagOf(nonce, chunk)]),
    open: (nonce, sealed) => {
      const chunk = sealed.subarray(0, -TAG_BYTES);
      return tagOf(nonce, chunk).equals(sealed.subarray(-TAG_BYTES)) ? chunk : undefined;
    },
  };
}

function nonceOf(number: number, isLast: boolean): Buffer {
  const nonce = Buffer.alloc(NONCE_BYTES);
  nonce.writeUIntBE(number, NONCE_BYTES - 7, 6);
  nonce[NONCE_BYTES - 1] = isLast ? 1 : 0;
  return nonce;
}

/** Bytes in pieces of `size`, however they come; the last is what is left, of at least one byte unless there were none. */
async function* cut(bytes: AsyncIterable<Buffer>, size: number): AsyncGenerator<Buffer> {
  let parts: Buffer[] = [];
  let length = 0;
  for await (const some of bytes) {
    let rest = some;
    while (length + rest.length > size) {
      const taken = size - length;
      yield Buffer.concat([...parts, rest.subarray(0, taken)]);
      rest = rest.subarray(taken);
      [parts, length] = [[], 0];
    }
    parts.push(rest);
    length += rest.length;
  }
  yield Buffer.concat(parts);
}

export interface Sealing {
  readonly secret: Buffer | undefined;
  readonly salt: Buffer;
  readonly header: Buffer;
}

/** Closes bytes in chunks. */
export async function* sealChunks(
  bytes: AsyncIterable<Buffer>,
  { secret, salt, header }: Sealing,
): AsyncGenerator<Buffer> {
  const seal = sealOf(secret, salt, header);
  let number = 0;
  let before: Buffer | undefined;
  for await (const chunk of cut(bytes, CHUNK_BYTES)) {
    if (before) yield seal.close(nonceOf(number++, false), before);
    before = chunk;
  }
  yield seal.close(nonceOf(number, true), before ?? Buffer.alloc(0));
}

/**
 * The bytes of sealed chunks.
 * @throws BackupFileError at the first that is not what was closed, and at the end of a file that was cut off
 */
export async function* openChunks(
  sealed: AsyncIterable<Buffer>,
  { secret, salt, header }: Sealing,
): AsyncGenerator<Buffer> {
  const seal = sealOf(secret, salt, header);
  let number = 0;
  let before: Buffer | undefined;
  const open = (chunk: Buffer, isLast: boolean): Buffer => {
    const opened = chunk.length < TAG_BYTES ? undefined : seal.open(nonceOf(number++, isLast), chunk);
    if (opened) return opened;
    throw new BackupFileError(
      `the back-up is not whole: ${isLast ? 'it ends early, or its end' : `its chunk ${number}`} was changed`,
    );
  };
  for await (const chunk of cut(sealed, CHUNK_BYTES + TAG_BYTES)) {
    if (before) yield open(before, false);
    before = chunk;
  }
  yield open(before ?? Buffer.alloc(0), true);
}
