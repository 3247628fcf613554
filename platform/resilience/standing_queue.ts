/**
 * Tells a standing queue from a burst, as CoDel does (RFC 8289): a burst drains, so that some wait within an interval
 * is short; a queue whose shortest wait stays above a target for a whole interval only adds delay. What is watched
 * here is the wait of the oldest request at each dispatch, which is also what a client of a FIFO queue waits.
 */

/** A longest wait above this is no longer "just queueing for a slot". */
export const STANDING_TARGET_MS = 100;
/** How long every wait must have been above the target. */
export const STANDING_INTERVAL_MS = 1_000;

export interface StandingQueue {
  /** Tells the wait of the oldest request, milliseconds, at monotonic time `now`; answers whether the queue stands. */
  observe(now: number, oldestWaitMs: number): boolean;
  /** The queue is empty: whatever stood has drained. */
  drained(): void;
  readonly standing: boolean;
}

export function createStandingQueue(): StandingQueue {
  /** Since when every wait was above the target; undefined where the last one was not. */
  let aboveSince: number | undefined;
  let standing = false;
  return {
    observe(now, oldestWaitMs) {
      if (oldestWaitMs <= STANDING_TARGET_MS) {
        aboveSince = undefined;
        standing = false;
      } else {
        aboveSince ??= now;
        standing = now - aboveSince >= STANDING_INTERVAL_MS;
      }
      return standing;
    },
    drained() {
      aboveSince = undefined;
      standing = false;
    },
    get standing() {
      return standing;
    },
  };
}
