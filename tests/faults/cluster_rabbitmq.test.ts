/** The tier with three nodes of RabbitMQ: a node that is killed or frozen comes back and is reported, and nothing is left at the end. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { Connection } from 'rabbitmq-client';
import { webhookReceiver } from '#engines/alert_receivers.ts';
import { freezeFamily, signal, until } from '#engines/cluster/processes.ts';
import { tierStatus } from '#engines/cluster/status.ts';
import { databaseEnvironmentFile, findTier, type Tier } from '#engines/cluster/tier.ts';
import { watchedParts } from '#engines/cluster/watched.ts';
import { listens } from '#engines/listens.ts';
import { noRabbitmq } from '#engines/rabbitmq.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { KEEPER_SILENT_S, keepersOf } from '#services/monitor/keepers.ts';
import { POLL_INTERVAL_MS } from '#services/monitor/monitor.ts';
import { clusterSkip, makeTestCluster, type TestCluster } from '#tests/cluster.ts';
import { hookedMonitor } from '#tests/hooked_monitor.ts';

/** Three questions, each with a limit of 5 s; then a start. */
const BACK_LIMIT_MS = 60_000;
/** A notice comes so long after the time of its rule at the latest. */
const TOLD_MS = 10_000;

suite('the tier with RabbitMQ', { skip: clusterSkip() || noRabbitmq, timeout: 300_000 }, () => {
  let cluster: TestCluster;
  let tier: Tier;
  const stateOf = async (name: string) =>
    (await tierStatus(tier)).parts.find((part) => part.name === name)?.state;
  const isUp = (name: string) => until(async () => (await stateOf(name)) === 'up', BACK_LIMIT_MS);

  before(async () => {
    cluster = await makeTestCluster();
    await cluster.up('--with', 'rabbitmq');
    tier = await findTier(cluster.data);
  });
  after(() => cluster?.destroy());

  test('its nodes are parts of it, and one cluster that takes messages; the files name their addresses', async () => {
    const status = await tierStatus(tier);
    const brokers = status.parts.filter(({ role }) => role === 'broker');
    assert.deepEqual(
      brokers.map(({ name, state }) => [name, state]),
      [1, 2, 3].map((n) => [`rabbitmq${n}`, 'up']),
    );
    assert.equal(status.holdsNMinusOne, true, status.because.join());
    const written = await readFile(databaseEnvironmentFile(cluster.data), 'utf8');
    assert.ok(written.includes(`export RABBITMQ_URL='${tier.brokerUrl}'`));
    const connection = new Connection(tier.brokerUrl!.split(',')[2]);
    try {
      const queue = { queue: 'q', durable: true, arguments: { 'x-queue-type': 'quorum' } } as const;
      await connection.queueDeclare(queue);
      const publisher = connection.createPublisher({ confirm: true });
      await publisher.send({ routingKey: 'q', durable: true }, 'x');
      await publisher.close();
    } finally {
      await connection.close();
    }
    const anybody = new Connection(tier.brokerUrl!.split(',')[0]!.replace(/\/\/.*@/, '//guest:guest@'));
    const refused = new Promise<Error>((done) => anybody.once('error', done));
    assert.match(String(await refused), /ACCESS_REFUSED|ACCESS-REFUSED/);
    anybody.unsafeDestroy();
  });

  for (const [way, name] of [
    ['killed', 'rabbitmq1'],
    ['frozen', 'rabbitmq2'],
  ] as const)
    test(`a node that is ${way} is restarted`, async () => {
      const { pid } = await tier.processOf(name);
      if (way === 'killed') signal(pid, 'SIGKILL');
      else freezeFamily(pid);
      assert.ok(await until(async () => (await stateOf(name)) !== 'up', BACK_LIMIT_MS), 'it is missed');
      assert.ok(await isUp(name), 'it is back');
      assert.notEqual((await tier.processOf(name)).pid, pid);
    });

  for (const [way, name] of [
    ['killed', 'rabbitmq3'],
    ['frozen', 'rabbitmq1'],
  ] as const)
    test(`the monitor reports a node that is ${way}, and its end`, async () => {
      const hook = await webhookReceiver();
      const monitor = await hookedMonitor(hook.url, {
        keepers: keepersOf([], undefined, undefined, watchedParts(tier.layout, tier.secrets).brokers),
        stateFile: join(cluster.data, `monitor-${way}.json`),
        pollIntervalMs: POLL_INTERVAL_MS,
      });
      const stopping = new AbortController();
      const running = monitor.run(stopping.signal);
      const part = () => monitor.topology.parts.find(({ id }) => id === name);
      const isSeen = async () => {
        await monitor.poll();
        return part()?.state === 'UP';
      };
      const told = (kind: string) => hook.taken.filter((notice) => notice.kind === kind);
      try {
        assert.ok(await until(isSeen, BACK_LIMIT_MS));
        const { pid } = await tier.processOf(name);
        await tier.hold(name);
        const frozen = way === 'frozen' ? freezeFamily(pid) : [];
        if (way === 'killed') signal(pid, 'SIGKILL');
        const lostAt = systemClock.monotonic();
        assert.ok(await until(() => told('firing').length > 0, BACK_LIMIT_MS), 'it is told');
        const toldMs = systemClock.monotonic() - lostAt;
        assert.ok(toldMs <= KEEPER_SILENT_S * 1_000 + TOLD_MS, `told after ${toldMs} ms`);
        assert.match(told('firing')[0]!.message, new RegExp(`^${name} has not answered for`));
        assert.deepEqual([part()?.role, part()?.state], ['rabbitmq', 'DOWN']);
        for (const member of frozen) signal(member, 'SIGCONT');
        await tier.release(name);
        assert.ok(await until(() => told('resolved').length > 0, BACK_LIMIT_MS), 'its end is told');
        assert.deepEqual([told('firing').length, told('resolved').length], [1, 1]);
      } finally {
        stopping.abort();
        await running;
        await hook.stop();
      }
    });

  test('a stop leaves none of its processes', async () => {
    await cluster.command('cluster', 'down');
    const left: string[] = [];
    for (const entry of await readdir('/proc')) {
      const words = await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '');
      if (words.includes(cluster.data)) left.push(words.replaceAll('\0', ' ').slice(0, 200));
    }
    assert.deepEqual(left, []);
    assert.equal(await listens('127.0.0.1', tier.layout.brokers[0]!.epmdPort), false, 'epmd');
  });
});
