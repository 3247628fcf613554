/**
 * Limits the requests of a name in a window of time, which begins with its first request. No client has to wait for longer than a
 * window. With shared counts, processes count together. While these fail, each process goes by its own count, which it has kept
 * all along, and allows less, so that several of them do not allow a multiple.
 */
import type { Clock } from '#platform/lifecycle/clock.ts';
import { type Counted, createWindowCounts } from './window_counts.ts';

/** The share of the maximum that a process allows by its own count: one of this many. */
export const STRICTER = 2;

export interface RateLimitOptions {
  /** What is limited; limits of different names count apart. */
  readonly what: string;
  /** Requests in a window. */
  readonly max: number;
  readonly windowMs: number;
  /** Counts of all processes; undefined: each counts for itself. */
  readonly shared?: { increment(name: string, windowMs: number): Promise<Counted> } | undefined;
  readonly clock: Clock;
}

export interface Rate {
  readonly allowed: boolean;
  readonly max: number;
  /** Requests that are left in the window. */
  readonly left: number;
  /** Time until the window ends, in milliseconds: never more than a window. */
  readonly endsInMs: number;
}

/** Counts a request of `name`, also a request that is not allowed. */
export type RateLimit = (name: string) => Promise<Rate>;

export function createRateLimit({ what, max, windowMs, shared, clock }: RateLimitOptions): RateLimit {
  const own = createWindowCounts(clock);
  return async (name) => {
    const counted = own.increment(name, windowMs);
    if (!shared) return rateOf(max, counted);
    try {
      return rateOf(max, await shared.increment(`${what}:${name}`, windowMs));
    } catch {
      return rateOf(Math.ceil(max / STRICTER), counted);
    }
  };
}

const rateOf = (max: number, { count, leftMs }: Counted): Rate => ({
  allowed: count <= max,
  max,
  left: Math.max(0, max - count),
  endsInMs: leftMs,
});
