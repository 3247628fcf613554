/** Signals that end a command: from Ctrl-C, a service manager, a closed terminal, or the death of the starting program. */
import { constants } from 'node:os';
import { note } from './print.ts';

const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
export type EndingSignal = (typeof ENDING_SIGNALS)[number];

/**
 * A terminal sends Ctrl-C to npm, to bin/trunkline.js and to its child, and each of them passes its signals on: signals
 * within so short a time of the first count as one.
 */
const SAME_SIGNAL_MS = 1_000;
/** How often this process checks its parent. */
const PARENT_POLL_MS = 250;

/** A shell's exit status for a process that a signal ended. */
export const statusOf = (signal: EndingSignal): number => 128 + constants.signals[signal];

/** `at` by the steady clock, in milliseconds. */
let first: { readonly signal: EndingSignal; readonly at: number } | undefined;

/** The first signal that asked this process to end; undefined before. */
export const endedBy = (): EndingSignal | undefined => first?.signal;

/**
 * Calls `handle` for each signal that asks the command to end; the signal does not end the command at once.
 * @param handle `again`: the first signal came a second ago or earlier
 * @returns ends the listening
 */
export function onEndingSignal(handle: (signal: EndingSignal, again: boolean) => void): () => void {
  let isTold = false;
  const listeners = ENDING_SIGNALS.map((signal) => {
    const listener = () => {
      const now = performance.now();
      first ??= { signal, at: now };
      const again = now - first.at >= SAME_SIGNAL_MS;
      if (isTold && !again) return;
      isTold = true;
      handle(signal, again);
    };
    process.on(signal, listener);
    return { signal, listener };
  });
  return () => {
    for (const { signal, listener } of listeners) process.off(signal, listener);
  };
}

/**
 * Aborted by the first signal that asks the command to end, so that the command can clean up; a signal a second later or
 * after that ends the process at once.
 * @param words the clean-up, printed at the first signal
 */
export function untilInterrupted(words: string): AbortSignal {
  const interrupted = new AbortController();
  onEndingSignal((signal, again) => {
    if (again) process.exit(statusOf(signal));
    note(`given up: ${words}`);
    interrupted.abort(new Error(signal));
  });
  return interrupted.signal;
}

/** Ends this process as SIGTERM does once its parent, bin/trunkline.js, is gone: then no process waits for it. */
export function endWithLauncher(): void {
  const launcher = Number(process.env.TRUNKLINE_LAUNCHER);
  // A child of this process is not a child of bin/trunkline.js.
  delete process.env.TRUNKLINE_LAUNCHER;
  if (launcher !== process.ppid) return;
  const watch = setInterval(() => {
    if (process.ppid === launcher) return;
    clearInterval(watch);
    process.kill(process.pid, 'SIGTERM');
  }, PARENT_POLL_MS);
  watch.unref();
}
