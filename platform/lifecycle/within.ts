/** The one "no later than": whatever is waited for outside of a request's own deadline is waited for in here. */
import type { Clock } from './clock.ts';

/** Something did not end within its limit. Counts as a failure of what was waited for (resilience/failure_rule.ts). */
export class TimeoutError extends Error {
  override name = 'TimeoutError';
  readonly limitMs: number;
  /** @param what what was waited for, as in "health check" */
  constructor(what: string, limitMs: number) {
    super(`${what} took longer than ${limitMs} ms`);
    this.limitMs = limitMs;
  }
}

/**
 * What `work` gives, or an end after `ms` milliseconds, whether `work` heeds its signal or not. What comes of it later is
 * dropped, an error too. No timer and no listener is left behind. While it waits, the process stays alive.
 * @param what names it in the error
 * @param work gets a signal that is aborted, with the same error, when the time is over
 * @param outer aborted: it ends at once, too, with the signal's reason; `work` is not begun where it is aborted before
 * @throws TimeoutError, what `work` threw, or the reason of `outer`
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
  clock.sleep(ms, over.signal).then(
    () => end(new TimeoutError(what, ms)),
    () => undefined,
  );
  (async () => work(cut.signal))().then(resolve, reject);
  try {
    return await promise;
  } finally {
    over.abort();
  }
}
