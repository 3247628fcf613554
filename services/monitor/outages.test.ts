import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type StatsRow, stateOf } from './haproxy_csv.ts';
import { compareLeaders, compareViews as compareServers, emptyOutageBook } from './outages.ts';

const row = (server: string, more: Partial<StatsRow> = {}): StatsRow => ({
  proxy: 'bouncers',
  server,
  status: 'UP',
  sessions: 0,
  limit: null,
  sessionsTotal: 0,
  sessionRate: 0,
  errors: 0,
  retries: 0,
  redispatches: 0,
  timesDown: 0,
  lastChangeS: 1_000,
  downtimeS: 0,
  check: 'L7OK',
  checkWords: '',
  ...more,
});
const door = (sessionsTotal: number) => row('FRONTEND', { proxy: 'writes', sessionsTotal });
const NONE = new Set<string>();
const NOW = 1_000_000_000;
/** Compares as the monitor does while writes are served; returns what is reported. */
const compareViews = (...asked: Parameters<typeof compareServers>) => {
  const [book, views] = asked;
  const happenings = compareServers(...asked);
  const led = compareLeaders(book, views);
  return [...happenings, ...(led ? [led] : [])].map((happening) => {
    if (happening.kind !== 'short_outage') return happening;
    const { kind, proxy, server, span } = happening;
    return { kind, proxy, server, times: span.times, seconds: span.downMs / 1_000 };
  });
};

test('a server that was DOWN between two polls is found by its counter, with the length of the outage', () => {
  const book = emptyOutageBook();
  compareViews(book, [{ haproxy: 'h1', rows: [row('pgb2', { timesDown: 4, downtimeS: 100 })] }], NOW, NONE);
  const after = row('pgb2', { timesDown: 5, downtimeS: 103, lastChangeS: 2 });
  const found = compareViews(book, [{ haproxy: 'h1', rows: [after] }], NOW + 10_000, NONE);
  assert.deepEqual(found, [
    { kind: 'short_outage', proxy: 'bouncers', server: 'pgb2', times: 1, seconds: 3 },
  ]);
  assert.deepEqual(compareViews(book, [{ haproxy: 'h1', rows: [after] }], NOW + 20_000, NONE), []);
});

test('a replica that was DOWN between two polls is found; a node that led, or began to lead, does not count', () => {
  const nodes = (leader: string, timesDown: Record<string, number>) => ({
    haproxy: 'h1',
    rows: ['node1', 'node2', 'node3'].flatMap((node) => [
      row(node, { proxy: 'leader', status: node === leader ? 'UP' : 'DOWN' }),
      row(node, {
        proxy: 'replicas',
        status: node === leader ? 'DOWN' : 'UP',
        timesDown: timesDown[node] ?? 0,
        downtimeS: 3 * (timesDown[node] ?? 0),
        lastChangeS: 2,
      }),
    ]),
  });
  const book = emptyOutageBook();
  compareViews(book, [nodes('node1', { node1: 1 })], NOW, NONE);
  assert.deepEqual(compareViews(book, [nodes('node1', { node1: 2, node2: 1 })], NOW + 10_000, NONE), [
    { kind: 'short_outage', proxy: 'replicas', server: 'node2', times: 1, seconds: 3 },
  ]);
  const led = compareViews(book, [nodes('node3', { node1: 2, node2: 1, node3: 1 })], NOW + 20_000, NONE);
  assert.deepEqual(led, [{ kind: 'leader_changed', from: 'node1', to: 'node3' }]);
});

test('a replica that a poll found DOWN, but that was UP again before its alert began, is reported', () => {
  const book = emptyOutageBook();
  const nodes = (node2: Partial<StatsRow>) => [
    {
      haproxy: 'h1',
      rows: [row('node1', { proxy: 'leader' }), row('node2', { proxy: 'replicas', ...node2 })],
    },
  ];
  compareViews(book, nodes({}), NOW, NONE);
  const down = nodes({ status: 'DOWN', timesDown: 1, lastChangeS: 1 });
  assert.deepEqual(compareViews(book, down, NOW + 10_000, NONE), []);
  const back = nodes({ timesDown: 1, downtimeS: 4, lastChangeS: 7 });
  assert.deepEqual(compareViews(book, back, NOW + 20_000, NONE), [
    { kind: 'short_outage', proxy: 'replicas', server: 'node2', times: 1, seconds: 4 },
  ]);
  assert.deepEqual(compareViews(book, back, NOW + 30_000, NONE), []);
});

test('two HAProxy processes that see one outage, in one poll or in two, make one notice', () => {
  const book = emptyOutageBook();
  const view = (haproxy: string, timesDown: number, lastChangeS: number) => {
    return { haproxy, rows: [row('pgb2', { timesDown, lastChangeS, downtimeS: timesDown * 2 })] };
  };
  compareViews(book, [view('h1', 0, 99), view('h2', 0, 99)], NOW, NONE);
  assert.equal(compareViews(book, [view('h1', 1, 1), view('h2', 0, 109)], NOW + 10_000, NONE).length, 1);
  assert.deepEqual(compareViews(book, [view('h1', 1, 11), view('h2', 1, 10)], NOW + 20_000, NONE), []);
});

