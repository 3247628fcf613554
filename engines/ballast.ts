/**
 * Reserve space for a PostgreSQL that could not start without it: a file beside its data that is deleted when PostgreSQL is
 * down on a full disk, and made again when there is space. Without the file, an operator who must free space on a full
 * disk has no database to look into.
 */
import { randomBytes } from 'node:crypto';
import { link, open, readdir, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { identify, saysAbsent } from './processes.ts';

/** Four segments of the write-ahead log: as much as recovery and the first checkpoint after it write. */
export const BALLAST_BYTES = 64 * 1024 * 1024;
/** The ballast is made only where so much is free: it must not fill the disk. */
export const ROOM_FOR_BALLAST_BYTES = 4 * BALLAST_BYTES;
/** A PostgreSQL that does not start with less free space lacks space, whether or not its error says so. */
const WANT_BYTES = 16 * 1024 * 1024;
const CHUNK_BYTES = 1024 * 1024;

const fileIn = (folder: string) => join(folder, 'ballast');
/** The draft of one process. Each process has its own, since two may begin at once. A killed process leaves its draft. */
const draftIn = (folder: string) => `${fileIn(folder)}.new.${process.pid}`;
const DRAFT = /^ballast\.new(?:\.(\d+))?$/;

/** The space on the file system of a folder that users other than root can still write, in bytes. */
export async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

/** Whether a folder has a complete ballast. */
export async function hasBallast(folder: string): Promise<boolean> {
  try {
    await stat(fileIn(folder));
    return true;
  } catch (error) {
    if (saysAbsent(error)) return false;
    throw error;
  }
}

/**
 * Makes the ballast where there is none and there is space for it.
 * @returns whether this call made it
 * @throws Error when the ballast can't be written; then none of it is left
 */
export async function makeBallast(folder: string): Promise<boolean> {
  for (const { file, pid } of await draftsIn(folder)) if (!isOfAnother(pid)) await rm(file, { force: true });
  if ((await hasBallast(folder)) || (await freeBytes(folder)) < ROOM_FOR_BALLAST_BYTES) return false;
  const draft = draftIn(folder);
  try {
    // A file system takes no space for data that it can compress or leave out.
    const chunk = randomBytes(CHUNK_BYTES);
    const handle = await open(draft, 'w', 0o600);
    try {
      for (let written = 0; written < BALLAST_BYTES; written += CHUNK_BYTES) {
        chunk.writeUInt32LE(written, 0);
        await handle.write(chunk);
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
    return await linkNew(draft, fileIn(folder));
  } finally {
    await rm(draft, { force: true });
  }
}

/** @returns false where another process has made it meanwhile */
async function linkNew(draft: string, file: string): Promise<boolean> {
  try {
    await link(draft, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

interface BallastDraft {
  readonly file: string;
  /** The writing process; NaN: the draft is of a version that did not name it. */
  readonly pid: number;
}

const draftsIn = async (folder: string): Promise<BallastDraft[]> =>
  (await readdir(folder)).flatMap((name) => {
    const found = DRAFT.exec(name);
    return found ? [{ file: join(folder, name), pid: Number(found[1]) }] : [];
  });

/** Whether another process may be writing a draft now. */
const isOfAnother = (pid: number): boolean =>
  !Number.isNaN(pid) && pid !== process.pid && identify(pid) !== undefined;

/**
 * Frees the space of the ballast for a PostgreSQL that did not start.
 * @param said the error of PostgreSQL
 * @returns whether this freed space: whether to try again
 */
export async function releaseBallast(folder: string, said: string): Promise<boolean> {
  const wantsSpace = /No space left on device|Disk quota exceeded|ENOSPC|EDQUOT/.test(said);
  if (!wantsSpace && (await freeBytes(folder)) >= WANT_BYTES) return false;
  return dropBallast(folder);
}

/** Deletes the ballast and its drafts. @returns whether there were any */
export async function dropBallast(folder: string): Promise<boolean> {
  const drafts = await draftsIn(folder);
  const all = [...((await hasBallast(folder)) ? [fileIn(folder)] : []), ...drafts.map(({ file }) => file)];
  // The writing process may have removed its draft meanwhile.
  for (const file of all) await rm(file, { force: true });
  return all.length > 0;
}
