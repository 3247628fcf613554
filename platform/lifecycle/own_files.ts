/**
 * The program's own files and folders: small, and for its user alone. Anything may stand at their paths, such as a pipe
 * without a writer or gigabytes of foreign data, and must not hold up or fill the program.
 */
import { constants } from 'node:fs';
import { chmod, type FileHandle, mkdir, open, readdir, stat } from 'node:fs/promises';

/** Larger than any key, password or state of a few parts. */
export const SMALL_FILE_BYTES = 1024 * 1024;

const OTHERS = 0o077;

/**
 * A file's text.
 * @param options.secret removes other users' permissions from the file, where they have any
 * @throws Error that names the file: an error of fs (ENOENT …), or that it is no file, or too large for its purpose
 */
export async function readOwnFile(
  path: string,
  options: { readonly secret?: boolean; readonly maxBytes?: number } = {},
): Promise<string> {
  const { secret = false, maxBytes = SMALL_FILE_BYTES } = options;
  // Without O_NONBLOCK, opening a pipe without a writer would never end.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const found = await file.stat();
    if (!found.isFile())
      throw new Error(`${path} is ${found.isDirectory() ? 'a directory and ' : ''}no file`);
    if (found.size > maxBytes)
      throw new Error(`${path} has ${found.size} bytes, and may have at most ${maxBytes}`);
    if (secret && isOwn(found.uid) && (found.mode & OTHERS) !== 0) await file.chmod(0o600);
    return await readUpTo(file, maxBytes);
  } finally {
    await file.close();
  }
}

/** A file may grow meanwhile, and /proc reports 0 bytes for its generated files. */
async function readUpTo(file: FileHandle, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for (;;) {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(64 * 1024));
    if (bytesRead === 0) return Buffer.concat(chunks).toString();
    length += bytesRead;
    if (length > maxBytes) throw new Error(`it has more than ${maxBytes} bytes`);
    chunks.push(buffer.subarray(0, bytesRead));
  }
}

/**
 * The end of a log, from an offset on.
 * @param maxBytes at most so many bytes, the last ones
 */
export async function readEnd(path: string, from = 0, maxBytes = 64 * 1024): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const { size } = await file.stat();
    const begin = Math.max(from, size - maxBytes);
    const bytes = Buffer.alloc(Math.max(0, size - begin));
    const { bytesRead } = await file.read(bytes, 0, bytes.length, begin);
    return bytes.toString('utf8', 0, bytesRead).trim();
  } finally {
    await file.close();
  }
}

/**
 * Makes a folder that only its owner can read; an existing folder becomes such a one.
 * @throws Error that names the folder
 */
export async function makeOwnFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  const { uid, mode } = await stat(path);
  if (isOwn(uid) && (mode & OTHERS) !== 0) await chmod(path, 0o700);
}

/**
 * Does the same for the folder that holds all of them, where it holds nothing else. A folder shared with other things
 * (/tmp, a home) stays as it is; the program's own files and folders in it are private each.
 * @param names the program's own names in the folder
 */
export async function makeDataFolder(path: string, names: readonly string[]): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  const others = (await readdir(path)).filter((name) => !names.includes(name));
  if (others.length === 0) await makeOwnFolder(path);
}

const isOwn = (uid: number): boolean => process.getuid === undefined || uid === process.getuid();
