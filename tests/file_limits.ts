/**
 * Ends test files that hang. A failed assertion may leave a server open, and then the file's process never ends by itself;
 * node:test's own limit ends neither such a process nor one that loops.
 */
import type { ChildProcess } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { resolve } from 'node:path';

/** Node publishes each process that it starts here; run() of node:test gives no other access to them. */
const CHANNEL = 'child_process';
/** What the process of a killed file has started may keep its pipes open. */
const PIPES_LIMIT_MS = 5_000;

/**
 * Kills the process of each of these files that runs for longer than `limitMs`.
 * @param onEnded called with the file
 * @returns ends the watch
 */
export function limitFiles(
  files: readonly string[],
  limitMs: number,
  onEnded: (file: string) => void,
): () => void {
  const byPath = new Map(files.map((file) => [resolve(file), file]));
  const watch = (message: unknown) => {
    const { process: child } = message as { process: ChildProcess };
    child.once('spawn', () => {
      const file = byPath.get(resolve(child.spawnargs.at(-1) ?? ''));
      if (file === undefined) return;
      const limit = setTimeout(() => {
        onEnded(file);
        child.kill('SIGKILL');
        setTimeout(() => {
          child.stdout?.destroy();
          child.stderr?.destroy();
        }, PIPES_LIMIT_MS).unref();
      }, limitMs);
      child.once('exit', () => clearTimeout(limit));
    });
  };
  subscribe(CHANNEL, watch);
  return () => void unsubscribe(CHANNEL, watch);
}
