/**
 * What a process may forget at any time: values with a time to live, and counters in a window of time. In this process alone, or
 * in Redis for all processes (process_store.ts, redis_store.ts). One suite of promises runs over both: tests/conformance/cache.ts.
 *
 * A cache that is away fails at once, with CacheAwayError: its caller goes on without it.
 */
import type { Clock } from '#platform/lifecycle/clock.ts';
import type { Counted } from '#platform/resilience/window_counts.ts';
import { Counter, DURATION_BUCKETS_S, Gauge, Histogram, type Registry } from '#platform/telemetry/metrics.ts';

/** The longest value that is kept, in characters. A longer one is forgotten at once. */
export const VALUE_LIMIT = 262_144;

export interface Kept {
  readonly value: string;
  /** What is left of its time to live. */
  readonly leftMs: number;
}

/** Values and counters have names of their own: a counter is no value of the same name. */
export interface Cache {
  /** Whether other processes see the same values and counters. */
  readonly isShared: boolean;
  get(name: string): Promise<Kept | undefined>;
  /** @param ttlMs after this time it is gone, whatever happens meanwhile */
  set(name: string, value: string, ttlMs: number): Promise<void>;
  delete(name: string): Promise<void>;
  /** Counts once more in a window, which begins with its first count. */
  increment(name: string, windowMs: number): Promise<Counted>;
}

/** Where the values and counters of all services of a process are kept. */
export interface CacheStore extends Cache {
  /** False: each call fails at once, until a probe succeeds. */
  readonly isUp: boolean;
  stop(): Promise<void>;
}

/** The store does not answer, or refuses. */
export class CacheAwayError extends Error {
  override name = 'CacheAwayError';
}

type Operation = 'get' | 'set' | 'delete' | 'increment';

/** A service's part of a store: its names are its own, and its figures are in its metrics. */
export function openCache(store: CacheStore, service: string, registry: Registry, clock: Clock): Cache {
  const registers = [registry];
  const requests = new Counter({
    name: 'cache_requests_total',
    help: 'Requests to the cache, by what was asked and how it ended',
    labelNames: ['operation', 'outcome'],
    registers,
  });
  // From the start there is a count that a rate can begin with.
  requests.inc({ operation: 'increment', outcome: 'failed' }, 0);
  const seconds = new Histogram({
    name: 'cache_request_seconds',
    help: 'Time that requests to the cache took',
    labelNames: ['operation'],
    buckets: DURATION_BUCKETS_S,
    registers,
  });
  new Gauge({
    name: 'cache_up',
    help: '1 while the cache answers; each process of the service has its own connection',
    labelNames: ['store'],
    registers,
    collect() {
      this.set({ store: store.isShared ? 'redis' : 'process' }, Number(store.isUp));
    },
  });
  const own = (name: string) => `${service}:${name}`;

  async function observe<T>(
    operation: Operation,
    ask: Promise<T>,
    outcomeOf: (answer: T) => string,
  ): Promise<T> {
    const from = clock.monotonic();
    let outcome = 'failed';
    try {
      const answer = await ask;
      outcome = outcomeOf(answer);
      return answer;
    } finally {
      requests.inc({ operation, outcome });
      seconds.observe({ operation }, (clock.monotonic() - from) / 1_000);
    }
  }
  const done = () => 'done';

  return {
    isShared: store.isShared,
    get: (name) => observe('get', store.get(own(name)), (kept) => (kept ? 'hit' : 'miss')),
    set: (name, value, ttlMs) => observe('set', store.set(own(name), value, ttlMs), done),
    delete: (name) => observe('delete', store.delete(own(name)), done),
    increment: (name, windowMs) => observe('increment', store.increment(own(name), windowMs), done),
  };
}
