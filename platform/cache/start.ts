/** Starts the store of a process. */
import type { Clock } from '#platform/lifecycle/clock.ts';
import type { Lifetime } from '#platform/lifecycle/lifetime.ts';
import { errorText } from '#platform/telemetry/error_text.ts';
import type { Logger } from '#platform/telemetry/logger.ts';
import type { CacheStore } from './cache.ts';
import { createProcessStore } from './process_store.ts';

export interface CacheOptions {
  /** Redis; undefined: what is kept is kept in this process. */
  readonly url: string | undefined;
  readonly prefix: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Starts it, whether Redis answers or not. Its client is loaded only where there is a Redis. */
export async function startCacheStore(
  { url, prefix, clock, logger }: CacheOptions,
  lifetime: Lifetime,
): Promise<CacheStore> {
  if (url === undefined) return createProcessStore(clock);
  const { startRedisStore } = await import('./redis_store.ts');
  const onChange = (isUp: boolean, reason?: Error) => {
    if (isUp) logger.info('Redis answers');
    else
      logger.warn(
        { reason: reason && errorText(reason) },
        'Redis is away: each process counts requests for itself, and allows less',
      );
  };
  const store = await startRedisStore({ url, prefix, clock, onChange });
  lifetime.onStop('cache', store.stop);
  return store;
}
