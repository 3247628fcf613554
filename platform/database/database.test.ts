import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '#platform/lifecycle/fake_clock.ts';
import { MAX_PROBES } from '#platform/resilience/circuit_breaker.ts';
import { createHeavyWork } from '#platform/resilience/heavy_work.ts';
import { RETRY_BASE_MS, RETRY_BUDGET_BURST } from '#platform/resilience/retry.ts';
import { chooseReplica, createDatabase, type Replica, type RequestContext } from './database.ts';
import type { GuardedServer } from './guarded_server.ts';

interface Fake {
  lagS?: number | null;
  circuit?: 'CLOSED' | 'OPEN' | 'HALF_OPEN' | 'HELD_OPEN';
  probes?: number;
  healthy?: boolean;
}

/** A replica as far as choosing looks at it. */
function replica({ lagS = 0, circuit = 'CLOSED', probes = 0, healthy = true }: Fake = {}): Replica {
  const server = {
    breaker: { state: { name: circuit, probes } },
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

test('the one to be kept from is taken only where it is the only good one', () => {
  const [first, second, late] = [replica(), replica(), replica({ lagS: 3_600 })];
  const without = (...of: [Replica, ...Replica[]]) =>
    new Set([0, 1, 2, 3].map((turn) => chooseReplica(of, 30, turn, first.server)));
  assert.deepEqual(without(first, second), new Set([second]));
  assert.deepEqual(without(first, late), new Set([first]));
});

const lostConnection = () => Object.assign(new Error('gone'), { code: '57P01' });

/** A database whose servers do what a test says: each read goes to `answer` with the server's name. */
function database(
  names: readonly string[],
  answer: (server: string, proven: boolean) => Promise<string>,
  poolSize = 1,
) {
  const clock = createFakeClock();
  const asked: string[] = [];
  const retried: string[] = [];
  const server = (name: string) =>
    ({
      name,
      breaker: { state: { name: 'CLOSED' }, onChange: () => () => {} },
      run: async (_context: RequestContext, _work: unknown, proven = false) => {
        asked.push(`${name}${proven ? ' proven' : ''}`);
        return answer(name, proven);
      },
    }) as unknown as GuardedServer;
  const { read } = createDatabase({
    heavyWork: createHeavyWork({ slots: 1, clock }),
    primary: server('primary'),
    replicas: names.map((name) => ({ server: server(name), lagS: 0 })),
    maxReplicaLagS: 30,
    poolSize,
    clock,
    random: () => 0.5,
    onRetry: (name) => retried.push(name),
  });
  const context = (timeoutMs = 30_000): RequestContext => {
    const { signal } = new AbortController();
    return { priority: 'customer', tenant: 'a', deadline: clock.monotonic() + timeoutMs, signal };
  };
  /** Reads, and lets the time of a retry's pause go by. */
  const settled = async (timeoutMs?: number) => {
    const reading = read(context(timeoutMs), async () => '').then(
      (value) => value,
      (error) => error.message as string,
    );
    await clock.advance(RETRY_BASE_MS);
    return reading;
  };
  return { asked, retried, settled };
}

test('a read whose connection is lost is done once more, on another replica, on a connection that answers', async () => {
  const { asked, retried, settled } = database(['one', 'two'], async (_, proven) => {
    if (!proven) throw lostConnection();
    return 'read';
  });
  assert.equal(await settled(), 'read');
  assert.deepEqual(asked, ['one', 'two proven']);
  assert.deepEqual(retried, ['one']);
});

test('not a third time; and a lone server is asked twice itself', async () => {
  const { asked, settled } = database([], () => Promise.reject(lostConnection()));
  assert.equal(await settled(), 'gone');
  assert.deepEqual(asked, ['primary', 'primary proven']);
});

test('what failed otherwise is not done again', async () => {
  for (const code of ['53300', '25006', '57014', '42703']) {
    const failure = Object.assign(new Error('no'), { code });
    const { asked, retried, settled } = database(['one', 'two'], () => Promise.reject(failure));
    assert.equal(await settled(), 'no');
    assert.deepEqual([asked, retried], [['one'], []]);
  }
});

test('no second attempt begins after the deadline', async () => {
  const { asked, settled } = database(['one', 'two'], () => Promise.reject(lostConnection()));
  assert.equal(await settled(RETRY_BASE_MS / 2), 'gone');
  assert.deepEqual(asked, ['one']);
});

test('while all connections are lost, second attempts are few: as many as ran at once, then one in ten', async () => {
  for (const poolSize of [1, 2 * RETRY_BUDGET_BURST]) {
    const { asked, retried, settled } = database(['one'], () => Promise.reject(lostConnection()), poolSize);
    for (let n = 0; n < 100; n++) await settled();
    const atOnce = Math.max(RETRY_BUDGET_BURST, poolSize);
    assert.equal(asked.length, 100 + retried.length);
    assert.ok(retried.length >= atOnce && retried.length <= atOnce + 10, `${retried.length} retries`);
  }
});
