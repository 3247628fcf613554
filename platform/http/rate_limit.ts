/**
 * How many requests somebody may make in a window of time, which begins with the first of them. Counted by the monotonic
 * clock: whoever sets the machine's clock locks nobody out, and nobody is told to wait for longer than a window.
 */
import type { FastifyReply } from 'fastify';
import type { Clock } from '#platform/lifecycle/clock.ts';

/** Who is counted at once; the longest unseen is forgotten first. */
const COUNTED = 20_000;

export interface RateLimitOptions {
  /** In a window. */
  readonly max: number;
  readonly windowMs: number;
  readonly clock: Clock;
}

export interface Rate {
  readonly allowed: boolean;
  readonly max: number;
  /** That are left in the window. */
  readonly left: number;
  /** Until the window is over, in milliseconds: never more than a window. */
  readonly endsInMs: number;
}

/** Counts a request of `name`, also one that is not allowed. */
export type RateLimit = (name: string) => Rate;

export function createRateLimit({ max, windowMs, clock }: RateLimitOptions): RateLimit {
  /** The longest unseen first. */
  const windows = new Map<string, { readonly began: number; count: number }>();
  return (name) => {
    const now = clock.monotonic();
    const known = windows.get(name);
    const window = known && now - known.began < windowMs ? known : { began: now, count: 0 };
    windows.delete(name);
    if (windows.size >= COUNTED) windows.delete(windows.keys().next().value!);
    windows.set(name, window);
    window.count++;
    return {
      allowed: window.count <= max,
      max,
      left: Math.max(0, max - window.count),
      endsInMs: windowMs - (now - window.began),
    };
  };
}

/** What `tellRate` sets. */
export const RATE_HEADERS = ['x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset'] as const;

/** Tells a client how much it has left, in the header fields that are common for it. */
export function tellRate(reply: FastifyReply, { max, left, endsInMs }: Rate): void {
  reply.header('x-ratelimit-limit', max);
  reply.header('x-ratelimit-remaining', left);
  reply.header('x-ratelimit-reset', Math.ceil(endsInMs / 1_000));
}
