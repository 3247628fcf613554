/** The one "no later than": every wait outside of a request's own deadline goes through here. */
import type { Clock } from './clock.ts';

/** Work did not end within its limit. Counts as a failure of the awaited part (resilience/failure_rule.ts). */
export class TimeoutError extends Error {
  override name = 'TimeoutError';
  readonly limitMs: number;
  /** @param what the awaited work, such as "health check" */
  constructor(what: string, limitMs: number) {
    super(`${what} took longer than ${limitMs} ms`);
    this.limitMs = limitMs;
  }
}

/**
 * The result of `work`, or an error after `ms` milliseconds, whether `work` heeds its signal or not. A later result or
 * error is dropped. No timer and no listener is left behind. The process stays alive during the wait.
 * @param what names the work in the error
 * @param work gets a signal that is aborted, with the same error, when the time is over
 * @param outer aborted: the wait ends at once with the signal's reason; `work` does not begin if `outer` is aborted before
 * @throws TimeoutError, the error of `work`, or the reason of `outer`
 */
export async function within<T>(
  clock: Clock,
  ms: number,
  what: string,
  work: (signal: AbortSignal) => T | PromiseLike<T>,
  outer?: AbortSignal,
): Promise<T> {
  outer?.throwIfAborted();
  const over = new AbortController();
  const cut = new AbortController();
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const end = (reason: unknown) => {
    reject(reason); // before `work` can answer to the signal with an error of its own
    cut.abort(reason);
  };
  outer?.addEventListener('abort', () => end(outer.reason), { once: true, signal: over.signal });
  // A limit, and no wait: tests that move waits on leave limits to the real clock.
  const cancel = clock.after(ms, () => end(new TimeoutError(what, ms)), true);
  (async () => work(cut.signal))().then(resolve, reject);
  try {
    return await promise;
  } finally {
    cancel();
    over.abort();
  }
}
