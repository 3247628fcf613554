/** Log files of the parts: each is kept within a limit, together with its previous generation. */
import { copyFile, stat, truncate } from 'node:fs/promises';

/** These logs hold an engine's output at its start and end; chatty engines rotate their own logs. */
export const LOG_LIMIT_BYTES = 10_000_000;

/** The previous generation of a log. */
export const previousLog = (file: string): string => `${file}.1`;

/**
 * Keeps a log beyond its limit as the previous generation, and empties the log. The log is copied and emptied, not renamed:
 * its writer keeps it open, for appending. Lines that are written between the two steps are lost.
 * @throws Error, on a full disk for example; the log is unchanged then
 */
export async function rotateLog(file: string, limitBytes = LOG_LIMIT_BYTES): Promise<void> {
  const size = await stat(file).then(
    (found) => found.size,
    () => 0,
  );
  if (size <= limitBytes) return;
  await copyFile(file, previousLog(file));
  await truncate(file);
}
