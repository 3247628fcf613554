/** Redis killed, frozen, refusing and absent: what its callers wait, and what they get. platform/cache/README.md has the table. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '@redis/client';
import { until } from '#engines/cluster/processes.ts';
import { freePort } from '#engines/postgres.ts';
import { noRedis } from '#engines/redis.ts';
import { CacheAwayError, type CacheStore } from '#platform/cache/cache.ts';
import { COMMAND_LIMIT_MS } from '#platform/cache/redis_connection.ts';
import { PROBE_MS, startRedisStore } from '#platform/cache/redis_store.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { STRICTER } from '#platform/resilience/rate_limit.ts';
import { testApi } from '#tests/calls_api.ts';
import { testRedis } from '#tests/redis.ts';

const LONG_MS = 60_000;
const CALLERS = 50;
/** What a busy machine may add to a wait. */
const SLACK_MS = 100;
const BACK_LIMIT_MS = PROBE_MS + 2_000;

suite('a cache in Redis that fails', { skip: noRedis, timeout: 120_000 }, async () => {
  const redis = await testRedis();
  const stores: CacheStore[] = [];
  after(() => Promise.all(stores.map((store) => store.stop())));

  async function open(url = redis.url) {
    const told: string[] = [];
    const store = await startRedisStore({
      ...{ url, prefix: 'test', clock: systemClock },
      onChange: (isUp, reason) => told.push(isUp ? 'up' : String(reason)),
    });
    stores.push(store);
    return { store, told };
  }
  const isBack = (store: CacheStore) => until(() => store.isUp, BACK_LIMIT_MS);

  /** Callers that count without a pause, while `fail` happens: how long the longest wait was, and how many failed. */
  async function underLoad(store: CacheStore, fail: () => unknown) {
    let [stopped, longestMs, answered, failed] = [false, 0, 0, 0];
    const loops = Array.from({ length: CALLERS }, async () => {
      while (!stopped) {
        const from = systemClock.monotonic();
        try {
          await store.increment('load', LONG_MS);
          answered++;
        } catch (error) {
          assert.ok(error instanceof CacheAwayError, String(error));
          failed++;
          // A call that fails at once leaves the loop no turn.
          await sleep(1);
        }
        longestMs = Math.max(longestMs, systemClock.monotonic() - from);
      }
    });
    await sleep(300);
    assert.ok(answered > 0 && failed === 0, 'it worked before');
    await fail();
    await sleep(700);
    stopped = true;
    await Promise.all(loops);
    return { longestMs, failed };
  }

  /** Ten thousand calls, one after the other, while Redis is away: would any of them wait, this took minutes. */
  async function nobodyWaits(store: CacheStore): Promise<number> {
    const from = systemClock.monotonic();
    for (let n = 0; n < 10_000; n++) await assert.rejects(store.get('any'), CacheAwayError);
    return systemClock.monotonic() - from;
  }

  for (const [what, fail, mend] of [
    ['killed', () => redis.kill(), () => redis.start()],
    ['frozen', () => redis.signal('SIGSTOP'), () => redis.signal('SIGCONT')],
  ] as const)
    test(`${what} under load: nobody waits above ${COMMAND_LIMIT_MS} ms, then nobody at all, until a probe succeeds`, async (t) => {
      const { store, told } = await open();
      const { longestMs, failed } = await underLoad(store, fail);
      assert.ok(longestMs < COMMAND_LIMIT_MS + SLACK_MS, `${longestMs} ms`);
      assert.ok(failed > CALLERS, String(failed));
      const emptyMs = await nobodyWaits(store);
      assert.ok(emptyMs < 10_000, `${emptyMs} ms`);
      assert.equal(store.isUp, false);
      const from = systemClock.monotonic();
      await mend();
      assert.ok(await isBack(store), 'it is back');
      const backMs = systemClock.monotonic() - from;
      assert.ok((await store.increment(`${what} after`, LONG_MS)).count === 1);
      assert.deepEqual([told.length, told[0], told[2]], [3, 'up', 'up']);
      t.diagnostic(
        `${what}: longest wait ${longestMs.toFixed(0)} ms, then ${(emptyMs / 10).toFixed(1)} µs a call; back ${backMs.toFixed(0)} ms after Redis`,
      );
    });

  test('frozen while nobody asks: a probe finds it, and no request waits', async () => {
    const { store } = await open();
    redis.signal('SIGSTOP');
    try {
      assert.ok(await until(() => !store.isUp, BACK_LIMIT_MS));
      await nobodyWaits(store);
    } finally {
      redis.signal('SIGCONT');
    }
    assert.ok(await isBack(store));
  });

  test('a value that lay in a frozen Redis does not outlive its time to live', async () => {
    const { store } = await open();
    const client = await createClient({ url: redis.url }).connect();
    redis.signal('SIGSTOP');
    await assert.rejects(store.set('late', 'old', 1_500), CacheAwayError);
    await sleep(2_000);
    redis.signal('SIGCONT');
    assert.ok(await isBack(store));
    const written = await client.sendCommand(['INFO', 'commandstats']);
    assert.match(String(written), /cmdstat_set:/, 'Redis did get the command');
    assert.equal(await store.get('late'), undefined);
    client.destroy();
  });

  test('absent at the start: the start waits for a moment only, and a Redis that comes is used', async () => {
    await redis.kill();
    const { store, told } = await open();
    assert.deepEqual([store.isUp, told.length], [false, 1]);
    await nobodyWaits(store);
    await redis.start();
    assert.ok(await isBack(store));
  });

  test('a wrong password, and another program at the address: away, and no reason holds the password', async () => {
    const wrong = await open(redis.url.replace('secret-of-a-test', 'wrong-secret'));
    const nobody = await open(`redis://:wrong-secret@127.0.0.1:${await freePort()}`);
    for (const { store, told } of [wrong, nobody]) {
      assert.equal(store.isUp, false);
      assert.equal(told.length, 1);
      assert.doesNotMatch(told[0]!, /secret/);
    }
    assert.match(wrong.told[0]!, /WRONGPASS/);
  });

  test('requests of two processes count together; without Redis each for itself and stricter; then together again', async (t) => {
    const max = 20;
    const one = await testApi({ rateLimitPerMinute: max }, { cache: (await open()).store });
    const two = await testApi(
      { rateLimitPerMinute: max },
      { cache: (await open()).store, database: one.database },
    );
    const key = await one.key('operator');
    const ask = async (api: typeof one) => {
      const { status, headers } = await api.get('/accounts?limit=1', key);
      const [limit, left] = ['limit', 'remaining'].map((name) => Number(headers.get(`x-ratelimit-${name}`)));
      return [status, limit, left];
    };
    for (let n = 1; n <= 8; n++) assert.deepEqual(await ask(n % 2 ? one : two), [200, max, max - n]);
    redis.signal('SIGSTOP');
    const stricter = max / STRICTER;
    const from = systemClock.monotonic();
    for (let n = 5; n <= stricter; n++) assert.deepEqual(await ask(one), [200, stricter, stricter - n]);
    const tookMs = systemClock.monotonic() - from;
    assert.deepEqual(await ask(one), [429, stricter, 0]);
    assert.deepEqual(await ask(two), [200, stricter, stricter - 5]);
    redis.signal('SIGCONT');
    assert.ok(await until(async () => (await ask(two))[1] === max, BACK_LIMIT_MS), 'together again');
    const [, limit, left] = await ask(one);
    assert.ok(limit === max && left! < max - 8, `${left} left`);
    t.diagnostic(`six requests around the freeze took ${tookMs.toFixed(0)} ms`);
  });

  test('a Redis that refuses to write: counted by the process, and what is kept is still read', async () => {
    const { store } = await open();
    await store.set('kept', 'v', LONG_MS);
    const client = await createClient({ url: redis.url }).connect();
    await client.sendCommand(['CONFIG', 'SET', 'min-replicas-to-write', '1']);
    await assert.rejects(store.increment('refused', LONG_MS), CacheAwayError);
    assert.equal((await store.get('kept'))?.value, 'v');
    await client.sendCommand(['CONFIG', 'SET', 'min-replicas-to-write', '0']);
    assert.equal((await store.increment('refused', LONG_MS)).count, 1);
    client.destroy();
  });
});
