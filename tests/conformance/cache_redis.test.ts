/** What a cache promises, in Redis. */
import { after, suite } from 'node:test';
import { noRedis } from '#engines/redis.ts';
import type { CacheStore } from '#platform/cache/cache.ts';
import { startRedisStore } from '#platform/cache/redis_store.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { testMessages } from '#tests/messages.ts';
import { testRedis } from '#tests/redis.ts';
import { cachePromises } from './cache.ts';

suite('in Redis', { skip: noRedis }, async () => {
  const { url } = await testRedis();
  const stores: CacheStore[] = [];
  after(() => Promise.all(stores.map((store) => store.stop())));
  const open = async () => {
    const store = await startRedisStore({
      url,
      prefix: 'test',
      clock: systemClock,
      onChange: () => undefined,
    });
    stores.push(store);
    return store;
  };
  cachePromises(open, await testMessages());
});
