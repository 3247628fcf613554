/** The figures that the monitor's rules read are figures that a real service has, under those names and labels. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createMetricsParser } from '#services/monitor/exposition.ts';
import { labelsOf, metricsOf } from '#services/monitor/measure.ts';
import { RULES } from '#services/monitor/rules.ts';
import { testApi } from '#tests/calls_api.ts';
import { testDatabase } from '#tests/postgres.ts';

const database = await testDatabase();
// A source that another process follows, for longer than a week.
await database.pool.query(
  `INSERT INTO calls.followed_sources (machine, path, time_zone, holder, held_until, state, first_row_at, last_row_at)
   VALUES ('m', '/var/log/Master.csv', 'UTC', 'host 1 2 3 4', now() + interval '1 hour', 'following',
           now() - interval '8 days', now())`,
);
// A queue with a dead letter.
await database.pool.query(
  `INSERT INTO messaging.dead_letters (queue, cause, died_at, id, topic, version, priority, attempt, published_at, body)
   VALUES ('bills', 'expired', now(), gen_random_uuid(), 'bills', 1, 0, 1, now(), '{}')`,
);
const api = await testApi({}, { database });

/** Told by what asks, not by the service. */
const ADDED_LABELS = ['service'];

test('each figure of a rule about services is in /metrics of the calls service, with the labels of the rule', async () => {
  const rules = RULES.filter(({ source }) => source === 'service');
  const wanted = new Set(rules.flatMap(({ measure }) => metricsOf(measure)));
  await api.get('/cdrs?i_account=1', await api.key('operator'));
  // A switch with a record that is set aside, and then with a wrong key.
  await api.post([{ account: 'nobody' }], await api.key('ingest'), '/cdrs?source=pbx1');
  await api.post([], 'tl_wrong', '/cdrs?source=pbx1');
  let { text } = await api.get('/metrics', null);
  // Sources and queues are asked for beside the start, and once in a while.
  const awaited = [
    ...['followed_source_state', 'source_set_aside_recent', 'source_refused_recent'],
    'messages_dead_letters_recent',
  ];
  for (let tries = 0; tries < 200 && !awaited.every((name) => text.includes(`${name}{`)); tries++) {
    await sleep(50);
    ({ text } = await api.get('/metrics', null));
  }
  const samples = createMetricsParser(wanted, {})(text);
  for (const { name, measure } of rules) {
    // The embedded database has no replica, and its messages take no way through RabbitMQ.
    if (['ReplicaLag', 'RelayStalled'].includes(name)) continue;
    for (const metric of metricsOf(measure)) {
      const found = samples.filter((sample) => sample.name === metric);
      assert.ok(found.length > 0, `${name}: no ${metric}`);
      for (const label of labelsOf(measure).filter((one) => !ADDED_LABELS.includes(one)))
        assert.ok(
          found.every((sample) => label in sample.labels),
          `${name}: ${metric} has no ${label}`,
        );
    }
  }
  const states = samples.filter(({ name }) => name === 'circuit_breaker_state');
  assert.deepEqual(
    new Set(states.map(({ labels }) => labels.state)),
    new Set(['CLOSED', 'OPEN', 'HALF_OPEN', 'HELD_OPEN']),
  );
  const requests = samples.filter(({ name }) => name === 'http_request_duration_seconds_count');
  assert.ok(requests.some(({ labels }) => labels.route === '/cdrs' && labels.status !== undefined));
});
