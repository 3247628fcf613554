/** Waiting for a hint, or for as long as one does without. */
import type { Clock } from '#platform/lifecycle/clock.ts';

export interface Bell {
  /** Wakes all who wait; who comes to wait next goes on at once. */
  ring(): void;
  /** One who waits, again and again, and misses no ring in between. */
  listener(): Listener;
}

export interface Listener {
  /** Resolves when it rang since the last wait, after `ms`, or when the signal is aborted. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
}

export function createBell(clock: Clock): Bell {
  let rings = 0;
  const waiting = new Set<() => void>();
  return {
    ring() {
      rings++;
      for (const wake of [...waiting]) wake();
    },
    listener() {
      let heard = rings;
      return {
        wait: (ms, signal) =>
          new Promise((resolve) => {
            const done = () => {
              cancel();
              waiting.delete(done);
              signal.removeEventListener('abort', done);
              heard = rings;
              resolve();
            };
            const cancel = clock.after(ms, done);
            waiting.add(done);
            signal.addEventListener('abort', done);
            if (heard !== rings || signal.aborted) done();
          }),
      };
    },
  };
}
