/** Messages through three nodes of RabbitMQ: consumers are killed and frozen, and so is the node that leads the queue. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { erlangName } from '#engines/broker_node.ts';
import { until } from '#engines/cluster/processes.ts';
import { noRabbitmq, type RabbitmqNode, type RunningRabbitmq } from '#engines/rabbitmq.ts';
import type { Messaging } from '#platform/messaging/messaging.ts';
import { DEFAULT_RETRY } from '#platform/messaging/retry_policy.ts';
import { consumersOf, messagingFaults, upTo } from '#tests/conformance/messaging_faults.ts';
import { jobsOf, numbered, testMessages } from '#tests/messages.ts';
import { testRabbitmq } from '#tests/rabbitmq.ts';

/** The relay moves again so long after a loss of the leader. */
const MOVES_AGAIN_MS = 60_000;
const LOSSES_END_MS = 90_000;
const STANDS_STILL_S = 6;

suite('through RabbitMQ', { skip: noRabbitmq }, async () => {
  const rabbitmq = await testRabbitmq(3);
  const messages = await testMessages(rabbitmq.url);
  const consumers = consumersOf(messages, rabbitmq.url);
  messagingFaults(messages, consumers, 3);

  for (const way of ['killed', 'frozen'] as const)
    test(`the node that leads the queue is ${way}: publishing continues, nothing is lost, no effect happens twice`, async (t) => {
      const queue = `leader ${way}`;
      consumers.start(queue, 'handle');
      await messages.publish(numbered(jobsOf(queue), [0]));
      assert.ok(await until(async () => (await consumers.effects(queue)).length === 1, LOSSES_END_MS));
      const leader = await leaderOf(rabbitmq, queue);
      let published = 1;
      let lostAt = 0;
      let movedAt = 0;
      for (let round = 0; round < 150; round++) {
        if (round === 30) {
          if (way === 'killed') await leader.kill();
          else leader.signal('SIGSTOP');
          lostAt = performance.now();
        }
        await messages.publish(numbered(jobsOf(queue), [published++]));
        await sleep(100);
        if (lostAt && !movedAt && (await consumers.effects(queue)).length > 40) movedAt = performance.now();
      }
      const all = await until(
        async () => (await consumers.effects(queue)).length === published,
        LOSSES_END_MS,
      );
      movedAt ||= performance.now();
      if (way === 'killed') await leader.start();
      else leader.signal('SIGCONT');
      assert.ok(all, `${(await consumers.effects(queue)).length} of ${published}`);
      assert.deepEqual(await consumers.effects(queue), upTo(published));
      assert.ok(movedAt - lostAt < MOVES_AGAIN_MS, `messages moved again after ${movedAt - lostAt} ms`);
      t.diagnostic(`messages moved again ${((movedAt - lostAt) / 1000).toFixed(1)} s after the loss`);
    });

  test('RabbitMQ answers, and takes nothing for want of memory: the relay says for how long, and goes on by itself', async () => {
    const topic = jobsOf('no memory');
    const seen = new Set<number>();
    let relayStalledS = () => 0;
    messages.start((messaging) => {
      messaging.takeWork(topic, async ({ body }) => void seen.add(body.n));
      relayStalledS = () => messaging.relayStalledS!;
    });
    await messages.publish(numbered(topic, [0]));
    assert.ok(await until(() => seen.has(0), LOSSES_END_MS));
    assert.ok(await until(() => relayStalledS() < STANDS_STILL_S / 2, LOSSES_END_MS), 'nothing waits');
    const limitTo = (limit: string) =>
      Promise.all(
        rabbitmq.nodes.map((node) =>
          rabbitmq.control(node, 'set_vm_memory_high_watermark', ...limit.split(' ')),
        ),
      );
    await limitTo('absolute 1MB');
    try {
      await messages.publish(numbered(topic, [1, 2, 3]));
      assert.ok(await until(() => relayStalledS() > STANDS_STILL_S, LOSSES_END_MS), 'it stands still');
      assert.equal(seen.size, 1);
    } finally {
      await limitTo('absolute 512MB');
    }
    assert.ok(await until(() => seen.size === 4, LOSSES_END_MS), 'they come');
    assert.ok(await until(() => relayStalledS() < STANDS_STILL_S / 2, LOSSES_END_MS), 'nothing waits');
  });

  test('a relay that begins while its queue has no leader goes on without the lost node', async (t) => {
    const topic = jobsOf('no leader');
    const seen = new Set<number>();
    const take = (messaging: Messaging) =>
      messaging.takeWork(topic, async ({ body }) => void seen.add(body.n), { retry: DEFAULT_RETRY });
    const first = messages.start(take);
    await messages.publish(numbered(topic, [0]));
    assert.ok(await until(() => seen.has(0), LOSSES_END_MS));
    await first.stop();
    await messages.publish(numbered(topic, [1, 2, 3]));
    const leader = await leaderOf(rabbitmq, 'no leader');
    const others = rabbitmq.url
      .split(',')
      .filter((_, index) => rabbitmq.nodes[index] !== leader)
      .join(',');
    await leader.kill();
    const lostAt = performance.now();
    // Its channel first publishes before another node leads: the broker refuses all that follows on that channel.
    const { events } = messages.start(take, others);
    const all = await until(() => seen.size === 4, MOVES_AGAIN_MS);
    const movedMs = performance.now() - lostAt;
    await leader.start();
    const refused = events.filter((event) => event.kind === 'queue_failed' && event.doing === 'relay').length;
    assert.ok(all, `${seen.size} of 4, the relay failed ${refused} times`);
    t.diagnostic(
      `messages moved again ${(movedMs / 1000).toFixed(1)} s after the loss; the relay failed ${refused} times`,
    );
  });
});

async function leaderOf(rabbitmq: RunningRabbitmq, queue: string): Promise<RabbitmqNode> {
  const text = await rabbitmq.control(
    rabbitmq.nodes[0]!,
    'list_queues',
    'name',
    'leader',
    '--formatter',
    'json',
  );
  const found = (JSON.parse(text) as { name: string; leader: string }[]).find(({ name }) => name === queue);
  const leader = rabbitmq.nodes.find(({ name }) => erlangName(name) === found?.leader);
  assert.ok(leader, `a node leads ${queue}: ${text}`);
  return leader;
}
