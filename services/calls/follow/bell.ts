/** Waits for a hint, or for a time limit without one. */
import type { Clock } from '#platform/lifecycle/clock.ts';

export interface Bell {
  /** Wakes all waiters. The next wait of any other waiter returns at once. */
  ring(): void;
  /** A waiter, which waits again and again and misses no ring in between. */
  listener(): Listener;
}

export interface Listener {
  /** Resolves when the bell has rung since the last wait, after `ms`, or when the signal is aborted. */
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