test('a second outage that begins seconds after the end of the first is reported, too', () => {
  const book = emptyOutageBook();
  const view = (timesDown: number, downtimeS: number, lastChangeS: number) => [
    { haproxy: 'h1', rows: [row('pgb2', { timesDown, downtimeS, lastChangeS })] },
  ];
  compareViews(book, view(0, 0, 99), NOW, NONE);
  assert.equal(compareViews(book, view(1, 3, 2), NOW + 10_000, NONE).length, 1);
  const [second, ...more] = compareViews(book, view(2, 6, 1), NOW + 16_000, NONE);
  assert.deepEqual(second, {
    kind: 'short_outage',
    proxy: 'bouncers',
    server: 'pgb2',
    times: 1,
    seconds: 3,
  });
  assert.deepEqual(more, []);
});

test('while one HAProxy calls a server DOWN, the end of an outage at another one is not reported', () => {
  const book = emptyOutageBook();
  const view = (haproxy: string, more: Partial<StatsRow>) => ({ haproxy, rows: [row('pgb2', more)] });
  compareViews(book, [view('h1', {}), view('h2', {})], NOW, NONE);
  const over = { timesDown: 1, downtimeS: 3, lastChangeS: 2 };
  const still = { status: 'DOWN', timesDown: 1, downtimeS: 5, lastChangeS: 5 };
  assert.deepEqual(compareViews(book, [view('h1', over), view('h2', still)], NOW + 10_000, NONE), []);
  const [told] = compareViews(
    book,
    [view('h1', { ...over, lastChangeS: 7 }), view('h2', { ...over, downtimeS: 8, lastChangeS: 2 })],
    NOW + 15_000,
    NONE,
  );
  assert.equal(told?.kind === 'short_outage' && told.seconds, 8);
});

test('an outage with an alert is not reported as a short one', () => {
  const book = emptyOutageBook();
  const up = [{ haproxy: 'h1', rows: [row('pgb2')] }];
  const isDown = [{ haproxy: 'h1', rows: [row('pgb2', { status: 'DOWN', timesDown: 1, lastChangeS: 3 })] }];
  const back = [{ haproxy: 'h1', rows: [row('pgb2', { timesDown: 1, lastChangeS: 3 })] }];
  compareViews(book, up, NOW, NONE);
  assert.deepEqual(compareViews(book, isDown, NOW + 10_000, NONE), []);
  assert.deepEqual(compareViews(book, back, NOW + 20_000, new Set(['bouncers/pgb2'])), []);
});

test('a restarted HAProxy counts from zero: the restart is reported, and its counters are not taken for outages', () => {
  const book = emptyOutageBook();
  compareViews(book, [{ haproxy: 'h1', rows: [door(500), row('pgb2', { timesDown: 7 })] }], NOW, NONE);
  const restarted = [{ haproxy: 'h1', rows: [door(2), row('pgb2')] }];
  assert.deepEqual(compareViews(book, restarted, NOW + 10_000, NONE), [
    { kind: 'haproxy_restarted', haproxy: 'h1' },
  ]);
  const again = [{ haproxy: 'h1', rows: [door(9), row('pgb2', { timesDown: 1, lastChangeS: 1 })] }];
  assert.equal(compareViews(book, again, NOW + 20_000, NONE).length, 1);
});

test('a change of the leader is reported; a moment without a leader is no change', () => {
  const book = emptyOutageBook();
  const view = (...up: string[]) => [
    {
      haproxy: 'h1',
      rows: ['node1', 'node2'].map((node) =>
        row(node, { proxy: 'leader', status: up.includes(node) ? 'UP' : 'DOWN', timesDown: up.length }),
      ),
    },
  ];
  assert.deepEqual(compareViews(book, view('node1'), NOW, NONE), []);
  assert.deepEqual(compareViews(book, view(), NOW, NONE), []);
  assert.deepEqual(compareViews(book, view('node2'), NOW, NONE), [
    { kind: 'leader_changed', from: 'node1', to: 'node2' },
  ]);
});

test('a leader that comes while writes are not served is reported once, at the next comparison', () => {
  const book = emptyOutageBook();
  const view = (leader: string) => [
    { haproxy: 'h1', rows: [row(leader, { proxy: 'leader', status: 'UP' })] },
  ];
  compareViews(book, view('node1'), NOW, NONE);
  compareServers(book, view('node2'), NOW, NONE);
  compareServers(book, view('node3'), NOW, NONE);
  assert.deepEqual(compareLeaders(book, view('node3')), {
    kind: 'leader_changed',
    from: 'node1',
    to: 'node3',
  });
  assert.equal(compareLeaders(book, view('node3')), undefined);
});

test('the words of HAProxy for a state', () => {
  const state = (status: string, check = 'L7OK') => stateOf(row('pgb1', { status, check }));
  assert.deepEqual(
    ['UP', 'UP 1/3', 'DOWN', 'DOWN 1/2', 'MAINT (via x/y)', 'DRAIN', 'no check'].map((words) => state(words)),
    ['UP', 'UP', 'DOWN', 'DOWN', 'MAINT', 'DRAIN', 'UP'],
  );
  assert.equal(state('UP', 'INI'), undefined);
});
