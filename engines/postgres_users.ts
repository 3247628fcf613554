/**
 * The users of the embedded PostgreSQL in a folder, and the lock under which they join or leave.
 *
 * A registration is a file that names a process. On a full disk it is a symbolic link whose target names the process,
 * `<pid>:<start time>`: a link takes no block, so that processes can still join and start the PostgreSQL. (Links alone would
 * do, but an earlier version, which may run beside this one, reads only files.)
 */
import { randomBytes } from 'node:crypto';
import { lstat, readdir, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readOwnFile } from '#platform/lifecycle/own_files.ts';
import { isAlive, type ProcessIdentity, saysAbsent } from './processes.ts';

const LOCK_LIMIT_MS = 90_000;
const LOCK_POLL_MS = 50;

export const usersFolder = (folder: string): string => join(folder, 'users');

/** @throws Error (EEXIST) when the path exists already */
async function nameAt(path: string, me: ProcessIdentity): Promise<void> {
  try {
    await writeFile(path, JSON.stringify(me), { flag: 'wx' });
  } catch (error) {
    if (!['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    // The file was made, but nothing could be written into it.
    await rm(path, { force: true });
    await symlink(`${me.pid}:${me.startedAt}`, path);
  }
}

/** Registers a user. @returns the path to remove when the user leaves */
export async function register(folder: string, me: ProcessIdentity): Promise<string> {
  const registration = join(usersFolder(folder), `${me.pid}-${randomBytes(4).toString('hex')}`);
  await nameAt(registration, me);
  return registration;
}

/** Whether any registered user still runs; stale registrations are removed. @throws Error when that can't be read */
export async function isUsed(folder: string): Promise<boolean> {
  for (const file of await readdir(usersFolder(folder))) {
    const path = join(usersFolder(folder), file);
    if ((await holderIn(path)) === 'alive') return true;
    await rm(path, { force: true });
  }
  return false;
}

/** One process joins or leaves at a time. The lock names its holder; the lock of a dead process is taken over. */
export async function withLock<T>(folder: string, me: ProcessIdentity, work: () => Promise<T>): Promise<T> {
  const lock = join(folder, 'lock');
  const watchedMs = lockWatch(lock);
  const deadline = performance.now() + LOCK_LIMIT_MS;
  for (;;) {
    try {
      await nameAt(lock, me);
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const holder = await holderIn(lock);
      const isNobodys = holder === 'unnamed' && (await watchedMs()) > UNNAMED_LIMIT_MS;
      if (holder === 'gone' || isNobodys) await rm(lock, { force: true });
      if (performance.now() > deadline)
        throw new Error(`${lock} is held by another process for over ${LOCK_LIMIT_MS} ms`);
      await sleep(LOCK_POLL_MS);
    }
  }
  try {
    return await work();
  } finally {
    await rm(lock, { force: true });
  }
}

/**
 * The state of the process named in a file: `unnamed` where no process is named (yet), since a file is made and then written.
 * @throws Error when it can't be read
 */
async function holderIn(path: string): Promise<'alive' | 'gone' | 'unnamed'> {
  const holder = await identityIn(path);
  if (holder === undefined) return 'unnamed';
  return isAlive(holder) ? 'alive' : 'gone';
}

async function identityIn(path: string): Promise<ProcessIdentity | undefined> {
  try {
    const [, pid, startedAt] = /^(\d+):(.*)$/.exec(await readlink(path)) ?? [];
    return pid === undefined ? undefined : { pid: Number(pid), startedAt: startedAt! };
  } catch (error) {
    if (saysAbsent(error)) return undefined;
    if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
  }
  const text = await readOwnFile(path).catch((error) => {
    if (saysAbsent(error)) return '';
    throw error;
  });
  try {
    return JSON.parse(text) as ProcessIdentity;
  } catch {
    return undefined;
  }
}

/**
 * A file without a name for so long will never get one.
 * (The age of a file is unknown where an administrator sets the clock.)
 */
const UNNAMED_LIMIT_MS = 1_000;

/** Returns how long the same lock has been seen, in milliseconds. */
function lockWatch(path: string): () => Promise<number> {
  let seen: { readonly made: string; readonly at: number } | undefined;
  return async () => {
    const found = await lstat(path).catch(() => undefined);
    const made = found ? `${found.ino} ${found.mtimeMs}` : '';
    if (seen?.made !== made) seen = { made, at: performance.now() };
    return performance.now() - seen.at;
  };
}
