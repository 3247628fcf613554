/** By the times of change of files that a rotation has put away it is told which of them nobody has seen. No I/O and no clock. */

/**
 * Times further ahead of the clock tell nothing: by one file with a wrong date, all that are put away after it would be known
 * already.
 */
const CLOCK_AHEAD_MS = 15 * 60_000;

/**
 * The newest of these times; 0 where there is none that tells anything.
 * @param times milliseconds since 1970, as is now
 */
export const newestTime = (times: readonly number[], now: number): number =>
  times.reduce((newest, time) => (isAhead(time, now) ? newest : Math.max(newest, time)), 0);

/**
 * Whether a file may be one that nobody has seen: it was changed after all that was seen before, or its time tells nothing.
 * @param seenTo the newest time of those that were seen
 */
export const mayBeUnseen = (changedAt: number, seenTo: number, now: number): boolean =>
  changedAt > Math.min(seenTo, now + CLOCK_AHEAD_MS) || isAhead(changedAt, now);

const isAhead = (time: number, now: number) => time > now + CLOCK_AHEAD_MS;
