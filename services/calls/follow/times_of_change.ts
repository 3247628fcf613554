/** Decides by their times of change which rotated files are unseen. No I/O and no clock. */

/**
 * Times further ahead of the clock are ignored: otherwise, after one file with a wrong date, all files that are rotated
 * later would count as known.
 */
const CLOCK_AHEAD_MS = 15 * 60_000;

/**
 * The newest of these times. 0 where none is usable.
 * @param times milliseconds since 1970, as is now
 */
export const newestTime = (times: readonly number[], now: number): number =>
  times.reduce((newest, time) => (isAhead(time, now) ? newest : Math.max(newest, time)), 0);

/**
 * Whether a file may be unseen: it was changed after all seen ones, or its time is not usable.
 * @param seenTo the newest time of the seen files
 */
export const mayBeUnseen = (changedAt: number, seenTo: number, now: number): boolean =>
  changedAt > Math.min(seenTo, now + CLOCK_AHEAD_MS) || isAhead(changedAt, now);

const isAhead = (time: number, now: number) => time > now + CLOCK_AHEAD_MS;
