import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_PROBES } from '#platform/resilience/circuit_breaker.ts';
import { chooseReplica, type Replica } from './database.ts';

interface Fake {
  lagS?: number | null;
  circuit?: 'CLOSED' | 'OPEN' | 'HALF_OPEN' | 'HELD_OPEN';
  probes?: number;
  healthy?: boolean;
}

/** A replica as far as choosing looks at it. */
function replica({ lagS = 0, circuit = 'CLOSED', probes = 0, healthy = true }: Fake = {}): Replica {
  const server = {
    guard: { breaker: { state: { name: circuit, probes } } },
    monitor: { status: { healthy } },
  };
  return { server, lagS } as unknown as Replica;
}

/** Which of them six requests in a row go to. */
function chosen(...fakes: [Fake, ...Fake[]]): number[] {
  const replicas = fakes.map(replica) as [Replica, ...Replica[]];
  const all = Array.from({ length: 6 }, (_, turn) => replicas.indexOf(chooseReplica(replicas, 30, turn)));
  return [...new Set(all)].sort();
}

test('all that are fresh take turns', () => {
  assert.deepEqual(chosen({ lagS: 0 }, { lagS: 3 }, { lagS: 30 }), [0, 1, 2]);
});

test('one too far behind, or of unknown lag, is left out while another is fresh', () => {
  assert.deepEqual(chosen({ lagS: 0 }, { lagS: 31 }, { lagS: null }), [0]);
});

test('where none is fresh the least behind serves', () => {
  assert.deepEqual(chosen({ lagS: 50 }, { lagS: 40 }, { lagS: null }), [1]);
  assert.deepEqual(chosen({ lagS: null }, { lagS: null }), [0, 1]);
});

test('one whose breaker lets nothing through is left out while another works, however far that is behind', () => {
  for (const circuit of ['OPEN', 'HELD_OPEN'] as const) {
    assert.deepEqual(chosen({ circuit }, { lagS: 3_600 }), [1]);
  }
  assert.deepEqual(chosen({ circuit: 'OPEN' }, { circuit: 'OPEN' }), [0, 1], 'requests wait somewhere');
});

test('one that is half open gets requests to find out by, as many as it may, if its health check passes', () => {
  assert.deepEqual(chosen({ circuit: 'HALF_OPEN' }, {}), [0, 1]);
  assert.deepEqual(chosen({ circuit: 'HALF_OPEN', probes: MAX_PROBES }, {}), [1]);
  assert.deepEqual(chosen({ circuit: 'HALF_OPEN', healthy: false }, {}), [1]);
});

test('a lag that grows while it is looked at leaves nobody out of the choice', () => {
  let lagS = 100;
  const growing = Object.defineProperty(replica(), 'lagS', { get: () => lagS++ });
  assert.equal(chooseReplica([growing], 30, 0), growing);
});
