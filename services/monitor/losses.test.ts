/**
 * One fault is one notice and one recovery: the consequences of each loss of a part, in any order and with any delay between
 * them, as figures of polls, with the real rules.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '#platform/lifecycle/seeded_random.ts';
import { advanceAlerts, emptyBook, noteShortSilence } from './alerts.ts';
import type { AlertEvent } from './announce.ts';
import { DISKS_JOB } from './disk_reader.ts';
import { FORECAST_HISTORY } from './disk_rules.ts';
import { type StatsRow, statsSamples } from './haproxy_csv.ts';
import { withLeader } from './leaders.ts';
import { type Draft, noticeOfHappening, noticesOf } from './notice.ts';
import { emptyOutageBook, type HaproxyView } from './outages.ts';
import { RULES, runbookAnchor } from './rules.ts';
import { createHistory, type Sample, sample } from './samples.ts';
import { changedAt } from './state_times.ts';

const RUNS = 6;
/** The monitor polls each second while something changes, and each ten seconds otherwise. */
const POLL_S = 1;
const QUIET_POLL_S = 10;
const CHANGES_S = 45;
const BEGIN_MS = 1_000_000;
const WELL_S = 30;
const END_S = 320;
const SHORTEST_DOOR_OUTAGE_S = 3;

type Span = readonly [from: number, to: number];
type Between = (low: number, high: number) => number;

/** The faults during a loss, in seconds since it: the names of what() below, with their times. */
type Effects = Readonly<Record<string, Span>>;

interface LossKind {
  readonly name: string;
  readonly effects: (between: Between) => Effects;
  /** Any of these rules may report it. */
  readonly by: readonly string[];
  readonly severity: 'critical' | 'warning';
  /** The largest delay of its report. */
  readonly withinS: number;
  readonly leads?: string;
}

/** The faults that clients and services see while nothing can be written: before and after HAProxy and the door see it. */
const unwritable = (between: Between, to: number): Effects => ({
  'writes wait': [between(1, 4), to + between(0, 3)],
  'writes queue': [between(1, 6), to + between(0, 4)],
  'breaker open': [between(4, 8), to + between(0, 8)],
  'not ready': [between(4, 10), to + between(0, 10)],
  'posts fail': [between(0, 5), to + between(0, 3)],
  'answers slow': [to, to + between(1, 8)],
  'leader retries': [between(0, 3), to],
});

