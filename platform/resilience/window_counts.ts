/** Counts names in windows of time, by the monotonic clock: setting the machine's clock ends or lengthens no window. */
import { LRUCache } from 'lru-cache';
import type { Clock } from '#platform/lifecycle/clock.ts';

/** Names that are counted at once; the one unseen for longest is forgotten first. */
const COUNTED = 20_000;

export interface Counted {
  /** Since the window began, this time included. */
  readonly count: number;
  /** Until the window ends: never more than the window. */
  readonly leftMs: number;
}

export interface WindowCounts {
  /** Counts once more in a window, which begins with its first count. */
  increment(name: string, windowMs: number): Counted;
}

export function createWindowCounts(clock: Clock): WindowCounts {
  const windows = new LRUCache<string, { began: number; count: number }>({ max: COUNTED });
  return {
    increment(name, windowMs) {
      const now = clock.monotonic();
      let window = windows.get(name);
      if (!window || now - window.began >= windowMs) {
        window = { began: now, count: 0 };
        windows.set(name, window);
      }
      window.count++;
      return { count: window.count, leftMs: windowMs - (now - window.began) };
    },
  };
}
