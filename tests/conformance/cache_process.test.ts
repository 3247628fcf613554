/** What a cache promises, in the process. */
import { suite } from 'node:test';
import { createProcessStore } from '#platform/cache/process_store.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { testMessages } from '#tests/messages.ts';
import { cachePromises } from './cache.ts';

suite('in the process', async () => {
  cachePromises(async () => createProcessStore(systemClock), await testMessages());
});
