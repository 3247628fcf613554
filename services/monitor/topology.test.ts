import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseStats } from './haproxy_csv.ts';
import type { HaproxyReading } from './haproxy_reader.ts';
import { sample } from './samples.ts';
import type { ServiceReading } from './service_reader.ts';
import { createTopology } from './topology.ts';

const HEAD = '# pxname,svname,scur,rate,econ,eresp,status,lastchg,check_status,';
const door = (name: string, lines: string[] | undefined): HaproxyReading => ({
  source: { name, pageUrl: undefined, socket: undefined },
  rows: lines && parseStats([HEAD, ...lines].join('\n')),
  pageAnswered: lines !== undefined,
  fault: lines ? '' : 'connection refused',
});
const LINES = [
  'writes,FRONTEND,7,0,,,OPEN,,,',
  'bouncers,pgb1,4,2,10,0,UP,500,L7OK,',
  'bouncers,pgb2,0,0,0,0,DOWN,30,L4CON,',
  'leader,node1,4,0,0,0,UP,500,L7OK,',
  'leader,node2,0,0,0,0,DOWN,500,L7STS,',
  'replicas,node1,0,0,0,0,DOWN,500,L7STS,',
  'replicas,node2,3,0,0,0,UP,500,L7OK,',
];
const calls = (done: number, failed: number): ServiceReading => ({
  source: { name: 'calls', url: 'http://127.0.0.1' },
  up: true,
  ready: true,
  samples: [
    sample('database_healthy', { server: 'primary' }, 1),
    sample('request_queue_running', { server: 'primary' }, 3),
    sample('database_work_seconds_count', { server: 'primary', outcome: 'success' }, done),
    sample('database_work_seconds_count', { server: 'primary', outcome: 'failure' }, failed),
  ],
  fault: '',
});
const stamp = (steady: number) => new Date(steady).toISOString();
/** Disks are unknown. */
const NO_DISKS = { disks: [], fullInS: new Map<string, number>(), keepers: [], lease: undefined };
const START = Date.UTC(2026, 0, 1);

test('roles, states and their beginning; a node is one part, with the role that it serves', () => {
  const picture = createTopology();
  const { parts } = picture.update({
    haproxies: [door('h1', LINES)],
    services: [],
    ...NO_DISKS,
    now: START,
    stamp,
  });
  assert.deepEqual(
    parts.map(({ id, role, state, connections }) => [id, role, state, connections]),
    [
      ['monitor', 'monitor', 'UP', null],
      ['h1', 'haproxy', 'UP', 7],
      ['bouncers/pgb1', 'bouncer', 'UP', 4],
      ['bouncers/pgb2', 'bouncer', 'DOWN', 0],
      ['node1', 'primary', 'UP', 4],
      ['node2', 'replica', 'UP', 3],
      ['disk/node1', 'disk', 'UNKNOWN', null],
      ['disk/node2', 'disk', 'UNKNOWN', null],
    ],
  );
  assert.equal(parts.find(({ id }) => id === 'bouncers/pgb2')?.since, stamp(START - 30_000));
  const later = picture.update({
    haproxies: [
      door(
        'h1',
        LINES.map((line) => line.replace('DOWN,30,L4CON', 'UP,1,L7OK')),
      ),
    ],
    services: [],
    ...NO_DISKS,
    now: START + 10_000,
    stamp,
  });
  assert.equal(later.parts.find(({ id }) => id === 'bouncers/pgb2')?.since, stamp(START + 10_000));
});

test('while no HAProxy answers, the parts behind it are unknown', () => {
  const picture = createTopology();
  picture.update({ haproxies: [door('h1', LINES)], services: [], ...NO_DISKS, now: START, stamp });
  const { parts } = picture.update({
    haproxies: [door('h1', undefined)],
    services: [],
    ...NO_DISKS,
    now: START + 1,
    stamp,
  });
  assert.deepEqual(
    parts.map(({ state }) => state),
    ['UP', 'DOWN', ...Array<string>(6).fill('UNKNOWN')],
  );
});

test('edges: rates and errors since the last poll; null if they are not counted', () => {
  const picture = createTopology();
  const more = LINES.map((line) => line.replace('pgb1,4,2,10', 'pgb1,4,2,30'));
  picture.update({
    haproxies: [door('h1', LINES)],
    services: [calls(100, 0)],
    ...NO_DISKS,
    now: START,
    stamp,
  });
  const one = picture.update({
    haproxies: [door('h1', more)],
    services: [calls(150, 5)],
    ...NO_DISKS,
    now: START + 10_000,
    stamp,
  });
  const edge = (from: string, to: string) => {
    const found = one.edges.find((e) => e.from === from && e.to === to);
    return [found?.rate_per_s, found?.errors_per_s, found?.connections];
  };
  assert.deepEqual(edge('h1', 'bouncers/pgb1'), [2, 2, 4]);
  assert.deepEqual(edge('calls', 'h1'), [5.5, 0.5, 3]);
  const two = picture.update({
    haproxies: [door('h1', more), door('h2', more)],
    services: [calls(150, 5)],
    ...NO_DISKS,
    now: START + 20_000,
    stamp,
  });
  assert.deepEqual(
    two.edges.filter(({ from }) => from === 'calls').map(({ to, rate_per_s }) => [to, rate_per_s]),
    [
      ['h1', null],
      ['h2', null],
    ],
  );
});

