/**
 * How long a connection is kept before it is made anew. Connections that live for ever never come back to a PgBouncer
 * that was restarted, nor leave one that is drained. Each has a lifetime of its own, so that those which were made
 * together are not renewed together.
 */
import type { Clock } from '#platform/lifecycle/clock.ts';

export interface ConnectionLifetime {
  /** No connection is used for longer, in milliseconds; none for less than half of it. */
  readonly maxMs: number;
  readonly clock: Clock;
  /** From 0 up to, not including, 1; Math.random in production. */
  readonly random: () => number;
}

/** When a connection that is made now is to be renewed: monotonic milliseconds, half to all of the lifetime from now. */
export function renewalTime({ maxMs, clock, random }: ConnectionLifetime): number {
  return clock.monotonic() + maxMs * (0.5 + random() / 2);
}
