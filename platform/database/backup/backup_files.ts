/** Back-ups as files: one is written beside its place and moved there whole; of those in a folder the newest is found. */
import { type FileHandle, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** `trunkline-2026-11-29T031500Z.backup` */
const NAME = /^trunkline-(\d{4}-\d\d-\d\dT\d\d)(\d\d)(\d\d)Z\.backup$/;
const PARTIAL = '.partial';
/** What a back-up that was cut off has left is removed once nothing was written to it for so long. */
const LEFT_AFTER_MS = 86_400_000;

/** The name of a back-up that is begun now. @param now wall-clock milliseconds since 1970 */
export const backupName = (now: number): string =>
  `trunkline-${new Date(now).toISOString().slice(0, 19).replaceAll(':', '')}Z.backup`;

/** Whether a path is that of a folder that is there. */
export async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
}

export interface FoundBackup {
  readonly path: string;
  /** When it was begun, wall-clock milliseconds since 1970. */
  readonly at: number;
}

/** Whole back-ups of a folder, the newest first, by their names. */
export async function listBackups(folder: string): Promise<FoundBackup[]> {
  const found = (await readdir(folder)).flatMap((name) => {
    const [, hour, minutes, seconds] = NAME.exec(name) ?? [];
    return hour ? [{ path: join(folder, name), at: Date.parse(`${hour}:${minutes}:${seconds}Z`) }] : [];
  });
  return found.toSorted((a, b) => b.at - a.at);
}

/**
 * Writes a file that is there whole, on the disk, or not at all: for its owner's eyes alone.
 * @param now wall-clock milliseconds since 1970
 * @returns its length
 * @throws Error where there is a file of that name already, or the disk is full
 */
export async function writeWholeFile(
  path: string,
  bytes: AsyncIterable<Buffer>,
  now: number,
  onBytes: (count: number) => void,
): Promise<number> {
  if (await stat(path).catch(() => undefined)) throw new Error(`${path} is there already`);
  await removeLeft(dirname(path), now);
  const partial = `${path}${PARTIAL}`;
  const file = await open(partial, 'wx', 0o600).catch((error) => {
    if (error.code !== 'EEXIST') throw error;
    throw new Error(`${partial} is there: another back-up writes it, or was cut off less than a day ago`);
  });
  try {
    const length = await writeAll(file, bytes, onBytes);
    await file.sync();
    await file.close();
    await rename(partial, path);
    await syncFolder(dirname(path));
    return length;
  } catch (error) {
    await file.close().catch(() => undefined);
    await rm(partial, { force: true });
    throw error;
  }
}

async function writeAll(
  file: FileHandle,
  bytes: AsyncIterable<Buffer>,
  onBytes: (count: number) => void,
): Promise<number> {
  let length = 0;
  for await (const some of bytes) {
    for (let at = 0; at < some.length; ) at += (await file.write(some, at)).bytesWritten;
    length += some.length;
    onBytes(some.length);
  }
  return length;
}

/** The name itself must be on the disk, too. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function removeLeft(folder: string, now: number): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!NAME.test(name.slice(0, -PARTIAL.length)) || !name.endsWith(PARTIAL)) continue;
    const path = join(folder, name);
    const found = await stat(path).catch(() => undefined);
    if (found && found.mtimeMs < now - LEFT_AFTER_MS) await rm(path, { force: true });
  }
}
