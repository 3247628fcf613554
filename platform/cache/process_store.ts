/** Values and counters of this process alone. The monotonic clock counts: setting the machine's clock ends or lengthens nothing. */
import { LRUCache } from 'lru-cache';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { createWindowCounts } from '#platform/resilience/window_counts.ts';
import { type CacheStore, VALUE_LIMIT } from './cache.ts';

const VALUES = 50_000;
/** Of all values together, in characters. */
const VALUES_SIZE = 32 * 1024 * 1024;

/** lru-cache's options for times to live by a clock. It takes the instant 0 for none. */
export const timesOf = (clock: Clock) => ({ ttlResolution: 0, perf: { now: () => clock.monotonic() + 1 } });

export function createProcessStore(clock: Clock): CacheStore {
  const counters = createWindowCounts(clock);
  const values = new LRUCache<string, string>({
    max: VALUES,
    maxSize: VALUES_SIZE,
    sizeCalculation: (value, name) => value.length + name.length,
    ...timesOf(clock),
  });
  return {
    isShared: false,
    isUp: true,
    async get(name) {
      const value = values.get(name);
      return value === undefined ? undefined : { value, leftMs: values.getRemainingTTL(name) };
    },
    async set(name, value, ttlMs) {
      if (value.length > VALUE_LIMIT) values.delete(name);
      else values.set(name, value, { ttl: ttlMs });
    },
    async delete(name) {
      values.delete(name);
    },
    increment: async (name, windowMs) => counters.increment(name, windowMs),
    stop: async () => undefined,
  };
}
