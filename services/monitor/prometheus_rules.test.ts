/** Prometheus and the monitor evaluate the rules alike: both get the same figures, at every evaluation. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { seededRandom } from '#platform/lifecycle/seeded_random.ts';
import { advanceAlerts, emptyBook } from './alerts.ts';
import { FORECAST_HISTORY } from './disk_rules.ts';
import { metricsOf } from './measure.ts';
import { prometheusRules } from './prometheus_rules.ts';
import { RULES } from './rules.ts';
import { createHistory, type Labels } from './samples.ts';

const run = promisify(execFile);
const promtool = await run('promtool', ['--version']).then(
  () => false as const,
  () => 'promtool is not installed (scripts/engines installs it with the package prometheus)',
);

const STEP_S = 10;
const STEPS = 150;
/** Prometheus assumes 0 before the first point of a series; the monitor does not. Later they agree. */
const COMPARED_FROM_S = 480;
const SERVICES = ['calls', 'orders'];
const INSTANCES = ['haproxy1', 'haproxy2'];
const SERVERS = {
  bouncers: ['pgb1', 'pgb2', 'pgb3'],
  read_bouncers: ['pgr1', 'pgr2'],
  leader: ['node1', 'node2'],
  replicas: ['node1', 'node2'],
};

interface Line {
  readonly name: string;
  readonly labels: Labels;
  readonly values: readonly number[];
}

