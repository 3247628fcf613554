/**
 * Time that is comparable over restarts and never goes backwards while the program runs: the wall clock's time at the
 * start, moved on by the monotonic clock. An administrator who sets the clock back shortens no outage, repeats no alert
 * and delays no delivery.
 */
import type { Clock } from '#platform/lifecycle/clock.ts';

export interface SteadyTime {
  /** Steady milliseconds. */
  now(): number;
  /** A steady time as RFC 3339, by what the wall clock shows now. */
  stamp(steady: number): string;
}

/** @param notBefore the newest time of an earlier run: steady time does not begin before it */
export function createSteadyTime(clock: Clock, notBefore = 0): SteadyTime {
  const origin = Math.max(clock.now(), notBefore) - clock.monotonic();
  const now = () => Math.round(origin + clock.monotonic());
  return { now, stamp: (steady) => new Date(clock.now() - (now() - steady)).toISOString() };
}
