import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '#platform/lifecycle/fake_clock.ts';
import { createRegistry } from '#platform/telemetry/metrics.ts';
import { type Cache, CacheAwayError } from './cache.ts';
import { createProcessStore } from './process_store.ts';
import { createReadThrough } from './read_through.ts';

const PROCESS_TTL_MS = 5_000;
const TTL_MS = 60_000;

/** A source that counts, and processes that share a cache over it. */
function world(processes: number) {
  const clock = createFakeClock();
  const below = createProcessStore(clock);
  const now = { isAway: false, fails: false, value: 1, loads: 0, loadMs: 0 };
  const unlessAway = <T>(work: () => Promise<T>): Promise<T> =>
    now.isAway ? Promise.reject(new CacheAwayError('away')) : work();
  const cache: Cache = {
    isShared: true,
    get: (name) => unlessAway(() => below.get(name)),
    set: (name, value, ttlMs) => unlessAway(() => below.set(name, value, ttlMs)),
    delete: (name) => unlessAway(() => below.delete(name)),
    increment: (name, windowMs) => unlessAway(() => below.increment(name, windowMs)),
  };
  const load = async () => {
    now.loads++;
    const { value } = now;
    if (now.loadMs > 0) await clock.sleep(now.loadMs);
    if (now.fails) throw new Error('no source');
    return value;
  };
  const all = Array.from({ length: processes }, () => {
    const registry = createRegistry('test');
    const times = { processTtlMs: PROCESS_TTL_MS, ttlMs: TTL_MS, entries: 100 };
    const entries = createReadThrough({ what: 'numbers', cache, ...times, load, clock, registry });
    return { ...entries, figures: registry };
  });
  return { clock, now, all };
}

test('a process asks the cache below once its own time is over, and the source once that of the cache is', async () => {
  const { clock, now, all } = world(2);
  const [one, other] = all;
  assert.deepEqual([await one!.read('k'), await other!.read('k'), now.loads], [1, 1, 1]);
  now.value = 2;
  for (let ms = PROCESS_TTL_MS; ms < TTL_MS; ms += PROCESS_TTL_MS) {
    await clock.advance(PROCESS_TTL_MS + 1);
    assert.deepEqual([await one!.read('k'), now.loads], [1, 1], `${ms}`);
  }
  await clock.advance(PROCESS_TTL_MS);
  assert.deepEqual([await one!.read('k'), await other!.read('k'), now.loads], [2, 2, 2]);
  const counted = (await one!.figures.getSingleMetric('cache_reads_total')!.get()).values;
  assert.deepEqual(Object.fromEntries(counted.map(({ labels, value }) => [labels.from, value])), {
    source: 2,
    store: TTL_MS / PROCESS_TTL_MS - 1,
  });
});

test('nobody who missed that a value changed reads it later than its time to live, counted from the load', async () => {
  const { clock, now, all } = world(2);
  now.loadMs = 2_000;
  const first = all[0]!.read('k');
  await clock.advance(1_000);
  now.value = 2;
  await clock.advance(1_000);
  assert.equal(await first, 1);
  await clock.advance(TTL_MS - 2_000);
  const late = all[1]!.read('k');
  await clock.flush();
  assert.equal(await late, 1, 'kept below');
  await clock.advance(1);
  const anew = all.map((one) => one.read('k'));
  await clock.advance(2_000);
  assert.deepEqual(await Promise.all(anew), [2, 2]);
});

test('what is forgotten while it is loaded goes to those who asked before, and is not kept', async () => {
  const { clock, now, all } = world(1);
  const [one] = all;
  now.loadMs = 1_000;
  const before = one!.read('k');
  await clock.advance(500);
  now.value = 2;
  await one!.forget('k');
  const after = one!.read('k');
  await clock.advance(500);
  assert.equal(await before, 1);
  await clock.advance(500);
  assert.equal(await after, 2);
  assert.deepEqual([await one!.read('k'), now.loads], [2, 2]);
});

test('a failure is everybody’s who waits, and nobody’s after it', async () => {
  const { now, all } = world(1);
  now.fails = true;
  const failed = await Promise.allSettled([all[0]!.read('k'), all[0]!.read('k')]);
  assert.deepEqual([failed.map(({ status }) => status), now.loads], [['rejected', 'rejected'], 1]);
  now.fails = false;
  assert.equal(await all[0]!.read('k'), 1);
});

test('while the cache below is away, the process keeps what it reads for its own time, and forgets it', async () => {
  const { clock, now, all } = world(1);
  const [one] = all;
  now.isAway = true;
  assert.deepEqual([await one!.read('k'), await one!.read('k'), now.loads], [1, 1, 1]);
  now.value = 2;
  await one!.forget('k');
  assert.equal(await one!.read('k'), 2);
  await clock.advance(PROCESS_TTL_MS + 1);
  now.value = 3;
  assert.equal(await one!.read('k'), 3);
});
