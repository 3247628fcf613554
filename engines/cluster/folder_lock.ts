/** One process at a time for a data folder, by a lock that the kernel releases when its holder ends in any way. */
import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { createServer } from 'node:net';
import { platform } from 'node:os';

/**
 * Takes a folder's lock. A name of a socket outside of any file system (Linux: unix(7), "abstract") has one holder, and
 * is free again the moment its holder ends.
 * @param purpose the work that the lock serializes: locks of a folder for different purposes do not exclude each other
 * @returns releases the lock; undefined when another process holds it
 */
export async function takeFolderLock(folder: string, purpose: string): Promise<(() => void) | undefined> {
  if (platform() !== 'linux') throw new Error('a tier runs on Linux only');
  const name = createHash('sha256')
    .update(`${purpose}\0${realpathSync(folder)}`)
    .digest('hex');
  const server = createServer((socket) => socket.destroy());
  server.unref();
  try {
    await new Promise<void>((taken, failed) => {
      server.once('error', failed);
      server.listen({ path: `\0trunkline-${name}` }, taken);
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return undefined;
    throw error;
  }
  return () => server.close();
}
