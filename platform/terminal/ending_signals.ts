/** What ends a command: Ctrl-C, a service manager, a terminal that is closed, the death of the program that started it. */
import { constants } from 'node:os';
import { note } from './print.ts';

const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
export type EndingSignal = (typeof ENDING_SIGNALS)[number];

/**
 * A terminal gives Ctrl-C to npm, to bin/trunkline.js and to its child, and each of them hands on what it gets: what comes
 * within so short a time of the first was said once.
 */
const SAME_SIGNAL_MS = 1_000;
/** How often the parent is looked at. */
const PARENT_POLL_MS = 250;

/** What a shell reports for a process that a signal ended. */
export const statusOf = (signal: EndingSignal): number => 128 + constants.signals[signal];

/** `at` by the steady clock, in milliseconds. */
let first: { readonly signal: EndingSignal; readonly at: number } | undefined;

/** The signal that asked this process to end, if any has. */
export const endedBy = (): EndingSignal | undefined => first?.signal;

/**
 * Calls `handle` for each signal that asks the command to end, instead of ending it at once.
 * @param handle `again`: one had come before, a second ago or longer
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
 * Aborted by the first signal that asks the command to end, so that it puts in order what it has begun; one that comes a
 * second later or after that ends the process at once.
 * @param words what it puts in order, told at the first
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

/** Ends this process as SIGTERM does once bin/trunkline.js, where that started it, is gone: nobody waits for it then. */
export function endWithLauncher(): void {
  const launcher = Number(process.env.TRUNKLINE_LAUNCHER);
  // What this process starts is not started by bin/trunkline.js.
  delete process.env.TRUNKLINE_LAUNCHER;
  if (launcher !== process.ppid) return;
  const watch = setInterval(() => {
    if (process.ppid === launcher) return;
    clearInterval(watch);
    process.kill(process.pid, 'SIGTERM');
  }, PARENT_POLL_MS);
  watch.unref();
}
