/** Log files of the parts: each is kept within a limit, together with the generation before it. */
import { copyFile, stat, truncate } from 'node:fs/promises';

/** Logs here are for what an engine says at start and end; the chatty ones rotate logs of their own. */
export const LOG_LIMIT_BYTES = 10_000_000;

/** The generation before a log. */
export const previousLog = (file: string): string => `${file}.1`;

/**
 * Keeps a log that has grown beyond its limit as the generation before, and begins it anew. It is copied and emptied, not
 * renamed: its writer keeps it open, for appending. Lines that are written between the two are lost.
 * @throws Error when the disk is full, say; the log is as it was then
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
