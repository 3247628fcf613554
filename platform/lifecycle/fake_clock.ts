/**
 * A clock for tests: time stands still until the test moves it. Not for production code.
 *
 * Wall-clock and monotonic time start far apart, so that code which mixes them up fails at once.
 */
import type { Clock } from './clock.ts';

/** 2026-01-01T00:00:00Z, the default start of a fake clock's wall-clock time. */
export const FAKE_CLOCK_START_MS = Date.UTC(2026, 0, 1);
const FAKE_MONOTONIC_START_MS = 1_000;

export interface FakeClock extends Clock {
  /**
   * Moves time on by `ms`. Timers that fall due run in the order of their times (equal times: in the order in which
   * they were set), each at its own time. All promises that are ready settle before the next timer runs.
   */
  advance(ms: number): Promise<void>;
  /** Lets all promises that are ready settle; time stands still. */
  flush(): Promise<void>;
  /** Sets the wall clock, as an administrator or NTP does; monotonic time and timers do not notice. */
  setWallClock(now: number): void;
  /** Timers that have neither run nor been cancelled; 0 at the end of a test shows that no timer was left behind. */
  readonly pendingTimers: number;
}

interface Timer {
  readonly due: number;
  readonly run: () => void;
}

/** @param startMs wall-clock time at the start, milliseconds since 1970 */
export function createFakeClock(startMs = FAKE_CLOCK_START_MS): FakeClock {
  let monotonic = FAKE_MONOTONIC_START_MS;
  let wallOffset = startMs - monotonic;
  const timers = new Set<Timer>();

  const after = (ms: number, run: () => void): (() => void) => {
    const timer = { due: monotonic + Math.max(0, ms), run };
    timers.add(timer);
    return () => void timers.delete(timer);
  };

  const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = () => {
        cancel();
        reject(signal?.reason);
      };
      const cancel = after(ms, () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      });
      signal?.addEventListener('abort', onAbort, { once: true });
    });

  /** The timer that falls due first, up to `limit`. A Set keeps the order of setting, which decides equal times. */
  const firstDue = (limit: number): Timer | undefined => {
    let first: Timer | undefined;
    for (const timer of timers) {
      if (timer.due <= limit && (!first || timer.due < first.due)) first = timer;
    }
    return first;
  };

  const advance = async (ms: number): Promise<void> => {
    const end = monotonic + ms;
    await flush();
    for (let timer = firstDue(end); timer; timer = firstDue(end)) {
      timers.delete(timer);
      monotonic = Math.max(monotonic, timer.due);
      timer.run();
      await flush();
    }
    monotonic = end;
  };

  return {
    now: () => monotonic + wallOffset,
    monotonic: () => monotonic,
    sleep,
    after,
    advance,
    flush,
    setWallClock: (now) => {
      wallOffset = now - monotonic;
    },
    get pendingTimers() {
      return timers.size;
    },
  };
}

/** A turn of the event loop runs every promise reaction that is ready, however long the chain. */
function flush(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
