/**
 * Time that is comparable over restarts and never goes backwards while the program runs: the wall clock's time at the
 * start plus the time of the monotonic clock. Setting the clock back shortens no outage, repeats no alert
 * and delays no delivery.
 */
import type { Clock } from '#platform/lifecycle/clock.ts';

export interface SteadyTime {
  /** Steady milliseconds. */
  now(): number;
  /** A steady time as RFC 3339, by the present wall clock. */
  stamp(steady: number): string;
}

/** The first and the last instant that a Date can represent. */
const LAST_INSTANT_MS = 8.64e15;

/** A time beyond the last Date (a silence of an earlier version may end so late) is shown as the last Date. */
const shown = (ms: number): string =>
  new Date(Math.min(LAST_INSTANT_MS, Math.max(-LAST_INSTANT_MS, ms))).toISOString();

/** @param notBefore the newest time of an earlier run: steady time does not begin before it */
export function createSteadyTime(clock: Clock, notBefore = 0): SteadyTime {
  const origin = Math.max(clock.now(), notBefore) - clock.monotonic();
  const now = () => Math.round(origin + clock.monotonic());
  return { now, stamp: (steady) => shown(clock.now() - (now() - steady)) };
}
