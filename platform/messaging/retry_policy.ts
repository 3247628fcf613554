/** When a message that failed is tried again, and when it is given up. */

export interface RetryPolicy {
  /** The last one that fails makes a dead letter. */
  readonly maxAttempts: number;
  /** The delay after the first attempt; it doubles with each. */
  readonly baseMs: number;
  readonly maxMs: number;
}

/** As the reference: 2^n seconds after attempt n, at most an hour. */
export const DEFAULT_RETRY: RetryPolicy = { maxAttempts: 16, baseMs: 2_000, maxMs: 3_600_000 };

/** A delay is so much longer or shorter by chance, as a share, so that what failed together does not come back together. */
const JITTER = 0.2;

/**
 * The delay after failed attempt number `attempt` (1 is the first), in milliseconds.
 * @param random from 0 up to, not including, 1
 */
export function retryDelayMs({ baseMs, maxMs }: RetryPolicy, attempt: number, random: () => number): number {
  const planned = Math.min(maxMs, baseMs * 2 ** (attempt - 1));
  return planned * (1 - JITTER + 2 * JITTER * random());
}

/** A message that was lost with its process so often is a dead letter: it kills whoever handles it. */
export const MAX_LOSSES = 3;