const LOSSES: readonly LossKind[] = [
  {
    name: 'the primary, killed: HAProxy sees it first',
    effects: (between) => {
      const to = between(6, 24);
      return {
        ...unwritable(between, to),
        'no primary': [between(0.2, 2), to],
        'writes silent': [0, to + between(0, 3)],
        'node1 down': [between(0.5, 3), to + between(2, 25)],
        'node2 leads': [to, END_S],
      };
    },
    ...{ by: ['NoPrimary'], severity: 'critical', withinS: 4, leads: 'node2' },
  },
  {
    name: 'the primary, frozen: clients see it first, HAProxy and the door after them',
    effects: (between) => {
      const to = between(10, 30);
      return {
        ...unwritable(between, to),
        'no primary': [between(2, 9), to],
        'writes silent': [between(-1, 0), to + between(-1, 3)],
        'reads silent': [between(3, 4), between(4, 6.5)],
        'node1 down': [between(3, 10), to + between(2, 25)],
        'node2 leads': [to, END_S],
      };
    },
    ...{ by: ['NoPrimary', 'DoorSilent'], severity: 'critical', withinS: 14, leads: 'node2' },
  },
  {
    name: 'its PostgreSQL alone, which Patroni starts again',
    effects: (between) => {
      const to = between(6, 15);
      const wait = unwritable(between, to);
      return { ...wait, 'writes silent': [0, to], 'no primary': [between(2, 4), to + between(0, 2)] };
    },
    ...{ by: ['NoPrimary', 'DoorSilent'], severity: 'critical', withinS: 14, leads: 'node1' },
  },
  {
    name: 'a bouncer of the writes',
    effects: (between) => {
      const from = between(0.2, 9);
      return {
        'pgb2 down': [from, between(12, 100)],
        'writes wait': [from + between(-3, 3), from + between(3, 12)],
        'bouncer retries': [between(0, 2), between(2, 10)],
      };
    },
    ...{ by: ['PgBouncerDown'], severity: 'warning', withinS: 14 },
  },
  {
    name: 'a bouncer of the reads: the other one has no spare',
    effects: (between) => {
      const from = between(0.2, 9);
      return { 'pgr1 down': [from, between(25, 100)], 'reads wait': [from - 2, from + between(1, 20)] };
    },
    ...{ by: ['PgBouncerDown'], severity: 'warning', withinS: 14 },
  },
  {
    name: 'one HAProxy of two',
    effects: (between) => {
      const from = between(0.5, 6);
      return {
        'haproxy2 down': [from, between(20, 60)],
        'reads silent': [from - between(0.5, 3), from + between(1, 6)],
        'writes silent': [from - between(0.5, 3), from + between(1, 6)],
        'writes wait': [from - 2, from + between(0, 8)],
      };
    },
    ...{ by: ['HaproxyDown'], severity: 'critical', withinS: 10 },
  },
  {
    name: 'a replica',
    effects: (between) => ({
      'node3 down': [between(1, 5), between(20, 90)],
      'reads wait': [between(0, 5), between(6, 30)],
      'replica retries': [between(0, 3), between(3, 12)],
    }),
    ...{ by: ['PostgresDown'], severity: 'warning', withinS: 20 },
  },
  {
    name: 'etcd',
    effects: (between) => {
      const to = between(24, 60);
      return { 'etcd silent': [0, to], 'lease old': [between(20, 24), to + between(0, 8)] };
    },
    ...{ by: ['EtcdDown'], severity: 'warning', withinS: 18 },
  },
  {
    name: 'all connections for reads, held until the door is silent',
    effects: (between) => {
      const to = between(10, 40);
      return {
        'reads wait': [between(1, 3), to + between(0, 2)],
        'reads silent': [between(-2, 0), to + between(0, 2)],
        'reads full': [0, to + 2],
      };
    },
    ...{ by: ['DoorSilent'], severity: 'critical', withinS: 14 },
  },
];

const PROXIES = {
  bouncers: ['pgb1', 'pgb2', 'pgb3'],
  read_bouncers: ['pgr1', 'pgr2'],
  leader: ['node1', 'node2', 'node3'],
  replicas: ['node1', 'node2', 'node3'],
};

