/** The monitor at the whole PostgreSQL tier, polling every 10 s as in production. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { WEBHOOK_SECRET, webhookReceiver } from '#engines/alert_receivers.ts';
import { startSlowClient } from '#engines/cluster/drills/slow_client.ts';
import { leaderOf } from '#engines/cluster/patroni.ts';
import { familyOf, postmasterOf, signal } from '#engines/cluster/processes.ts';
import { waitFor, whatIsMissing } from '#engines/cluster/readiness.ts';
import { findTier } from '#engines/cluster/tier.ts';
import { watchedParts } from '#engines/cluster/watched.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { createLogger } from '#platform/telemetry/logger.ts';
import { pagerDutyChannel } from '#services/monitor/channels/pagerduty.ts';
import { webhookChannel } from '#services/monitor/channels/webhook.ts';
import { askThroughDoor } from '#services/monitor/door_question.ts';
import { createMonitor, type Monitor, POLL_INTERVAL_MS } from '#services/monitor/monitor.ts';
import { pagerDutyReceiver, ROUTING_KEY } from '#tests/alert_receivers.ts';
import { clusterSkip, makeTestCluster, type TestCluster } from '#tests/cluster.ts';
import { eventually } from '#tests/monitor_tier.ts';

/** Of infrastructure/pgbouncer/pgbouncer.ini, and how many there are. */
const POOL_SIZE = 70;
const READ_BOUNCERS = 2;
const WHOLE_LIMIT_MS = 90_000;
/** A rule without a `for`, and ten seconds. */
const TOLD_LIMIT_MS = 14_000;

