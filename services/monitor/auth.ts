/**
 * The monitor's key. The monitor has no database, so that it can report a database that is down. Its one key is a setting
 * (MONITOR_KEY). If this is not set, the first start makes a key in a file that only this user can read. Commands on the
 * same machine read it from there.
 */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeOwnFolder, readOwnFile } from '#platform/lifecycle/own_files.ts';

const KEY_BYTES = 32;

export const keyFile = (folder: string): string => join(folder, 'key');

/** Reads the key of this folder, or makes it if there is none. */
export async function readOrMakeKey(folder: string): Promise<string> {
  const path = keyFile(folder);
  await makeOwnFolder(dirname(path));
  const key = `tlm_${randomBytes(KEY_BYTES).toString('hex')}`;
  try {
    // If two processes start at once, only one of them makes the file.
    await writeFile(path, `${key}\n`, { mode: 0o600, flag: 'wx' });
    return key;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
      // A full disk leaves an empty file, which the next start could not use.
      await rm(path, { force: true }).catch(() => undefined);
      throw error;
    }
    const kept = (await readOwnFile(path, { secret: true })).trim();
    if (kept === '') throw new Error(`${path} is empty: delete it, or set MONITOR_KEY`);
    return kept;
  }
}

/** Whether an Authorization header has the key; the check takes the same time for all headers. */
export function createKeyCheck(key: string): (authorization: string | undefined) => boolean {
  const right = hash('sha256', key, 'buffer');
  return (authorization) => {
    const given = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1] ?? '';
    return timingSafeEqual(hash('sha256', given, 'buffer'), right);
  };
}