/** The figures of a system at an instant of a loss, in seconds. */
function whatIs(effects: Effects) {
  const holds = (name: string, at: number) => {
    const [from, to] = effects[name] ?? [Infinity, Infinity];
    return at >= from && at < to;
  };
  const lasted = (name: string, at: number) => (holds(name, at) ? at - effects[name]![0] : 0);
  /** Seconds from its beginning until then. */
  const sum = (name: string, at: number) => {
    const [from, to] = effects[name] ?? [Infinity, Infinity];
    return Math.max(0, Math.min(at, to) - from);
  };
  const isUp = (proxy: string, server: string, at: number): boolean => {
    const leader = holds('node2 leads', at) ? 'node2' : 'node1';
    if (holds(`${server} down`, at)) return false;
    if (proxy === 'leader') return server === leader && !holds('no primary', at);
    return proxy !== 'replicas' || server !== leader;
  };
  /** As HAProxy counts, in whole seconds. */
  const turns = Object.values(effects)
    .flat()
    .toSorted((a, b) => b - a);
  const sinceChange = (proxy: string, server: string, at: number): number => {
    const is = isUp(proxy, server, at);
    const change = turns.find((turn) => turn <= at && isUp(proxy, server, turn - 0.001) !== is);
    return Math.floor(at - (change ?? -WELL_S));
  };
  const rows = (at: number): StatsRow[] =>
    Object.entries(PROXIES).flatMap(([proxy, servers]) =>
      servers.map((server) => {
        const status = isUp(proxy, server, at) ? 'UP' : 'DOWN';
        const retries = { leader: 'leader', bouncers: 'bouncer', replicas: 'replica', read_bouncers: '' }[
          proxy
        ];
        return {
          ...{
            proxy,
            server,
            status,
            check: 'L7OK',
            checkWords: '',
            sessions: 3,
            limit: null,
            sessionsTotal: 0,
          },
          ...{ sessionRate: 0, errors: 0, retries: 20 * sum(`${retries} retries`, at), redispatches: 0 },
          ...{ timesDown: 0, lastChangeS: sinceChange(proxy, server, at), downtimeS: 0 },
        };
      }),
    );
  const views = (at: number): HaproxyView[] =>
    ['haproxy1', 'haproxy2'].flatMap((haproxy) =>
      holds(`${haproxy} down`, at) ? [] : [{ haproxy, rows: rows(at) }],
    );
  const samples = (at: number): Sample[] => {
    const failed = sum('posts fail', at);
    const slow = sum('answers slow', at);
    const of = { service: 'calls', route: '/cdrs' };
    const buckets = (le: string, value: number) =>
      sample('http_request_duration_seconds_bucket', { ...of, le }, value);
    return [
      ...['haproxy1', 'haproxy2'].flatMap((instance) => [
        sample('up', { job: 'haproxy', instance }, Number(!holds(`${instance} down`, at))),
        sample('monitor_haproxy_page_up', { instance }, Number(!holds(`${instance} down`, at))),
      ]),
      ...views(at).flatMap(({ haproxy, rows: of_ }) => statsSamples(of_, haproxy)),
      ...['writes', 'reads'].flatMap((door) => [
        sample('monitor_door_silent_seconds', { door }, lasted(`${door} silent`, at)),
        sample(
          'monitor_bouncer_max_wait_seconds',
          { door, server: 'b' },
          holds(`${door} wait`, at) ? 1.5 : 0,
        ),
        sample(
          'monitor_bouncer_connections_in_use',
          { door, server: 'b' },
          holds(`${door} full`, at) ? 70 : 3,
        ),
        sample('monitor_bouncer_pool_size', { door, server: 'b' }, 70),
      ]),
      sample('up', { job: 'trunkline', service: 'calls' }, 1),
      sample('monitor_service_ready', { service: 'calls' }, Number(!holds('not ready', at))),
      sample(
        'circuit_breaker_state',
        { service: 'calls', server: 'primary', state: 'OPEN' },
        Number(holds('breaker open', at)),
      ),
      sample(
        'request_queue_oldest_wait_seconds',
        { service: 'calls', server: 'primary' },
        lasted('writes queue', at),
      ),
      sample('http_request_duration_seconds_count', { ...of, status: '200' }, 1_000 + 2 * at),
      sample('http_request_duration_seconds_count', { ...of, status: '503' }, 2 * failed),
      buckets('2.5', 1_000 + 2 * at),
      buckets('10', 1_000 + 2 * at + 2 * slow),
      buckets('+Inf', 1_000 + 2 * at + 2 * slow),
      sample('monitor_keeper_silent_seconds', { keeper: 'etcd', kind: 'etcd' }, lasted('etcd silent', at)),
      sample('monitor_lease_age_seconds', { lease: 'primary' }, holds('lease old', at) ? 26 : 3),
      sample('node_filesystem_avail_bytes', { job: DISKS_JOB, instance: 'node1', mountpoint: '/' }, 5e10),
    ];
  };
  return { samples, views };
}

type Told = Draft & { readonly atS: number };

/** Polls through a loss, as monitor.ts does. */
function watched(effects: Effects, phase: number): Told[] {
  const { samples, views } = whatIs(effects);
  const history = createHistory(180_000, FORECAST_HISTORY);
  const alerts = emptyBook();
  const outages = emptyOutageBook();
  const doorRule = RULES.find(({ name }) => name === 'DoorSilent')!;
  const told: Told[] = [];
  let before = phase - WELL_S;
  for (let atS = before; atS < END_S; ) {
    const now = BEGIN_MS + atS * 1_000;
    history.add(now, samples(atS));
    for (const door of ['writes', 'reads']) {
      const [from, to] = effects[`${door} silent`] ?? [0, 0];
      const hasEnded = to <= atS && to > before && to - from >= SHORTEST_DOOR_OUTAGE_S;
      const isActive = Object.values(alerts.active).some(
        ({ rule, labels }) => rule === doorRule.name && labels.door === door,
      );
      const span = { from: BEGIN_MS + from * 1_000, to: BEGIN_MS + to * 1_000 };
      if (hasEnded && !isActive) noteShortSilence(alerts, doorRule, { door }, now, span);
    }
    const seen = views(atS);
    const advanced: AlertEvent[] = advanceAlerts(alerts, RULES, history, {
      ...{ haproxy: seen.length > 0, services: new Set(['calls']) },
      changedAt: ({ timedBy }, labels, holds) => timedBy && changedAt(timedBy, labels, holds, seen, now),
    });
    const { events, change } = withLeader(advanced, { rules: RULES, alerts, outages }, seen);
    const notices = [...noticesOf(events), ...(change ? [noticeOfHappening(change)] : [])];
    told.push(...notices.map((notice) => ({ ...notice, atS })));
    before = atS;
    atS += atS > -QUIET_POLL_S && atS < CHANGES_S ? POLL_S : QUIET_POLL_S;
  }
  return told;
}