suite('the monitor at the PostgreSQL tier', { skip: clusterSkip(), timeout: 360_000 }, () => {
  let cluster: TestCluster;
  let monitor: Monitor;
  let hook: Awaited<ReturnType<typeof webhookReceiver>>;
  let pager: Awaited<ReturnType<typeof pagerDutyReceiver>>;
  let running: Promise<void>;
  const stopping = new AbortController();
  const about = (server: string) => hook.taken.filter(({ message }) => message.includes(server));

  before(async () => {
    cluster = await makeTestCluster();
    await cluster.up();
    [hook, pager] = await Promise.all([webhookReceiver(), pagerDutyReceiver()]);
    const { layout, secrets } = await findTier(cluster.data);
    const { haproxies, doors, bouncers } = watchedParts(layout, secrets);
    const secret = WEBHOOK_SECRET;
    const [from, runbookUrl] = ['info', undefined] as const;
    monitor = await createMonitor({
      ...{ haproxies, doors, bouncers },
      services: [],
      disks: [],
      askDoor: askThroughDoor,
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

  test('a healthy tier: every part in the picture, one primary, no message', () => {
    const { parts, edges } = monitor.topology;
    const named = (role: string) => parts.filter((part) => part.role === role).map(({ name }) => name);
    assert.deepEqual(named('haproxy'), ['haproxy1', 'haproxy2']);
    assert.deepEqual(named('bouncer').toSorted(), ['pgb1', 'pgb2', 'pgb3', 'pgr1', 'pgr2']);
    assert.deepEqual([named('primary').length, named('replica').length], [1, 2]);
    const [disks, others] = [true, false].map((isDisk) =>
      parts.filter(({ role }) => (role === 'disk') === isDisk),
    );
    assert.deepEqual(new Set(others!.map(({ state }) => state)), new Set(['UP']));
    assert.ok(
      disks!.every(({ state }) => state === 'UNKNOWN'),
      'nobody tells this monitor of disks',
    );
    assert.ok(edges.some(({ from, to }) => from === 'haproxy2' && to === 'bouncers/pgb2'));
    assert.deepEqual(hook.taken, []);
  });

  test('a killed bouncer: one alert, one recovery, one incident that opens and closes', async (t) => {
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

  /** What was told since, save of ends: whoever reads it has to read that clients wait. */
  const toldSince = (before: number) => hook.taken.slice(before).filter(({ kind }) => kind !== 'resolved');
  const saysThatClientsWait = ({ message, details }: (typeof hook.taken)[number]) =>
    [message, ...details].some((words) => /reads: (a client has|clients) waited/.test(words));
  async function endOfWhatWasTold(before: number): Promise<void> {
    const [notice] = toldSince(before);
    // What was over before it was told has no end.
    await eventually(
      'its end',
      () =>
        notice?.keys.length === 0 ||
        hook.taken.slice(before).some(({ kind, keys }) => kind === 'resolved' && keys[0] === notice?.keys[0]),
    );
    await sleep(POLL_INTERVAL_MS);
    const told = toldSince(before);
    assert.equal(told.length, 1, JSON.stringify(hook.taken.slice(before)));
    assert.ok(saysThatClientsWait(told[0]!), JSON.stringify(told));
  }

  test('all connections of the reads are held: one notice that clients wait, and its end', async () => {
    const { readUrl } = await findTier(cluster.data);
    const before = hook.taken.length;
    const clients = Array.from({ length: POOL_SIZE * READ_BOUNCERS + 4 }, () => {
      const client = new pg.Client({ connectionString: readUrl });
      client.on('error', () => {});
      return client;
    });
    await Promise.all(clients.map((client) => client.connect()));
    // Longer than the limit, then they go by themselves; what waits behind them is cut off at the end.
    const held = Promise.allSettled(clients.map((client) => client.query('SELECT pg_sleep(25)')));
    await eventually('the notice', () => toldSince(before).length > 0);
    // The door gets no answer, which is more than that somebody waits.
    assert.deepEqual(
      toldSince(before).map(({ severity, message }) => [severity, message.replace(/[\d.]+/, 'N')]),
      [['critical', 'reads have had no answer for N s']],
    );
    for (const client of clients) client.connection.stream.destroy();
    await held;
    await endOfWhatWasTold(before);
  });

  test('as many clients that read nothing: one notice that clients wait or waited, though these clients are cut within seconds', async () => {
    const { readUrl } = await findTier(cluster.data);
    const before = hook.taken.length;
    const slow = await Promise.all(
      Array.from({ length: POOL_SIZE * READ_BOUNCERS }, () => startSlowClient(readUrl, 'nothing')),
    );
    try {
      await eventually('the notice', () => toldSince(before).length > 0);
      await endOfWhatWasTold(before);
    } finally {
      for (const client of slow) client.close();
    }
  });

  test("the primary's PostgreSQL is dead and its Patroni runs: one critical notice that writes are not served", async (t) => {
    const tier = await findTier(cluster.data);
    const leader = (await leaderOf(tier.layout.nodes))!;
    const before = hook.taken.length;
    const since = () => hook.taken.slice(before);
    const critical = () => since().filter(({ severity }) => severity === 'critical');
    const killedAt = systemClock.monotonic();
    // Patroni starts it again within seconds: it is killed each time, for as long as an outage takes to be told of.
    const isTold = async () => {
      const postmaster = postmasterOf(leader.folder);
      if (postmaster) for (const pid of familyOf(postmaster.pid)) signal(pid, 'SIGKILL');
      return critical().length > 0;
    };
    await eventually('a critical notice', isTold);
    const toldMs = systemClock.monotonic() - killedAt;
    t.diagnostic(`told ${(toldMs / 1_000).toFixed(1)} s after the kill`);
    assert.ok(toldMs <= TOLD_LIMIT_MS, `told after ${toldMs} ms`);
    await waitFor(WHOLE_LIMIT_MS, () => whatIsMissing(tier));
    await eventually('its end', () => since().some(({ kind }) => kind === 'resolved'));
    assert.equal(critical().filter(({ kind }) => kind === 'firing').length, 1, JSON.stringify(since()));
    assert.match(critical()[0]!.message, /no node is the primary|writes have had no answer/);
  });
});
