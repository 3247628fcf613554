/**
 * Room that is kept for a PostgreSQL which could not start without: a file beside its data that is deleted when its disk is
 * full and it is down, and made again when there is room. Without it, whoever has to make room on a full disk has a
 * database that does not even tell what is in it.
 */
import { randomBytes } from 'node:crypto';
import { link, open, readdir, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { identify, saysAbsent } from './processes.ts';

/** Four segments of the write-ahead log: what recovery and the first checkpoint after it write. */
export const BALLAST_BYTES = 64 * 1024 * 1024;
/** It is made where so much is free: it must not be what fills the disk. */
export const ROOM_FOR_BALLAST_BYTES = 4 * BALLAST_BYTES;
/** A PostgreSQL that does not start where less is free does so for want of space, whether or not it could say so. */
const WANT_BYTES = 16 * 1024 * 1024;
const CHUNK_BYTES = 1024 * 1024;

const fileIn = (folder: string) => join(folder, 'ballast');
/** While a process writes it: each has its own, for two may begin at once. A kill leaves it. */
const draftIn = (folder: string) => `${fileIn(folder)}.new.${process.pid}`;
const DRAFT = /^ballast\.new(?:\.(\d+))?$/;

/** What can still be written on the file system of a folder, by those who are not root, in bytes. */
export async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

/** Whether there is a ballast in a folder, whole. */
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
 * Makes the ballast where there is none and there is room for it.
 * @returns whether it was made now
 * @throws Error when it can't be written; then none of it is left
 */
export async function makeBallast(folder: string): Promise<boolean> {
  for (const { file, pid } of await draftsIn(folder)) if (!isOfAnother(pid)) await rm(file, { force: true });
  if ((await hasBallast(folder)) || (await freeBytes(folder)) < ROOM_FOR_BALLAST_BYTES) return false;
  const draft = draftIn(folder);
  try {
    // What a file system can pack or leave out takes no room.
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

/** @returns false where somebody else has made it meanwhile */
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
  /** Of who writes it; NaN: of a version that did not say. */
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
 * Gives the room of the ballast to a PostgreSQL that did not start.
 * @param said what it said of why
 * @returns whether there is room now that was not there before: whether to try again
 */
export async function releaseBallast(folder: string, said: string): Promise<boolean> {
  const wantsSpace = /No space left on device|Disk quota exceeded|ENOSPC|EDQUOT/.test(said);
  if (!wantsSpace && (await freeBytes(folder)) >= WANT_BYTES) return false;
  return dropBallast(folder);
}

/** Deletes the ballast, and what was written of one. @returns whether there was any */
export async function dropBallast(folder: string): Promise<boolean> {
  const drafts = await draftsIn(folder);
  const all = [...((await hasBallast(folder)) ? [fileIn(folder)] : []), ...drafts.map(({ file }) => file)];
  // Whoever was writing it may have put it away meanwhile.
  for (const file of all) await rm(file, { force: true });
  return all.length > 0;
}
