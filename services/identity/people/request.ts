/**
 * What Better Auth does for one request. It runs statements and hashes passwords without knowing for which request, and turns every
 * failure into an error of its own. So both find the request here, and leave their failure here, which is then thrown as it was.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { RequestContext } from '#platform/database/database.ts';

interface Run {
  readonly context: RequestContext;
  failure: { readonly error: unknown } | undefined;
}

const runs = new AsyncLocalStorage<Run>();
const NEVER = new AbortController().signal;

/**
 * Runs `work` for a request. It goes on when the client hangs up: what is half done had better be done.
 * @throws the first failure of what `step` did within it; else what `work` threw
 */
export function forRequest<T>(context: RequestContext, work: () => Promise<T>): Promise<T> {
  const run: Run = { context: { ...context, signal: NEVER }, failure: undefined };
  return runs.run(run, async () => {
    const [outcome] = await Promise.allSettled([work()]);
    if (run.failure) throw run.failure.error;
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
}

/** A step of a request's work, with the request's context. */
export async function step<T>(work: (context: RequestContext) => Promise<T>): Promise<T> {
  const run = runs.getStore();
  if (!run) throw new Error('this is done for a request only');
  try {
    return await work(run.context);
  } catch (error) {
    run.failure ??= { error };
    throw error;
  }
}
