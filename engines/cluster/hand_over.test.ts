/** The node that takes over from a primary with a full disk, and how often a hand-over may come. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { until } from '#engines/cluster/processes.ts';
import { createFastClock } from '#tests/fast_clock.ts';
import { fullVolume, handOverOf } from './hand_over.ts';
import type { Node } from './layout.ts';
import type { Member } from './patroni.ts';
import type { NodeSpace, Volume } from './space.ts';
import { superviseSpace } from './space_supervisor.ts';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

const space = (node: string, freeBytes: number, sizeBytes: number): NodeSpace => ({
  node,
  volumes: [{ holds: 'data and wal', path: `/${node}`, freeBytes, sizeBytes }],
  ballast: 'none',
});
const member = (name: string, role: Member['role'], lag?: number | 'unknown'): Member => ({
  name,
  role,
  state: 'running',
  timeline: 1,
  ...(lag !== undefined && { lag }),
});

test('only a healthy replica that has caught up, with 10 % and 1 GiB more free space, takes over', () => {
  let taken = 0;
  for (const size of [2 * GIB, 8 * GIB, 40 * GIB])
    for (const own of [0, 31 * MIB])
      for (const free of [0, GIB / 2, GIB, 2 * GIB, 3.9 * GIB, 4.1 * GIB, 39 * GIB].filter((b) => b <= size))
        for (const lag of [0, MIB, MIB + 1, 'unknown'] as const)
          for (const state of ['running', 'streaming', 'starting', 'stopped'])
            for (const timeline of [1, 2])
              for (const role of ['replica', 'sync_standby'] as const)
                for (const synchronous of [false, true]) {
                  const full = space('node1', own, size);
                  const found = [
                    { ...member('node1', 'leader'), timeline: 2 },
                    { ...member('node2', role, lag), state, timeline },
                  ];
                  const decided = handOverOf(full, [full, space('node2', free, size)], found, synchronous);
                  const isBetter = free - own >= GIB && (free - own) / size >= 0.1;
                  const isCurrent = typeof lag === 'number' && lag <= MIB && timeline === 2;
                  const isFit = isCurrent && (state === 'running' || state === 'streaming');
                  const isSafe = !synchronous || role === 'sync_standby';
                  assert.equal('to' in decided, isBetter && isFit && isSafe, JSON.stringify({ free, found }));
                  if ('to' in decided) taken++;
                }
  assert.ok(taken > 50, `${taken}`);
});

test('the replica with the most free space is chosen; if none is known, the primary stays', () => {
  const nodes = [
    space('node1', 0, 10 * GIB),
    space('node2', 4 * GIB, 10 * GIB),
    space('node3', 6 * GIB, 10 * GIB),
  ];
  const found = [member('node1', 'leader'), member('node2', 'replica', 0), member('node3', 'replica', 0)];
  assert.deepEqual(handOverOf(nodes[0]!, nodes, found, false), { to: 'node3' });
  const unknown = nodes.map((one) => (one.node === 'node1' ? one : { ...one, volumes: [] }));
  assert.ok('stays' in handOverOf(unknown[0]!, unknown, found, false));
});

test('of two file systems the one with less free space decides whether a node is full', () => {
  const volumes: Volume[] = [
    { holds: 'data', path: '/data', freeBytes: 10 * GIB, sizeBytes: 20 * GIB },
    { holds: 'wal', path: '/wal', freeBytes: 10 * MIB, sizeBytes: GIB },
  ];
  assert.equal(fullVolume({ node: 'node1', volumes, ballast: 'none' })?.path, '/wal');
  const roomy = volumes.map((one) => ({ ...one, freeBytes: 200 * MIB }));
  assert.equal(fullVolume({ node: 'node1', volumes: roomy, ballast: 'kept' }), undefined);
  assert.ok(fullVolume({ node: 'node1', volumes: roomy, ballast: 'released' }), 'it lives on its ballast');
});

const PACE = 400;
const BUSY_LIMIT_MS = 20_000;
const nodes: Node[] = ['node1', 'node2'].map((name) => {
  return { name, host: '127.0.0.1', port: 1, restPort: 1, folder: `/nowhere/${name}/pgdata` };
});

/** A tier of two nodes, with the given free space on their disks; their PostgreSQL runs where the test says so. */
function setUp(t: TestContext, free: Map<string, number>, dead = new Set<string>()) {
  const clock = createFastClock(PACE);
  const stopping = new AbortController();
  let leader = 'node1';
  const handOvers: { how: string; from: string; at: number }[] = [];
  const startedAt = clock.monotonic();
  const take = (how: string, from: string) => {
    handOvers.push({ how, from, at: clock.monotonic() - startedAt });
    leader = nodes.find(({ name }) => name !== from)!.name;
  };
  const supervisor = superviseSpace(
    {
      nodes,
      clock,
      volumesOf: async ({ name }) => space(name, free.get(name)!, 10 * GIB).volumes.slice(),
      members: async () =>
        nodes.map(({ name }) => {
          const state = dead.has(name) ? 'start failed' : 'running';
          return { ...member(name, name === leader ? 'leader' : 'replica', 0), state };
        }),
      isSynchronous: async () => false,
      isOwn: () => true,
      runs: ({ name }) => !dead.has(name),
      handOver: async (from) => take('in good order', from),
      giveUpLease: async (from) => take('lease', from),
      report: () => {},
    },
    stopping.signal,
  );
  const stop = async () => {
    stopping.abort();
    await supervisor.done;
  };
  // Also where the test fails: a supervisor that goes on would keep the test file from ending.
  t.after(stop);
  return { clock, handOvers, supervisor, stop };
}

test('a full primary hands over at once, and not again within ten minutes, even if the new primary is full', async (t) => {
  const free = new Map([
    ['node1', 0],
    ['node2', 5 * GIB],
  ]);
  const { handOvers, stop } = setUp(t, free);
  // A minute here is a sixth of a second; on a busy machine one look may take that long.
  await until(() => handOvers.length > 0, BUSY_LIMIT_MS);
  assert.deepEqual(
    handOvers.map(({ from }) => from),
    ['node1'],
  );
  free.set('node1', 5 * GIB).set('node2', 0);
  await until(() => handOvers.length > 1, BUSY_LIMIT_MS);
  await stop();
  assert.deepEqual(
    handOvers.map(({ from }) => from),
    ['node1', 'node2'],
  );
  assert.ok(handOvers[1]!.at - handOvers[0]!.at >= 600_000);
});

test('where all are full the primary stays, for ever', async (t) => {
  const { clock, handOvers, stop } = setUp(
    t,
    new Map([
      ['node1', 0],
      ['node2', 0],
    ]),
  );
  await clock.sleep(700_000);
  await stop();
  assert.deepEqual(handOvers, []);
});

test('a PostgreSQL that can not start without free space and ballast gives the lease up, but not to an equally full one', async (t) => {
  const free = new Map([
    ['node1', 0],
    ['node2', 0],
  ]);
  const { clock, handOvers, stop } = setUp(t, free, new Set(['node1']));
  await clock.sleep(120_000);
  assert.deepEqual(handOvers, []);
  free.set('node2', 5 * GIB);
  await until(() => handOvers.length > 0, BUSY_LIMIT_MS);
  await stop();
  assert.deepEqual(
    handOvers.map(({ how, from }) => `${from}: ${how}`),
    ['node1: lease'],
  );
});
