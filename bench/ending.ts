/** What a benchmark started is ended again: when it is done, when it fails, and when it is interrupted. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Registers what is to be undone. Register before waiting for the start to finish, so that an interruption finds it. */
export type AtEnd = (undo: () => unknown) => void;

/** What a shell reports for a process that a signal ended. */
const INTERRUPTED = 130;

/** Runs a benchmark, and undoes in reverse what it registered. */
export async function runBench(work: (atEnd: AtEnd) => Promise<void>): Promise<void> {
  const undos: (() => unknown)[] = [];
  let ended: Promise<void> | undefined;
  const end = () => {
    ended ??= undoAll(undos);
    return ended;
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => void end().then(() => process.exit(INTERRUPTED)));
  try {
    await work((undo) => void undos.push(undo));
  } finally {
    await end();
  }
}

async function undoAll(undos: (() => unknown)[]): Promise<void> {
  for (let undo = undos.pop(); undo; undo = undos.pop()) {
    try {
      await undo();
    } catch (error) {
      // The others are still to be undone.
      process.stderr.write(`at the end: ${String(error)}\n`);
    }
  }
}

/**
 * Stops an engine at the end, also when it is still starting by then.
 * @returns what started; rejects as `starting` does, and then there is nothing to stop
 */
export function stoppedAtEnd<T extends { stop(): Promise<void> }>(
  atEnd: AtEnd,
  starting: Promise<T>,
): Promise<T> {
  atEnd(() =>
    starting.then(
      (engine) => engine.stop(),
      () => undefined,
    ),
  );
  return starting;
}

/** A folder that is gone at the end. */
export async function temporaryFolder(atEnd: AtEnd): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'trunkline-bench-'));
  atEnd(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