/** All figures that the rules read: gauges that jump now and then, counters that rise steadily. */
function scene(seed: number): Line[] {
  const random = seededRandom(seed);
  const oneOf = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)]!;
  const lines: Line[] = [];
  const jumps = <T>(values: readonly T[]): T[] => {
    const all: T[] = [];
    while (all.length < STEPS) all.push(...Array<T>(oneOf([2, 7, 40])).fill(oneOf(values)));
    return all.slice(0, STEPS);
  };
  const gauge = (name: string, labels: Labels, ...values: number[]) =>
    lines.push({ name, labels, values: jumps(values) });
  const states = (name: string, labels: Labels, ...names: string[]) => {
    const course = jumps(names);
    for (const state of new Set(names)) {
      lines.push({ name, labels: { ...labels, state }, values: course.map((at) => Number(at === state)) });
    }
  };
  const counter = (name: string, labels: Labels, perS: number) => {
    const values = Array.from({ length: STEPS }, (_, step) => 1e6 + Math.round(perS * STEP_S) * step);
    lines.push({ name, labels, values });
  };
  for (const door of ['writes', 'reads']) {
    gauge('monitor_door_silent_seconds', { door }, 0, 2, 9);
    for (const server of ['b1', 'b2']) {
      gauge('monitor_bouncer_max_wait_seconds', { door, server }, 0, 0.2, 4);
      gauge('monitor_bouncer_connections_in_use', { door, server }, 3, 66, 70);
      gauge('monitor_bouncer_pool_size', { door, server }, 70);
    }
  }
  for (const keeper of ['etcd1', 'etcd2'])
    gauge('monitor_keeper_silent_seconds', { keeper, kind: 'etcd' }, 0, 4, 12);
  gauge('monitor_keeper_silent_seconds', { keeper: 'supervisor', kind: 'supervisor' }, 0, 4, 12);
  gauge('monitor_keeper_silent_seconds', { keeper: 'redis', kind: 'redis' }, 0, 4, 12);
  gauge('monitor_lease_age_seconds', { lease: 'primary' }, 1, 9, 40);
  for (const keeper of ['rabbitmq1', 'rabbitmq2'])
    gauge('monitor_keeper_silent_seconds', { keeper, kind: 'rabbitmq' }, 0, 4, 12);
  for (const queue of ['usage', 'bills']) {
    // Services on one database show the same queues.
    const seen = SERVICES.map((service) => ({ service, queue }));
    for (const labels of seen) {
      gauge('messages_waiting', { ...labels, state: 'ready' }, 0, 40_000, 60_000);
      gauge('messages_waiting', { ...labels, state: 'delayed' }, 0, 90_000);
      gauge('messages_oldest_ready_seconds', labels, 0, 250, 900);
      gauge('messages_queue_paused', labels, 0, 0, 1);
      for (const cause of ['expired', 'attempts_used_up'])
        gauge('messages_dead_letters_recent', { ...labels, cause }, 0, 0, 3);
    }
  }
  for (const service of SERVICES) gauge('messages_relay_stalled_seconds', { service }, 0, 20, 70);
  for (const instance of ['node1', 'node2']) {
    const labels = { job: 'disks', instance, mountpoint: '/data' };
    gauge('node_filesystem_avail_bytes', labels, 60e9, 55e9, 15e9, 5e9);
    gauge('node_filesystem_free_bytes', labels, 16e9, 20e9);
    gauge('node_filesystem_size_bytes', labels, 100e9);
  }
  for (const instance of INSTANCES) {
    gauge('up', { job: 'haproxy', instance }, 1, 0);
    gauge('monitor_haproxy_page_up', { instance }, 1, 0);
    for (const proxy of ['writes', 'reads']) {
      gauge('haproxy_frontend_current_sessions', { instance, proxy }, 100, 4_500, 8_500);
      gauge('haproxy_frontend_limit_sessions', { instance, proxy }, 9_950);
    }
    for (const [proxy, servers] of Object.entries(SERVERS)) {
      const [retries, redispatches] = [oneOf([0, 0.3, 4]), oneOf([0, 0.3, 4])];
      for (const server of servers) {
        const labels = { instance, proxy, server };
        states('haproxy_server_status', labels, 'UP', 'UP', 'DOWN', 'MAINT', 'DRAIN');
        gauge('haproxy_server_current_sessions', labels, 0, 1_500, 3_500);
        counter('haproxy_server_retry_warnings_total', labels, retries);
        counter('haproxy_server_redispatch_warnings_total', labels, redispatches);
      }
    }
  }
  for (const service of SERVICES) {
    gauge('up', { job: 'trunkline', service }, 1, 0);
    gauge('monitor_service_ready', { service }, 1, 0);
    gauge('nodejs_eventloop_lag_p99_seconds', { service }, 0.01, 0.4);
    gauge('process_resident_memory_bytes', { service }, 1e8, 2e9);
    for (const server of ['primary', 'replica1']) {
      gauge('replica_lag_seconds', { service, server }, 0, 12, 45);
      gauge('request_queue_oldest_wait_seconds', { service, server }, 0.1, 3);
      states('circuit_breaker_state', { service, server }, 'CLOSED', 'OPEN', 'HALF_OPEN', 'HELD_OPEN');
    }
    for (const source of ['/var/log/Master.csv', '/srv/drop']) {
      gauge('source_silence_seconds', { service, source }, 3, 1_000, 5_000);
      gauge('source_silence_limit_seconds', { service, source }, 900, 3_600);
      gauge('source_set_aside_recent', { service, source }, 0, 0, 12);
      gauge('source_refused_recent', { service, source }, 0, 3, 31);
      states('followed_source_state', { service, source }, 'following', 'failing', 'waiting');
    }
    gauge('cache_up', { service, store: 'redis' }, 1, 0);
    for (const outcome of ['done', 'failed'])
      counter('cache_requests_total', { service, operation: 'increment', outcome }, oneOf([0.1, 5]));
    const slowPerS = oneOf([0, 3]);
    for (const [status, perS] of [
      ['200', oneOf([0.1, 20])],
      ['503', oneOf([0.1, 5])],
    ] as const) {
      for (const route of ['/cdrs', '/health/ready', '/metrics']) {
        const labels = { service, route, status };
        counter('http_request_duration_seconds_count', labels, perS + slowPerS);
        for (const [le, share] of Object.entries({
          '1': perS,
          '5': perS + slowPerS,
          '+Inf': perS + slowPerS,
        }))
          counter('http_request_duration_seconds_bucket', { ...labels, le }, share);
      }
    }
  }
  gauge('monitor_channel_failures', { channel: 'slack' }, 0, 2, 3);
  gauge('monitor_state_saved', { service: 'monitor' }, 1, 0);
  gauge('monitor_backup_known', { folder: '/backups' }, 1, 0);
  gauge('monitor_backup_age_seconds', { folder: '/backups' }, 3_600, 93_600, 93_601, 200_000);
  gauge('monitor_backup_age_limit_seconds', { folder: '/backups' }, 93_600);
  return lines;
}