function randomly(seed: number): Between {
  const random = seededRandom(seed);
  return (low, high) => low + random() * (high - low);
}

for (const { name, effects, by, severity, withinS, leads } of LOSSES) {
  test(`one notice and one recovery: ${name}`, () => {
    for (let seed = 1; seed <= RUNS; seed++) {
      const between = randomly(seed);
      const these = effects(between);
      const told = watched(these, between(0, 1));
      const words = JSON.stringify({ seed, these, told });
      assert.deepEqual([told.length, told[0]?.kind, told[1]?.kind], [2, 'firing', 'resolved'], words);
      const [first, end] = told as [Told, Told];
      assert.ok(by.map(runbookAnchor).includes(first.runbook), words);
      assert.equal(first.severity, severity, words);
      assert.ok(first.atS <= withinS, words);
      assert.deepEqual(end.keys, first.keys, words);
      if (leads) assert.match(end.message, new RegExp(`: ${leads} leads now$`), words);
    }
  });
}

test('held connections: the notice of the silent door says that clients wait', () => {
  const held = { 'reads wait': [1, 12], 'reads silent': [0, 12] } as const;
  const [first] = watched(held, 0.5);
  assert.match(first!.message, /^reads have had no answer/);
  assert.match(first!.details.join(), /reads: a client has waited 1.5 s for a connection to PostgreSQL/);
});

test('held connections until a silence of the door that is over between two polls: one notice of both', () => {
  for (const to of [2.6, 3, 3.3]) {
    const told = watched({ 'reads wait': [0.5, to], 'reads silent': [-0.8, to - 0.1] }, 0.5);
    assert.deepEqual(
      told.map(({ kind, runbook }) => [kind, runbook]),
      [['notice', 'doorsilent']],
    );
    assert.match(told[0]!.details.join(), /reads: a client has waited 1.5 s/);
  }
});

test('connections held so shortly that the door is not silent: the notice says that clients wait, or waited', () => {
  const told = (to: number) => watched({ 'reads wait': [1, to], 'reads silent': [0, 2.5] }, 0.5);
  const short = told(3).map(({ kind, severity, message }) => [kind, severity, message]);
  const waited =
    'reads: clients waited for a connection to PostgreSQL, one of them for 1.5 s; they no longer wait';
  assert.deepEqual(short, [['notice', 'warning', waited]]);
  assert.deepEqual(
    told(20).map(({ kind, runbook }) => [kind, runbook]),
    [
      ['firing', 'poolwait'],
      ['resolved', 'poolwait'],
    ],
  );
});

test('clients that wait for minutes while one bouncer is lost: the others are too few, and this is reported', () => {
  const told = watched({ 'pgb2 down': [0, 300], 'writes wait': [2, 200] }, 0);
  assert.deepEqual(
    told.map(({ kind, runbook }) => [kind, runbook]),
    [
      ['firing', 'pgbouncerdown'],
      ['firing', 'poolwait'],
      ['resolved', 'poolwait'],
      ['resolved', 'pgbouncerdown'],
    ],
  );
});

test('a switchover without an outage: the new leader is a notice of its own', () => {
  const told = watched({ 'node2 leads': [0, END_S] }, 0);
  assert.deepEqual(
    told.map(({ kind, message }) => [kind, message]),
    [['notice', 'node2 is the primary now']],
  );
});
