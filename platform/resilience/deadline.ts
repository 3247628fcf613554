/** How long a client waits: the `Request-Timeout` header, and timers for deadlines. */
import type { Clock } from '#platform/lifecycle/clock.ts';

export const REQUEST_TIMEOUT_HEADER = 'request-timeout';
/** As the reference: a query may take 30 s. */
export const DEFAULT_REQUEST_TIMEOUT_MS = 30_000;
/** No answer takes less than this. */
export const MIN_REQUEST_TIMEOUT_MS = 1;
/** Longer than any answer takes; what takes longer is an export, which is not waited for. */
export const MAX_REQUEST_TIMEOUT_MS = 300_000;

/** Timers of the runtime overflow at 2^31 ms, so that one set for longer rings at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Calls `run` at monotonic time `at`, never before it, however far away it is; the returned function cancels that.
 * (A runtime's timer may ring a fraction of a millisecond early.)
 */
export function callAt(clock: Clock, at: number, run: () => void): () => void {
  let cancel = () => {};
  const look = () => {
    const leftMs = at - clock.monotonic();
    if (leftMs <= 0) run();
    else cancel = clock.after(Math.min(leftMs, MAX_TIMER_MS), look);
  };
  cancel = clock.after(Math.min(Math.max(0, at - clock.monotonic()), MAX_TIMER_MS), look);
  return () => cancel();
}

/** A `Request-Timeout` header that is no number of seconds within the bounds; its message names the header and value. */
export class RequestTimeoutError extends Error {
  override name = 'RequestTimeoutError';
  readonly value: string;
  constructor(value: string) {
    super(
      `Request-Timeout is "${value}"; it must be a number of seconds from ${MIN_REQUEST_TIMEOUT_MS / 1_000} ` +
        `to ${MAX_REQUEST_TIMEOUT_MS / 1_000}, such as 2.5`,
    );
    this.value = value;
  }
}

/** Whole seconds with at most three decimals; no sign, no exponent. */
const SECONDS = /^\d{1,6}(\.\d{1,3})?$/;

/**
 * The client's timeout in milliseconds; without the header DEFAULT_REQUEST_TIMEOUT_MS.
 * @throws RequestTimeoutError
 */
export function parseRequestTimeout(header: string | readonly string[] | undefined): number {
  if (header === undefined) return DEFAULT_REQUEST_TIMEOUT_MS;
  const value = typeof header === 'string' ? header : header.join(', ');
  const timeoutMs = SECONDS.test(value.trim()) ? Math.round(Number(value) * 1_000) : Number.NaN;
  if (!(timeoutMs >= MIN_REQUEST_TIMEOUT_MS && timeoutMs <= MAX_REQUEST_TIMEOUT_MS)) {
    throw new RequestTimeoutError(value);
  }
  return timeoutMs;
}

/**
 * When the answer to a request that arrives now is due, in monotonic milliseconds.
 * @throws RequestTimeoutError
 */
export function requestDeadline(header: string | readonly string[] | undefined, clock: Clock): number {
  return clock.monotonic() + parseRequestTimeout(header);
}