test('without HAProxy, databases are shown as services see them', () => {
  const { parts, edges } = createTopology().update({
    haproxies: [],
    services: [calls(1, 0)],
    ...NO_DISKS,
    now: START,
    stamp,
  });
  assert.deepEqual(
    parts.slice(1).map(({ id, role, state }) => [id, role, state]),
    [
      ['calls', 'service', 'UP'],
      ['calls:primary', 'primary', 'UP'],
      ['disk/primary', 'disk', 'UNKNOWN'],
    ],
  );
  assert.ok(edges.some(({ from, to }) => from === 'calls' && to === 'calls:primary'));
});

/** A service that follows a source, by its figures. */
const follows = (state: string, behind: number, silentS: number | null, rows: number): ServiceReading => ({
  ...calls(1, 0),
  samples: [
    ...['following', 'waiting', 'failing', 'left'].map((one) =>
      sample('followed_source_state', { source: '/srv/drop', state: one }, Number(one === state)),
    ),
    sample('followed_source_bytes_behind', { source: '/srv/drop' }, behind),
    sample('followed_source_rows', { source: '/srv/drop' }, rows),
    ...(silentS === null
      ? []
      : [sample('followed_source_silence_seconds', { source: '/srv/drop' }, silentS)]),
  ],
});

test('each followed source is a part, with its state, its lag and the time of its last row', () => {
  for (const [state, shown] of [
    ['following', 'UP'],
    ['waiting', 'NOT_READY'],
    ['failing', 'DOWN'],
    ['left', 'UNKNOWN'],
    // A state of a later version.
    ['resting', 'UNKNOWN'],
  ] as const) {
    const service = follows(state, 120, 7.4, 3);
    if (state === 'resting')
      (service.samples as unknown[]).push(sample('followed_source_state', { source: '/srv/drop', state }, 1));
    const { parts } = createTopology().update({
      haproxies: [],
      services: [service],
      ...NO_DISKS,
      now: START,
      stamp,
    });
    assert.deepEqual(
      parts
        .filter(({ role }) => role === 'source')
        .map(({ id, name, state: is, detail }) => [id, name, is, detail]),
      [['calls:/srv/drop', '/srv/drop', shown, `${state}, 120 bytes behind, last row 7 s ago`]],
    );
  }
  const quiet = createTopology().update({
    ...{ haproxies: [], services: [follows('waiting', 0, null, 0)], ...NO_DISKS, now: START, stamp },
  });
  assert.match(
    quiet.parts.find(({ role }) => role === 'source')!.detail,
    /waiting, 0 bytes behind, no row yet/,
  );
});

test('an edge leads from a source to its service, with the rows since the last poll', () => {
  const picture = createTopology();
  const update = (rows: number, now: number) =>
    picture
      .update({ haproxies: [], services: [follows('following', 0, 1, rows)], ...NO_DISKS, now, stamp })
      .edges.find(({ via }) => via === 'rows')!;
  const first = update(100, START);
  assert.deepEqual([first.from, first.to, first.rate_per_s], ['calls:/srv/drop', 'calls', null]);
  assert.equal(update(350, START + 10_000).rate_per_s, 25);
});

test('Redis is a part, with an edge from each service that uses it; without a monitor that asks it there is neither', () => {
  const service = (name: string, store: string, done: number, failed: number): ServiceReading => ({
    ...{ source: { name, url: 'http://127.0.0.1' }, up: true, ready: true, fault: '' },
    samples: [
      sample('cache_up', { store }, 1),
      sample('cache_requests_total', { operation: 'get', outcome: 'hit' }, done),
      sample('cache_requests_total', { operation: 'get', outcome: 'failed' }, failed),
    ],
  });
  const keepers = [{ name: 'redis', kind: 'redis' as const, silentS: 6, fault: 'refused' }];
  const pictureOf = (given: Pick<typeof NO_DISKS, 'keepers'> | { keepers: typeof keepers }) => {
    const picture = createTopology();
    const at = (seconds: number, done: number, failed: number) =>
      picture.update({
        ...{ haproxies: [], ...NO_DISKS, ...given, now: START + seconds * 1_000, stamp },
        services: [service('calls', 'redis', done, failed), service('orders', 'process', 5, 0)],
      });
    at(0, 100, 0);
    return at(10, 150, 10);
  };
  const { parts, edges } = pictureOf({ keepers });
  const redis = parts.find(({ id }) => id === 'redis');
  assert.deepEqual([redis?.role, redis?.state, redis?.detail], ['redis', 'DOWN', 'refused']);
  assert.deepEqual(
    edges
      .filter(({ to }) => to === 'redis')
      .map(({ from, via, rate_per_s, errors_per_s }) => [from, via, rate_per_s, errors_per_s]),
    [
      ['monitor', 'health', null, null],
      ['calls', 'cache', 6, 1],
    ],
  );
  const none = pictureOf({ keepers: [] });
  assert.ok(![...none.parts.map(({ id }) => id), ...none.edges.map(({ to }) => to)].includes('redis'));
});
