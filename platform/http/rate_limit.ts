/**
 * Limits the requests of a name in a window of time, which begins with its first request. The monotonic clock counts:
 * setting the machine's clock locks no client out, and no client has to wait for longer than a window.
 */
import type { FastifyReply } from 'fastify';
import type { Clock } from '#platform/lifecycle/clock.ts';

/** Names that are counted at once; the one unseen for longest is forgotten first. */
const COUNTED = 20_000;

export interface RateLimitOptions {
  /** Requests in a window. */
  readonly max: number;
  readonly windowMs: number;
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
export type RateLimit = (name: string) => Rate;

export function createRateLimit({ max, windowMs, clock }: RateLimitOptions): RateLimit {
  /** The name unseen for longest comes first. */
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

/** The headers that `tellRate` sets. */
export const RATE_HEADERS = ['x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset'] as const;

/** Sets the client's remaining requests, in the usual headers. */
export function tellRate(reply: FastifyReply, { max, left, endsInMs }: Rate): void {
  reply.header('x-ratelimit-limit', max);
  reply.header('x-ratelimit-remaining', left);
  reply.header('x-ratelimit-reset', Math.ceil(endsInMs / 1_000));
}
