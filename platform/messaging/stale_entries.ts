/** Tells every living process which entries of a cache no longer hold, with the change that makes them stale. */
import { Type } from 'typebox';
import type { ReadThrough } from '#platform/cache/read_through.ts';
import type { Session } from '#platform/database/session.ts';
import type { Messaging } from './messaging.ts';
import { announce } from './publish.ts';
import { broadcast } from './topic.ts';

const cacheStale = broadcast({
  name: 'cache.stale',
  version: 1,
  purpose: 'entries of a cache no longer hold',
  body: Type.Object({ cache: Type.String(), keys: Type.Array(Type.String()) }),
});

/** To be called in the transaction of the change. @param cache what it holds, as `forgetStale` is told */
export const announceStale = (session: Session, cache: string, keys: readonly string[]): Promise<void> =>
  announce(session, cacheStale, { cache, keys: [...keys] });

/**
 * Forgets what is announced, in this process and below it. A process that misses one reads an old value until its time to live is
 * over.
 */
export function forgetStale(messaging: Messaging, cache: string, entries: ReadThrough<unknown>): void {
  messaging.listen(cacheStale, (stale) => {
    if (stale.cache === cache) for (const key of stale.keys) void entries.forget(key);
  });
}
