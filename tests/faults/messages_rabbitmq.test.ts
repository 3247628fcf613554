/** Messages through three nodes of RabbitMQ: consumers are killed and frozen, and so is the node that leads the queue. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { erlangName } from '#engines/broker_node.ts';
import { until } from '#engines/cluster/processes.ts';
import { noRabbitmq, type RabbitmqNode, type RunningRabbitmq } from '#engines/rabbitmq.ts';
import { consumersOf, messagingFaults, upTo } from '#tests/conformance/messaging_faults.ts';
import { jobsOf, numbered, testMessages } from '#tests/messages.ts';
import { testRabbitmq } from '#tests/rabbitmq.ts';

/** The relay moves again so long after a loss of the leader. */
const MOVES_AGAIN_MS = 60_000;
const LOSSES_END_MS = 90_000;

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
