/**
 * Retries that cannot make an overload worse: exponential backoff with full jitter, and a budget that lets retries add
 * only a fixed share to the load.
 */
import type { Clock } from '#platform/lifecycle/clock.ts';

export const RETRY_ATTEMPTS = 4;
export const RETRY_BASE_MS = 100;
export const RETRY_MAX_MS = 10_000;
/** In the long run one retry for so many calls: retries may add a tenth to the load. */
export const CALLS_PER_RETRY = 10;
/** Retries that may be made in a burst, such as when one server of several goes down. */
export const RETRY_BUDGET_BURST = 10;

export interface Backoff {
  /** The upper bound of the first pause. */
  readonly baseMs?: number;
  /** The upper bound of every pause. */
  readonly maxMs?: number;
  /** From 0 up to, not including, 1; Math.random in production. */
  readonly random: () => number;
}

/**
 * The pause after failed attempt number `attempt` (1 is the first), milliseconds: full jitter, that is, anything from 0
 * to min(maxMs, baseMs × 2^(attempt−1)), so that clients which failed together do not come back together.
 */
export function backoffMs(attempt: number, backoff: Backoff): number {
  const { baseMs = RETRY_BASE_MS, maxMs = RETRY_MAX_MS, random } = backoff;
  return random() * Math.min(maxMs, baseMs * 2 ** (attempt - 1));
}

/** Shared by all calls to one dependency. */
export interface RetryBudget {
  /** A call is made for the first time: earns its part of a retry. */
  onFirstAttempt(): void;
  /** Takes one retry; false when none is left. */
  takeRetry(): boolean;
}

/**
 * @param callsPerRetry so many first attempts earn one retry
 * @param burst retries that may be saved up; the budget starts with all of them
 */
export function createRetryBudget(callsPerRetry = CALLS_PER_RETRY, burst = RETRY_BUDGET_BURST): RetryBudget {
  /** Counted in first attempts, whole numbers: adding 0.1 ten times does not make 1. */
  let saved = burst * callsPerRetry;
  return {
    onFirstAttempt() {
      saved = Math.min(burst * callsPerRetry, saved + 1);
    },
    takeRetry() {
      if (saved < callsPerRetry) return false;
      saved -= callsPerRetry;
      return true;
    },
  };
}

export interface RetryOptions extends Backoff {
  readonly clock: Clock;
  readonly budget: RetryBudget;
  /** Whether another attempt could succeed, and is safe: the work has not been done, or may be done twice. */
  readonly isRetryable: (error: unknown) => boolean;
  /** Attempts in all, the first included. */
  readonly attempts?: number;
  /** Monotonic milliseconds; no attempt begins after it. */
  readonly deadline?: number;
  /** Ends the wait between attempts. */
  readonly signal?: AbortSignal;
}

/**
 * Does `work`, again after a pause where it fails and may be retried.
 * @throws the last attempt's error; the signal's reason when it is aborted during a pause
 */
export async function retry<T>(work: (attempt: number) => Promise<T>, options: RetryOptions): Promise<T> {
  const {
    clock,
    budget,
    isRetryable,
    attempts = RETRY_ATTEMPTS,
    deadline = Number.POSITIVE_INFINITY,
  } = options;
  budget.onFirstAttempt();
  for (let attempt = 1; ; attempt++) {
    try {
      return await work(attempt);
    } catch (error) {
      if (attempt >= attempts || !isRetryable(error)) throw error;
      const pauseMs = backoffMs(attempt, options);
      if (clock.monotonic() + pauseMs >= deadline || !budget.takeRetry()) throw error;
      await clock.sleep(pauseMs, options.signal);
    }
  }
}
