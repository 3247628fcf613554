/**
 * Time as a dependency. Everything that waits or measures takes a Clock, so that a test can drive it
 * without sleeping. Wall-clock time (`now`) is for showing; `monotonic` is for measuring and deadlines.
 */
import { setTimeout as delay } from 'node:timers/promises';

export interface Clock {
  /** Milliseconds since 1970; may jump when the machine's clock is set. */
  now(): number;
  /** Milliseconds that never go backwards; only differences mean anything. */
  monotonic(): number;
  /** Resolves after `ms` milliseconds; rejects with the signal's reason when it is aborted first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /**
   * Calls `run` once after `ms` milliseconds; the returned function cancels it.
   * @param keepsAlive whether the process stays for it; left out, it does not
   */
  after(ms: number, run: () => void, keepsAlive?: boolean): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) => delay(ms, undefined, signal ? { signal } : {}),
  after: (ms, run, keepsAlive = false) => {
    const timer = setTimeout(run, ms);
    if (!keepsAlive) timer.unref();
    return () => clearTimeout(timer);
  },
};
