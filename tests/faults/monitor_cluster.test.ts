/** The monitor at the whole PostgreSQL tier, polling every 10 s as in production. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { signal } from '#engines/cluster/processes.ts';
import { findTier } from '#engines/cluster/tier.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { createLogger } from '#platform/telemetry/logger.ts';
import { pagerDutyChannel } from '#services/monitor/channels/pagerduty.ts';
import { webhookChannel } from '#services/monitor/channels/webhook.ts';
import { createMonitor, type Monitor, POLL_INTERVAL_MS } from '#services/monitor/monitor.ts';
import { pagerDutyReceiver, ROUTING_KEY, WEBHOOK_SECRET, webhookReceiver } from '#tests/alert_receivers.ts';
import { clusterSkip, makeTestCluster, type TestCluster } from '#tests/cluster.ts';
import { eventually } from '#tests/monitor_tier.ts';

suite('the monitor at the PostgreSQL tier', { skip: clusterSkip(), timeout: 240_000 }, () => {
  let cluster: TestCluster;
  let monitor: Monitor;
  let hook: Awaited<ReturnType<typeof webhookReceiver>>;
  let pager: Awaited<ReturnType<typeof pagerDutyReceiver>>;
  let running: Promise<void>;
  const stopping = new AbortController();
  const about = (server: string) => hook.taken.filter(({ message }) => message.includes(server));

  before(async () => {
    cluster = await makeTestCluster();
    await cluster.command('cluster', 'up', '--detach', '--port-base', String(cluster.portBase));
    [hook, pager] = await Promise.all([webhookReceiver(), pagerDutyReceiver()]);
    const { layout } = await findTier(cluster.data);
    const secret = WEBHOOK_SECRET;
    const [from, runbookUrl] = ['info', undefined] as const;
    monitor = await createMonitor({
      haproxies: layout.haproxies.map(({ name, host, statsPort, socket }) => {
        return { name, pageUrl: `http://${host}:${statsPort}/stats`, socket };
      }),
      services: [],
      channels: [
        webhookChannel({ url: hook.url, secret, from, runbookUrl, clock: systemClock }),
        pagerDutyChannel({ url: pager.url, routingKey: ROUTING_KEY, from, source: 'test', runbookUrl }),
      ],
      stateFile: join(cluster.data, 'monitor.json'),
      pollIntervalMs: POLL_INTERVAL_MS,
      heartbeat: false,
      clock: systemClock,
      random: Math.random,
      logger: createLogger('monitor', 'silent'),
    });
    running = monitor.run(stopping.signal);
    await eventually('a first poll', () => monitor.topology.at !== null);
  });
  after(async () => {
    stopping.abort();
    await running;
    await Promise.all([hook?.stop(), pager?.stop()]);
    await cluster?.destroy();
  });

  test('a tier that is well: every part in the picture, one primary, nothing told', () => {
    const { parts, edges } = monitor.topology;
    const named = (role: string) => parts.filter((part) => part.role === role).map(({ name }) => name);
    assert.deepEqual(named('haproxy'), ['haproxy1', 'haproxy2']);
    assert.deepEqual(named('bouncer').toSorted(), ['pgb1', 'pgb2', 'pgb3', 'pgr1', 'pgr2']);
    assert.deepEqual([named('primary').length, named('replica').length], [1, 2]);
    assert.deepEqual(new Set(parts.map(({ state }) => state)), new Set(['UP']));
    assert.ok(edges.some(({ from, to }) => from === 'haproxy2' && to === 'bouncers/pgb2'));
    assert.deepEqual(hook.taken, []);
  });

  test('a killed bouncer: one alert, one recovery, one incident opened and closed', async (t) => {
    const tier = await findTier(cluster.data);
    await tier.hold('pgb2');
    const killedAt = systemClock.monotonic();
    signal((await tier.processOf('pgb2')).pid, 'SIGKILL');
    await eventually('the alert', () => about('pgb2').length === 1);
    t.diagnostic(`alert ${((systemClock.monotonic() - killedAt) / 1_000).toFixed(1)} s after the kill`);
    await eventually('the incident', () => pager.open.size === 1);
    await tier.release('pgb2');
    await eventually('the recovery', async () => {
      await monitor.poll();
      return about('pgb2').length === 2;
    });
    await eventually('its end', () => pager.open.size === 0);
    await monitor.poll();
    assert.deepEqual(
      about('pgb2').map(({ title, message }) => [title, message]),
      [
        ['PgBouncer Alert', 'pgb2 is DOWN'],
        ['PgBouncer Alert', 'pgb2 is back UP'],
      ],
    );
    assert.deepEqual([...hook.rejected, ...pager.rejected], []);
  });
});
