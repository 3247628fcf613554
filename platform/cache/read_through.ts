/**
 * What is read often and changes seldom: kept in this process for seconds, and in the cache below, which processes may share, for
 * longer. One load of a key runs at a time in a process, however many ask for it.
 *
 * `forget` makes the next read load anew. Who changes the value tells every process to forget it
 * (platform/messaging/stale_entries.ts); a process that misses this still reads the old value until its time to live is over, counted
 * from the load.
 */
import { LRUCache } from 'lru-cache';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { type Counter, Counter as CounterOf, type Registry } from '#platform/telemetry/metrics.ts';
import { type Cache, CacheAwayError } from './cache.ts';
import { timesOf } from './process_store.ts';

export interface ReadThroughOptions<Value> {
  /** What is kept; the names of several in one cache differ. */
  readonly what: string;
  readonly cache: Cache;
  /** How long this process keeps a value, and how many. */
  readonly processTtlMs: number;
  readonly entries: number;
  /** How long the cache below keeps a value: no reader gets an older one. */
  readonly ttlMs: number;
  /**
   * Reads the value at its source, for all that ask at that time. What it throws they all get, and it is not kept.
   * JSON must hold the value.
   */
  readonly load: (key: string) => Promise<Value>;
  readonly clock: Clock;
  readonly registry: Registry;
}

export interface ReadThrough<Value> {
  /** The value, which its readers share: they must not change it. */
  read(key: string): Promise<Value>;
  /** Never rejects: what can't be forgotten below ends with its time to live. */
  forget(key: string): Promise<void>;
}

export function createReadThrough<Value>(options: ReadThroughOptions<Value>): ReadThrough<Value> {
  const { what, cache, processTtlMs, entries, ttlMs, load, clock, registry } = options;
  const reads = readsOf(registry);
  const near = new LRUCache<string, { readonly value: Value }>({
    max: entries,
    ...timesOf(clock),
  });
  const flights = new Map<string, Promise<Value>>();
  const nameOf = (key: string) => `${what}:${key}`;

  async function find(key: string, isCurrent: () => boolean): Promise<Value> {
    const kept = await unlessAway(cache.get(nameOf(key)));
    if (kept) {
      reads.inc({ cache: what, from: 'store' });
      const value = JSON.parse(kept.value) as Value;
      keepNear(key, value, kept.leftMs, isCurrent);
      return value;
    }
    const loadedFrom = clock.monotonic();
    reads.inc({ cache: what, from: 'source' });
    const value = await load(key);
    const leftMs = ttlMs - (clock.monotonic() - loadedFrom);
    keepNear(key, value, leftMs, isCurrent);
    // Nobody waits for it.
    if (isCurrent() && leftMs > 0) void unlessAway(cache.set(nameOf(key), JSON.stringify(value), leftMs));
    return value;
  }

  /** What was forgotten meanwhile is not kept: it may be from before the change. */
  function keepNear(key: string, value: Value, leftMs: number, isCurrent: () => boolean): void {
    const ttl = Math.min(processTtlMs, leftMs);
    if (isCurrent() && ttl > 0) near.set(key, { value }, { ttl });
  }

  return {
    async read(key) {
      const known = near.get(key);
      if (known) {
        reads.inc({ cache: what, from: 'process' });
        return known.value;
      }
      const running = flights.get(key);
      if (running) return running;
      const flight: Promise<Value> = find(key, () => flights.get(key) === flight).finally(() => {
        if (flights.get(key) === flight) flights.delete(key);
      });
      flights.set(key, flight);
      return flight;
    },
    async forget(key) {
      near.delete(key);
      flights.delete(key);
      await unlessAway(cache.delete(nameOf(key)));
    },
  };
}

/** A cache that is away has nothing. */
async function unlessAway<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof CacheAwayError) return undefined;
    throw error;
  }
}

const READS = 'cache_reads_total';

/** The counter of a service's reads, which all its caches share. */
function readsOf(metrics: Registry): Counter {
  const known = metrics.getSingleMetric(READS);
  if (known) return known as Counter;
  return new CounterOf({
    name: READS,
    help: 'Reads of what is kept, by what it is and where it was found: in this process, in the cache below, or at its source',
    labelNames: ['cache', 'from'],
    registers: [metrics],
  });
}
