/** Queues and relays in the topology, from the figures of services. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sample } from './samples.ts';
import type { ServiceReading } from './service_reader.ts';
import { queueParts, relayEdges, relayParts } from './topology_queues.ts';

const service = (name: string, relayStalledS?: number): ServiceReading => ({
  ...{ source: { name, url: '' }, up: true, ready: true, fault: '' },
  samples: [
    sample('messages_waiting', { queue: 'usage', state: 'ready' }, 12),
    sample('messages_waiting', { queue: 'usage', state: 'delayed' }, 400),
    sample('messages_oldest_ready_seconds', { queue: 'usage' }, 7.4),
    sample('messages_dead_letters', { queue: 'usage', cause: 'expired' }, 2),
    sample('messages_dead_letters', { queue: 'usage', cause: 'broken' }, 1),
    sample('messages_waiting', { queue: 'bills', state: 'ready' }, 0),
    sample('messages_queue_paused', { queue: 'bills' }, 1),
    ...(relayStalledS === undefined ? [] : [sample('messages_relay_stalled_seconds', {}, relayStalledS)]),
  ],
});

test('a queue is one part, however many services show it', () => {
  const parts = queueParts([service('calls'), service('orders')]);
  assert.deepEqual(
    parts.map(({ id, state, detail }) => [id, state, detail]),
    [
      ['queue:usage', 'UP', '12 ready, the oldest for 7 s; 3 dead letters'],
      ['queue:bills', 'MAINT', 'nothing is ready'],
    ],
  );
});

test('a relay stands between its service and the nodes of RabbitMQ, and is DOWN when it moves nothing', () => {
  assert.deepEqual(relayParts([service('calls')]), []);
  const states = [2, 31].map((stalledS) => relayParts([service('calls', stalledS)])[0]!.state);
  assert.deepEqual(states, ['UP', 'DOWN']);
  const edges = relayEdges([service('calls', 2)], ['rabbitmq1', 'rabbitmq2']);
  assert.deepEqual(
    edges.map(({ from, to }) => [from, to]),
    [
      ['calls', 'calls:relay'],
      ['calls:relay', 'rabbitmq1'],
      ['calls:relay', 'rabbitmq2'],
    ],
  );
});
