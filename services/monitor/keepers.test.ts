import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { createFakeClock } from '#platform/lifecycle/fake_clock.ts';
import { createKeepers, etcdKeeper, KEEPER_INTERVAL_MS, type Lease, leaseReader } from './keepers.ts';
import { keeperParts } from './topology_keepers.ts';

/** The state of the servers: `now.answers` is whether they answer, `now.lease` the lease. */
function keepersOf() {
  const clock = createFakeClock();
  const now: { answers: boolean | 'never'; lease: Lease | null | Error } = {
    answers: true,
    lease: { holder: 'node1', version: '1' },
  };
  let changes = 0;
  const keepers = createKeepers({
    sources: [
      {
        name: 'etcd1',
        kind: 'etcd',
        ask: (signal) =>
          now.answers === true
            ? Promise.resolve()
            : now.answers
              ? new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
              : Promise.reject(new Error('refused')),
      },
    ],
    readLease: async () => {
      if (now.lease instanceof Error) throw now.lease;
      return now.lease;
    },
    clock,
    onChange: () => changes++,
  });
  const stop = new AbortController();
  const running = keepers.run(stop.signal);
  /** Advances by seconds, with a read each 2 s; `each` runs before every read. */
  const pass = async (seconds: number, each = (_second: number) => {}) => {
    for (let s = 0; s < seconds; s += KEEPER_INTERVAL_MS / 1_000) {
      each(s);
      await clock.advance(KEEPER_INTERVAL_MS);
    }
  };
  const end = async () => {
    stop.abort();
    await clock.advance(KEEPER_INTERVAL_MS);
    await running;
    assert.equal(clock.pendingTimers, 0);
  };
  return { clock, now, keepers, pass, end, changes: () => changes };
}

for (const answers of [false, 'never'] as const)
  test(`one that ${answers ? 'hangs' : 'refuses'} is silent from its last answer on, and DOWN in the topology; then it is back`, async () => {
    const { now, keepers, pass, end, changes, clock } = keepersOf();
    assert.ok(Number.isNaN(keepers.readings()[0]!.silentS));
    await clock.flush();
    assert.equal(keepers.readings()[0]!.silentS, 0);
    now.answers = answers;
    await pass(12);
    const [reading] = keepers.readings();
    assert.ok(reading!.silentS >= 8 && reading!.silentS <= 14, String(reading!.silentS));
    assert.equal(keeperParts([reading!], undefined)[0]!.state, 'DOWN');
    assert.match(reading!.fault, answers ? /took longer than/ : /refused/);
    assert.equal(changes(), 1);
    now.answers = true;
    await pass(4);
    assert.deepEqual([keepers.readings()[0]!.silentS, changes()], [0, 2]);
    await end();
  });

test('the lease ages while it is not renewed, for any reason, and its age is 0 after each renewal and change of the holder', async () => {
  const { now, keepers, pass, end } = keepersOf();
  const age = () => keepers.lease()!.ageS;
  await pass(60, (second) => {
    if (second % 6 === 0) now.lease = { holder: 'node1', version: `v${second}` };
  });
  assert.ok(age() <= 8, String(age()));
  for (const lease of [{ holder: 'node1', version: 'same' }, null, new Error('no etcd')]) {
    now.lease = { holder: 'node1', version: 'same' };
    await pass(2);
    now.lease = lease;
    await pass(30);
    assert.ok(age() >= 30, String(age()));
    const [part] = keeperParts([], keepers.lease());
    assert.deepEqual([part!.state, part!.role], ['DOWN', 'lease']);
    assert.match(part!.detail, /held by node1, renewed 3\d s ago/);
    now.lease = { holder: 'node2', version: 'same' };
    await pass(2);
    assert.ok(age() <= 2, String(age()));
    assert.equal(keepers.lease()!.holder, 'node2');
  }
  await end();
});

test('before its first read the lease is unknown', () => {
  const { keepers } = keepersOf();
  assert.equal(keeperParts([], keepers.lease())[0]!.state, 'UNKNOWN');
});

test("etcd's answers: well, not well, a lease, none, and an answer of another program", async () => {
  let [status, text] = [200, '{"health":"true"}'];
  const server = createServer((_, answer) => answer.writeHead(status).end(text));
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  after(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { signal } = new AbortController();
  const read = leaseReader([url])!;
  await etcdKeeper('etcd1', url).ask(signal);
  text =
    '{"action":"get","node":{"key":"/service/trunkline/leader","value":"node2","ttl":16,"modifiedIndex":7}}';
  assert.deepEqual(await read(signal), { holder: 'node2', version: '7' });
  [status, text] = [404, '{"errorCode":100,"message":"Key not found","index":9}'];
  assert.equal(await read(signal), null);
  for (const [oddStatus, oddText] of [
    [404, '404 page not found'],
    [503, '{"health":"false"}'],
    [200, '{}'],
  ] as const) {
    [status, text] = [oddStatus, oddText];
    await assert.rejects(read(signal));
  }
  [status, text] = [503, '{"health":"false"}'];
  await assert.rejects(async () => etcdKeeper('etcd1', url).ask(signal), /etcd answers 503/);
  assert.equal(leaseReader([]), undefined);
});
