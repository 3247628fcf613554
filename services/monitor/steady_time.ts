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

/** The first and the last instant that a Date can be. */
const LAST_INSTANT_MS = 8.64e15;

/** What no Date can be (a silence of a version before may end so late) is shown as the last instant that one can be. */
const shown = (ms: number): string =>
  new Date(Math.min(LAST_INSTANT_MS, Math.max(-LAST_INSTANT_MS, ms))).toISOString();

/** @param notBefore the newest time of an earlier run: steady time does not begin before it */
export function createSteadyTime(clock: Clock, notBefore = 0): SteadyTime {
  const origin = Math.max(clock.now(), notBefore) - clock.monotonic();
  const now = () => Math.round(origin + clock.monotonic());
  return { now, stamp: (steady) => shown(clock.now() - (now() - steady)) };
}
