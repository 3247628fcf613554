/** What a cache promises, wherever it is kept; cache_process.test.ts and cache_redis.test.ts run it. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { until } from '#engines/cluster/processes.ts';
import { type CacheStore, openCache, VALUE_LIMIT } from '#platform/cache/cache.ts';
import { createReadThrough } from '#platform/cache/read_through.ts';
import { withTransaction } from '#platform/database/pool.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { announceStale, forgetStale } from '#platform/messaging/stale_entries.ts';
import { createRegistry } from '#platform/telemetry/metrics.ts';
import type { TestMessages } from '#tests/messages.ts';

const LIMIT_MS = 15_000;
const LONG_MS = 60_000;

/**
 * Adds the tests.
 * @param open the cache of one more process: shared ones see the same values
 */
export function cachePromises(open: () => Promise<CacheStore>, messages: TestMessages): void {
  let names = 0;
  const fresh = () => `name ${names++}`;

  suite('values', () => {
    test('what was set is got, whatever its text; what was not, or was deleted, is not', async () => {
      const cache = await open();
      await fc.assert(
        fc.asyncProperty(
          fc.string({ unit: 'binary' }),
          fc.string({ unit: 'grapheme' }),
          async (name, value) => {
            const own = fresh() + name;
            assert.equal(await cache.get(own), undefined);
            await cache.set(own, value, LONG_MS);
            assert.equal((await cache.get(own))?.value, value);
            await cache.delete(own);
            assert.equal(await cache.get(own), undefined);
          },
        ),
        { numRuns: 50 },
      );
    });

    test('the last value that was set counts, with its time to live', async () => {
      const cache = await open();
      const name = fresh();
      await cache.set(name, 'old', 100);
      await cache.set(name, 'new', LONG_MS);
      await sleep(200);
      const kept = await cache.get(name);
      assert.equal(kept?.value, 'new');
      assert.ok(kept.leftMs > LONG_MS - 5_000 && kept.leftMs <= LONG_MS, String(kept.leftMs));
    });

    test('a value is gone after its time to live, read or not', async () => {
      const cache = await open();
      const name = fresh();
      const from = systemClock.monotonic();
      await cache.set(name, 'v', 400);
      while (await cache.get(name)) await sleep(20);
      const lastedMs = systemClock.monotonic() - from;
      assert.ok(lastedMs > 200 && lastedMs < 3_000, String(lastedMs));
    });

    test('a value that is too long is not kept, nor the one before it', async () => {
      const cache = await open();
      const name = fresh();
      await cache.set(name, 'x'.repeat(VALUE_LIMIT), LONG_MS);
      assert.equal((await cache.get(name))?.value.length, VALUE_LIMIT);
      await cache.set(name, 'x'.repeat(VALUE_LIMIT + 1), LONG_MS);
      assert.equal(await cache.get(name), undefined);
    });
  });

  suite('counters', () => {
    test('many at once are counted one by one, in one window', async () => {
      const cache = await open();
      const name = fresh();
      const counted = await Promise.all(Array.from({ length: 200 }, () => cache.increment(name, LONG_MS)));
      assert.deepEqual(
        counted.map(({ count }) => count).sort((a, b) => a - b),
        Array.from({ length: 200 }, (_, n) => n + 1),
      );
      for (const { leftMs } of counted) assert.ok(leftMs > 0 && leftMs <= LONG_MS, String(leftMs));
    });

    test('a window begins with its first count and ends on time, however often is counted', async () => {
      const cache = await open();
      const name = fresh();
      const from = systemClock.monotonic();
      let [before, windows] = [0, 0];
      while (systemClock.monotonic() - from < 1_300) {
        const { count, leftMs } = await cache.increment(name, 400);
        assert.ok(leftMs > 0 && leftMs <= 400, String(leftMs));
        assert.ok(count === before + 1 || count === 1, `${count} after ${before}`);
        if (count === 1) windows++;
        before = count;
        await sleep(10);
      }
      assert.ok(windows >= 2 && windows <= 4, String(windows));
    });

    test('a counter is no value of the same name', async () => {
      const cache = await open();
      const name = fresh();
      await cache.set(name, 'text', LONG_MS);
      assert.equal((await cache.increment(name, LONG_MS)).count, 1);
      assert.equal((await cache.get(name))?.value, 'text');
      await cache.delete(name);
      assert.equal((await cache.increment(name, LONG_MS)).count, 2);
    });
  });

  test('two processes see the same where the cache is shared, and each its own where it is not', async () => {
    const [one, other] = [await open(), await open()];
    assert.equal(one.isShared, other.isShared);
    const name = fresh();
    await one.set(name, 'of one', LONG_MS);
    await one.increment(name, LONG_MS);
    assert.equal((await other.get(name))?.value, one.isShared ? 'of one' : undefined);
    assert.equal((await other.increment(name, LONG_MS)).count, one.isShared ? 2 : 1);
  });

  suite('read through', () => {
    /** A process with its own part of the cache, over one source. */
    async function process(source: { value: string }, what: string) {
      const registry = createRegistry('test');
      const cache = openCache(await open(), 'test', registry, systemClock);
      const loads: string[] = [];
      const entries = createReadThrough({
        ...{ what, cache, processTtlMs: LONG_MS, ttlMs: LONG_MS, entries: 100, clock: systemClock, registry },
        load: async (key: string) => {
          const { value } = source;
          loads.push(key);
          await sleep(20);
          return value;
        },
      });
      return { entries, loads, cache };
    }

    test('many readers of a key at once, of several processes: each process loads once at most', async () => {
      const what = fresh();
      const processes = await Promise.all([1, 2, 3].map(() => process({ value: 'v' }, what)));
      const read = await Promise.all(
        processes.flatMap(({ entries }) => Array.from({ length: 50 }, () => entries.read('k'))),
      );
      assert.deepEqual(new Set(read), new Set(['v']));
      for (const { loads } of processes) assert.ok(loads.length <= 1, String(loads.length));
    });

    test('a change that is announced with its transaction is forgotten by every process; one that is rolled back by none', async () => {
      const what = fresh();
      const source = { value: 'old' };
      const processes = await Promise.all([1, 2].map(() => process(source, what)));
      const running = processes.map(({ entries }) =>
        messages.start((messaging) => forgetStale(messaging, what, entries)),
      );
      const readAll = () => Promise.all(processes.map(({ entries }) => entries.read('k')));
      assert.deepEqual(await readAll(), ['old', 'old']);
      source.value = 'new';
      const failed = withTransaction(messages.pool, async (session) => {
        await announceStale(session, what, ['k']);
        throw new Error('rolled back');
      });
      await assert.rejects(failed, /rolled back/);
      // The first look at what is announced hears nothing: others come after it.
      await sleep(2_500);
      assert.deepEqual(await readAll(), ['old', 'old']);
      await withTransaction(messages.pool, (session) => announceStale(session, what, ['other', 'k']));
      const all = async () => (await readAll()).every((value) => value === 'new');
      assert.ok(await until(all, LIMIT_MS), 'both read anew');
      await Promise.all(running.map(({ stop }) => stop()));
    });
  });
}
