import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BOUNCER_CLIENTS } from './configuration.ts';
import { isUp, parseStatistics } from './haproxy.ts';
import { doorDoubts, type PartStatus, weaknesses } from './status.ts';

const part = (name: string, role: string, more: Partial<PartStatus> = {}): PartStatus => {
  return {
    name,
    role,
    state: 'up',
    detail: '',
    lagBytes: null,
    connections: 0,
    pid: 1,
    restarts: 0,
    ...more,
  };
};

const whole: PartStatus[] = [
  part('haproxy1', 'door'),
  part('haproxy2', 'door'),
  ...['pgb1', 'pgb2', 'pgb3'].map((name) => part(name, 'bouncer to the primary', { connections: 4_000 })),
  ...['pgr1', 'pgr2'].map((name) => part(name, 'bouncer to the replicas')),
  part('node1', 'primary'),
  part('node2', 'replica', { lagBytes: 0 }),
  part('node3', 'replica', { lagBytes: 0 }),
  part('etcd', 'lease'),
];
const but = (name: string, more: Partial<PartStatus>) =>
  whole.map((p) => (p.name === name ? { ...p, ...more } : p));

test('a whole tier can lose any part, with 12,000 clients', () => {
  assert.deepEqual(weaknesses(whole, false), []);
});

test('each part that is down is named as a reason', () => {
  for (const { name } of whole) {
    assert.ok(
      weaknesses(but(name, { state: 'down' }), false).some((text) => text.startsWith(name)),
      name,
    );
  }
});

test('a part that has not answered in time is named, and counts neither as up nor as down', () => {
  for (const { name } of whole) {
    const late = but(name, { state: 'no answer', detail: 'did not answer in time', connections: null });
    const said = weaknesses(late, false).filter((text) => !/near enough/.test(text));
    assert.deepEqual(said, [`${name} did not answer in time`]);
  }
});

test('a part that is in place but could not carry the others counts as a weakness', () => {
  assert.match(
    weaknesses(
      whole.filter((p) => p.name !== 'haproxy2'),
      false,
    ).join(),
    /one HAProxy process/,
  );
  const crowded = whole.map((p) =>
    p.role === 'bouncer to the primary' ? { ...p, connections: Math.ceil((BOUNCER_CLIENTS * 2) / 3) + 1 } : p,
  );
  assert.match(weaknesses(crowded, false).join(), /clients are more than 2/);
  const behind = whole.map((p) => (p.role === 'replica' ? { ...p, lagBytes: 2_000_000 } : p));
  assert.match(weaknesses(behind, false).join(), /no replica is near enough/);
  assert.deepEqual(weaknesses(but('node2', { lagBytes: 2_000_000 }), false), []);
  const confirmed = behind.map((p) => (p.name === 'node3' ? { ...p, role: 'sync standby' } : p));
  assert.deepEqual(weaknesses(confirmed, true), []);
  assert.match(weaknesses(whole, true).join(), /no replica confirms commits/);
});

test('a door that leads bouncers to no primary, or to no replica, is in doubt', () => {
  const rows = (leader: string, replica: string) =>
    parseStatistics(
      `# pxname,svname,status,\nleader,node1,${leader},\nleader,FRONTEND,OPEN,\nleader,BACKEND,UP,\n` +
        `replicas,node1,DOWN,\nreplicas,node2,${replica},\nreplicas,BACKEND,UP,\n`,
    );
  assert.deepEqual(doorDoubts(rows('UP', 'UP')), []);
  assert.deepEqual(doorDoubts(rows('DOWN', 'UP')), ['leads to no primary']);
  assert.deepEqual(doorDoubts(rows('UP', 'DRAIN')), ['leads to no replica']);
});

test("HAProxy's CSV is read by the names of its columns", () => {
  const csv =
    '# pxname,svname,qcur,scur,econ,status,chkfail,chkdown,lastchg,check_status,\n' +
    'bouncers,pgb1,0,17,2,UP 1/3,5,1,42,* L7TOUT,\nbouncers,BACKEND,0,17,2,UP,,1,42,,\n\n';
  const [server, sum] = parseStatistics(csv);
  assert.deepEqual(server, {
    proxy: 'bouncers',
    server: 'pgb1',
    status: 'UP 1/3',
    sessions: 17,
    checksFailed: 5,
    timesDown: 1,
    lastChangeS: 42,
    check: '* L7TOUT',
    connectErrors: 2,
  });
  assert.equal(sum?.checksFailed, 0);
  assert.deepEqual(
    ['UP', 'UP 1/3', 'DOWN', 'DOWN 1/2', 'DRAIN', 'MAINT'].map((status) => isUp({ ...server!, status })),
    [true, true, false, false, false, false],
  );
});