/** The firing alerts of the monitor at each step: `rule{labels}`. */
function ofMonitor(lines: readonly Line[]): Set<string>[] {
  const book = emptyBook();
  const history = createHistory(180_000, FORECAST_HISTORY);
  return Array.from({ length: STEPS }, (_, step) => {
    const samples = lines.map(({ name, labels, values }) => ({ name, labels, value: values[step]! }));
    history.add(step * STEP_S * 1_000, samples);
    advanceAlerts(book, RULES, history, { haproxy: true, services: new Set(SERVICES) });
    return new Set(
      Object.values(book.active)
        .filter(({ state }) => state === 'firing')
        .map(({ key }) => key),
    );
  });
}

/** The test file for promtool that expects the alerts of the monitor from Prometheus. */
function promtoolTest(lines: readonly Line[], said: readonly Set<string>[]): string {
  const series = lines.map(({ name, labels, values }) => {
    const selector = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
    return { series: `${name}{${selector.join(', ')}}`, values: values.join(' ') };
  });
  const checks = said.flatMap((firing, step) => {
    if (step * STEP_S < COMPARED_FROM_S) return [];
    return RULES.map(({ name, severity }) => ({
      eval_time: `${step * STEP_S}s`,
      alertname: name,
      exp_alerts: [...firing]
        .filter((key) => key.startsWith(`${name}{`))
        .map((key) => ({ exp_labels: { ...labelsIn(key), severity } })),
    }));
  });
  const interval = `${STEP_S}s`;
  // JSON is YAML.
  return JSON.stringify({
    rule_files: ['rules.yml'],
    evaluation_interval: interval,
    tests: [{ interval, input_series: series, alert_rule_test: checks }],
  });
}

const labelsIn = (key: string): Labels => {
  const words = key.slice(key.indexOf('{') + 1, -1);
  return Object.fromEntries(words.split(',').map((pair) => pair.split('=') as [string, string]));
};

test('the scene has every figure that the rules read', () => {
  const names = new Set(scene(1).map(({ name }) => name));
  const read = RULES.flatMap(({ measure, and, unless }) =>
    [measure, and?.measure, unless?.measure].flatMap((one) => (one ? metricsOf(one) : [])),
  );
  assert.deepEqual(
    read.filter((name) => !names.has(name)),
    [],
  );
});

test('Prometheus and the monitor have the same alerts for the same figures', { skip: promtool }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'trunkline-rules-'));
  try {
    // Words are not compared here: rules_test.yml does that.
    const rules = prometheusRules(RULES).replaceAll(/^ {8}annotations:\n(?: {10}.*\n)+/gm, '');
    await writeFile(join(folder, 'rules.yml'), rules);
    const fired = new Set<string>();
    for (const seed of [1, 2, 3]) {
      const lines = scene(seed);
      const said = ofMonitor(lines);
      for (const key of said.slice(COMPARED_FROM_S / STEP_S).flatMap((keys) => [...keys]))
        fired.add(key.slice(0, key.indexOf('{')));
      await writeFile(join(folder, 'test.yml'), promtoolTest(lines, said));
      await run('promtool', ['test', 'rules', 'test.yml'], { cwd: folder, maxBuffer: 2 ** 26 }).catch(
        ({ stdout, stderr }) => assert.fail(`seed ${seed}: ${`${stderr}${stdout}`.slice(0, 3_000)}`),
      );
    }
    assert.deepEqual(
      RULES.map(({ name }) => name).filter((name) => !fired.has(name)),
      [],
      'every rule was an alert at least once',
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});
