/** Every read has a limit, so that one part which hangs does not hold up the others. */
import type { Clock } from '#platform/lifecycle/clock.ts';

/** @throws Error that names `what`, when `read` takes longer than `ms` */
export async function withLimit<T>(
  clock: Clock,
  ms: number,
  what: string,
  read: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = new AbortController();
  const cancel = clock.after(ms, () => limit.abort(new Error(`${what} did not answer within ${ms} ms`)));
  try {
    return await read(limit.signal);
  } finally {
    cancel();
  }
}
