/** Redis killed and frozen: the monitor tells it once, and its end; that a service does not reach it is a consequence. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { webhookReceiver } from '#engines/alert_receivers.ts';
import { noRedis } from '#engines/redis.ts';
import { startRedisStore } from '#platform/cache/redis_store.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { KEEPER_SILENT_S, redisKeeper } from '#services/monitor/keepers.ts';
import type { Monitor } from '#services/monitor/monitor.ts';
import { testApi } from '#tests/calls_api.ts';
import { hookedMonitor } from '#tests/hooked_monitor.ts';
import { eventually } from '#tests/monitor_tier.ts';
import { testRedis } from '#tests/redis.ts';

/** The rule's own time, and ten seconds. */
const TOLD_LIMIT_MS = KEEPER_SILENT_S * 1_000 + 10_000;
const POLL_INTERVAL_MS = 2_000;
/** The time of CacheAway, and a poll. */
const CACHE_AWAY_MS = 20_000 + 2 * POLL_INTERVAL_MS;

suite('the monitor misses Redis', { skip: noRedis, timeout: 180_000 }, async () => {
  const redis = await testRedis();
  const cache = await startRedisStore({
    ...{ url: redis.url, prefix: 'test', clock: systemClock },
    onChange: () => undefined,
  });
  after(() => cache.stop());
  const { calls } = await testApi({}, { cache });
  let monitor: Monitor;
  let hook: Awaited<ReturnType<typeof webhookReceiver>>;
  let folder: string;
  let running: Promise<void>;
  const stopping = new AbortController();
  const told = (kind: string) => hook.taken.filter((notice) => notice.kind === kind).map((n) => n.message);
  const stateOf = (id: string) => monitor.topology.parts.find((part) => part.id === id)?.state;

  before(async () => {
    hook = await webhookReceiver();
    folder = await mkdtemp(join(tmpdir(), 'trunkline-monitor-redis-'));
    monitor = await hookedMonitor(hook.url, {
      services: [{ name: 'calls', url: calls.url }],
      keepers: { sources: [redisKeeper(redis.url)], readLease: undefined },
      stateFile: join(folder, 'monitor.json'),
      pollIntervalMs: POLL_INTERVAL_MS,
    });
    running = monitor.run(stopping.signal);
    await eventually('it is in the picture', () => stateOf('redis') === 'UP');
  });
  after(async () => {
    stopping.abort();
    await running;
    await hook?.stop();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  /** Takes it away for some time; the notices of that time, and of its end. */
  async function missed(take: () => unknown, putBack: () => unknown, forMs: number) {
    const [fired, ended] = [told('firing').length, told('resolved').length];
    const from = systemClock.monotonic();
    await take();
    try {
      await eventually('it is told', () => told('firing').length > fired);
      const toldMs = systemClock.monotonic() - from;
      assert.ok(toldMs <= TOLD_LIMIT_MS, `told after ${toldMs} ms`);
      assert.equal(stateOf('redis'), 'DOWN');
      await systemClock.sleep(Math.max(0, forMs - toldMs));
    } finally {
      await putBack();
    }
    await eventually('its end is told', () => told('resolved').length > ended);
    assert.equal(stateOf('redis'), 'UP');
    return { firing: told('firing').slice(fired), resolved: told('resolved').slice(ended) };
  }

  test('killed: a warning, and its end', async () => {
    const { firing, resolved } = await missed(
      () => redis.kill(),
      () => redis.start(),
      0,
    );
    assert.match(firing.join('|'), /^redis has not answered for [\d.]+ s: [^|]*$/);
    assert.deepEqual(resolved, ['redis answers again']);
  });

  test('frozen for longer than a service may miss its cache: still one warning and one end', async () => {
    const { firing, resolved } = await missed(
      () => redis.signal('SIGSTOP'),
      async () => {
        const away = Object.values(monitor.state.alerts.active).find(({ rule }) => rule === 'CacheAway');
        assert.deepEqual([away?.state, away?.labels.service], ['firing', 'calls']);
        redis.signal('SIGCONT');
      },
      CACHE_AWAY_MS,
    );
    assert.deepEqual([firing.length, resolved], [1, ['redis answers again']]);
    const [edge] = monitor.topology.edges.filter(({ to, via }) => to === 'redis' && via === 'cache');
    assert.equal(edge?.from, 'calls');
  });
});
