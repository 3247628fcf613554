/** The figures of queues, from a database, as Prometheus reads them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { createRegistry } from '#platform/telemetry/metrics.ts';
import { jobsOf, numbered, testMessages } from '#tests/messages.ts';
import { createQueueFigures } from './figures.ts';

const messages = await testMessages();
const never = new AbortController().signal;

test('what waits, what is dead, what was published and handled, by queue', async () => {
  await messages.publish(numbered(jobsOf('bills'), 3));
  const later = { notBefore: new Date(Date.now() + 3_600_000) };
  await messages.publish(numbered(jobsOf('bills'), 2, later));
  await messages.pool.query(
    `INSERT INTO messaging.dead_letters (queue, cause, died_at, id, topic, version, priority, attempt, published_at, body)
     SELECT 'bills', cause, now() - age, gen_random_uuid(), 'bills', 1, 0, 1, now(), '{}'
     FROM (VALUES ('expired', interval '11 minutes'), ('broken', interval '1 minute'), ('broken', interval '0')) AS dead (cause, age)`,
  );
  await messages.pool.query(`INSERT INTO messaging.queues VALUES ('bills', now(), 'Ann')`);
  const registry = createRegistry('calls');
  const figures = createQueueFigures({ registry, pool: messages.pool, clock: systemClock });
  await figures.job.runOnce(never);
  figures.onPublished(['bills', 'bills']);
  figures.onEvent('bills', { kind: 'ended', outcome: 'retried' });
  figures.onEvent('bills', { kind: 'fenced', messages: 4 });
  figures.watch({ relayStalledS: null });
  figures.watch({ relayStalledS: 3 });
  figures.watch({ relayStalledS: 8 });
  const text = (await registry.metrics())
    .replaceAll(',service="calls"', '')
    .replaceAll('{service="calls"}', '');
  for (const line of [
    'messages_waiting{queue="bills",state="ready"} 3',
    'messages_waiting{queue="bills",state="delayed"} 2',
    'messages_queue_paused{queue="bills"} 1',
    'messages_queue_consumers{queue="bills"} 0',
    'messages_dead_letters{queue="bills",cause="expired"} 1',
    'messages_dead_letters{queue="bills",cause="broken"} 2',
    'messages_dead_letters_recent{queue="bills",cause="broken"} 2',
    'messages_dead_letters_recent{queue="bills",cause="expired"} 0',
    'messages_published_total{topic="bills"} 2',
    'messages_ended_total{queue="bills",outcome="retried"} 1',
    'messages_fenced_total{queue="bills"} 4',
    'messages_relay_stalled_seconds 8',
  ])
    assert.ok(text.includes(`${line}\n`), `${line}\n${text.match(/^messages.*$/gm)?.join('\n')}`);
  const [, age] = /messages_oldest_ready_seconds\{queue="bills"\} (\S+)/.exec(text)!;
  assert.ok(Number(age) >= 0 && Number(age) < 60, age);
});

test('a count that took long is followed by a rest of 99 times that', async () => {
  let aheadMs = 0;
  let counts = 0;
  const clock = { ...systemClock, monotonic: () => aheadMs };
  const pool = new Proxy(messages.pool, {
    get: (target, name) => {
      if (name === 'connect') {
        counts++;
        aheadMs += 1_000;
      }
      const value = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const { job } = createQueueFigures({ registry: createRegistry('calls'), pool, clock });
  await job.runOnce(never);
  aheadMs += 98_000;
  await job.runOnce(never);
  assert.equal(counts, 1);
  aheadMs += 1_000;
  await job.runOnce(never);
  assert.equal(counts, 2);
});
