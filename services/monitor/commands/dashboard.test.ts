import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CallsReport } from '#services/calls/contract.ts';
import type { Part } from '../topology_parts.ts';
import { renderDashboard } from './dashboard.ts';

const report: CallsReport = {
  status: 'healthy',
  uptime_s: 475_800,
  last_restart: '2025-11-24T10:00:00.000Z',
  servers: [
    {
      ...{
        name: 'primary',
        role: 'primary',
        healthy: true,
        consecutiveFailures: 0,
        consecutiveSuccesses: 1250,
      },
      ...{
        uptimePercent: 99.8,
        timeSinceDown: null,
        lastCheck: '2025-11-29T15:30:45.000Z',
        lastError: null,
        replica_lag_s: null,
      },
      circuit: { state: 'CLOSED', since: '2025-11-24T10:00:00.000Z' },
      queue: { length: 3, limit: 200, processing: 1, slots: 10, oldest_wait_ms: 4, order: 'fifo' },
    },
  ],
  sources: [],
  switches: [],
  recent_activity: Array.from({ length: 50 }, (_, i) => ({
    at: '2025-11-29T15:30:45.000Z',
    text: `Query executed in ${i}ms (100 rows)`,
  })),
};

test('the dashboard shows the same as the reference', () => {
  const text = renderDashboard(report, { columns: 71, rows: 40, colour: false }).join('\n');
  for (const part of [
    'System Status: ✅ HEALTHY',
    'Uptime: 5d 12h 10m',
    'Last Restart: 2025-11-24 10:00:00',
    'Status: ✅ Healthy',
    'Uptime: 99.8%',
    'Consecutive Successes: 1,250',
    'Last Check: 2025-11-29 15:30:45',
    'Circuit State: CLOSED',
    'Queue Length: 3 / 200 (1.5%), the oldest for 0.0 s',
    'Processing: Yes',
    '[░░░░░░░░░░░░░░░░░░░░] 1.5%',
    '• 15:30:45 - Query executed in 0ms (100 rows)',
  ]) {
    assert.ok(text.includes(part), `${part} is missing in\n${text}`);
  }
});

test('every line has the width of the screen, with and without colour, and the lines fill its height', () => {
  for (const columns of [40, 71, 100]) {
    for (const colour of [false, true]) {
      const lines = renderDashboard(report, { columns, rows: 30, colour });
      // biome-ignore lint/suspicious/noControlCharactersInRegex: colour sequences begin with one
      const widths = lines.map((l) => l.replaceAll(/\x1b\[\d+m/g, '').replaceAll(/[✅❌]/g, 'xx').length);
      assert.deepEqual([...new Set(widths)], [columns]);
      assert.equal(lines.length, 29);
    }
  }
});

test('a cut line has the width of the screen, with any marks in it', () => {
  const servers = [report.servers[0]!, { ...report.servers[0]!, name: 'replica 1', healthy: false }];
  for (let columns = 40; columns <= 80; columns++) {
    const lines = renderDashboard({ ...report, servers }, { columns, rows: 14, colour: true });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colour sequences begin with one
    const widths = lines.map((l) => l.replaceAll(/\x1b\[\d+m/g, '').replaceAll(/[✅❌]/g, 'xx').length);
    assert.deepEqual([...new Set(widths)], [columns]);
  }
});

test('an outage is shown with its beginning, its reason and the next probe', () => {
  const down: CallsReport = {
    ...report,
    status: 'down',
    servers: [
      {
        ...report.servers[0]!,
        ...{ healthy: false, timeSinceDown: 75, lastError: 'connect ECONNREFUSED', consecutiveFailures: 7 },
        circuit: {
          state: 'OPEN',
          of: 'server',
          since: '2025-11-29T15:30:00.000Z',
          next_probe: '2025-11-29T15:31:00.000Z',
        },
        queue: { ...report.servers[0]!.queue, length: 200, oldest_wait_ms: 2_340, order: 'newest_first' },
      },
    ],
  };
  const text = renderDashboard(down, { columns: 80, rows: 40, colour: false }).join('\n');
  for (const part of [
    '❌ DOWN',
    'Down for 1m 15s',
    'Consecutive Failures: 7',
    'OPEN, next probe 15:31:00',
    'Queue Length: 200 / 200 (100.0%), the oldest for 2.3 s, newest first',
    `[${'▓'.repeat(20)}] 100.0%`,
  ]) {
    assert.ok(text.includes(part), `${part} is missing in\n${text}`);
  }
});

test("a circuit that is open for this service's own statements says so", () => {
  const [primary] = report.servers;
  const circuit = { state: 'HALF_OPEN', of: 'service', since: '2025-11-29T15:30:00.000Z' } as const;
  const tried: CallsReport = { ...report, servers: [{ ...primary!, circuit }] };
  const text = renderDashboard(tried, { columns: 80, rows: 40, colour: false }).join('\n');
  assert.match(text, /Circuit State: HALF_OPEN, of this service alone/);
});

test('followed sources are shown with their lag, failing ones first', () => {
  const source = {
    ...{
      path: '/var/log/Master.csv',
      state: 'following' as const,
      detail: '',
      reader: 'process 1 on pbx',
      rows: 9,
    },
    ...{ bytes_behind: 1_234, last_row_at: '2025-11-29T15:30:45Z', silent_s: 3, silence_limit_s: 900 },
  };
  const sources = [
    source,
    { ...source, path: '/srv/late.csv', bytes_behind: 0, silent_s: 7_200 },
    ...Array.from({ length: 4 }, (_, i) => ({ ...source, path: `/srv/${i}.csv`, bytes_behind: 0 })),
    { ...source, path: '/srv/closed.csv', state: 'failing' as const, detail: 'permission denied' },
  ];
  const lines = renderDashboard({ ...report, sources }, { columns: 100, rows: 60, colour: false });
  const first = lines.findIndex((line) => line.includes('Followed Sources'));
  assert.match(lines[first + 1]!, /❌ \/srv\/closed.csv: 1,234 bytes behind, last row 3s ago/);
  assert.match(lines[first + 2]!, /permission denied/);
  assert.match(lines[first + 3]!, /✅ \/var\/log\/Master.csv: 1,234 bytes behind/);
  assert.match(
    lines[first + 4]!,
    /\/srv\/late.csv: 0 bytes behind, last row 2h 0m ago, silent for longer than usual/,
  );
  assert.match(lines[first + 7]!, /and 2 more/);
});

test('switches are shown with their rejected rows and refused posts, faulty ones first', () => {
  const well = {
    ...{
      source: 'switch 1',
      last_at: '2025-11-29T15:30:45Z',
      last_file: 'POST /cdrs',
      last_call_at: null,
      lag_s: 4,
    },
    ...{ rows_per_minute: 12, set_aside_today: 0, refused_today: 0, silent_s: 3, silence_limit_s: 900 },
  };
  const switches = [
    well,
    { ...well, source: 'switch 2', refused_today: 1_031, set_aside_today: 2 },
    { ...well, source: 'switch 3', silent_s: 7_200 },
  ];
  const lines = renderDashboard({ ...report, switches }, { columns: 110, rows: 60, colour: false });
  const first = lines.findIndex((line) => line.includes('Switches'));
  assert.match(
    lines[first + 1]!,
    /❌ switch 2: 12.0 rows\/min, last 3s ago, 2 set aside and 1,031 refused today/,
  );
  assert.match(
    lines[first + 2]!,
    /❌ switch 3: 12.0 rows\/min, last 2h 0m ago, silent for longer than usual/,
  );
  assert.match(lines[first + 3]!, /✅ switch 1: 12.0 rows\/min, last 3s ago/);
});

test('a screen that is too low has two lines for each server, with the bar', () => {
  const replica = { ...report.servers[0]!, name: 'replica 1', role: 'replica' as const, replica_lag_s: 2.5 };
  const servers = [report.servers[0]!, replica, { ...replica, name: 'replica 2', healthy: false }];
  const lines = renderDashboard({ ...report, servers }, { columns: 100, rows: 24, colour: false });
  assert.equal(lines.length, 23);
  const text = lines.join('\n');
  for (const part of [
    'primary: ✅ Healthy 99.8%, CLOSED',
    'replica 1: ✅ Healthy 99.8%, CLOSED, 2.5 s behind',
    '[░░░░░░░░░░░░░░░░░░░░] 1.5%, 3 / 200, the oldest for 0.0 s, 1 at work',
    'replica 2: ❌ Down',
    'Query executed',
  ]) {
    assert.ok(text.includes(part), `${part} is missing in\n${text}`);
  }
  const endless = renderDashboard({ ...report, servers }, { columns: 100, rows: undefined, colour: false });
  assert.equal(endless.filter((line) => line.includes('Queue Length')).length, 3);
});

test('disks and keepers of the tier are shown in a few lines, faulty ones with the reason', () => {
  const part = (id: string, role: Part['role'], state: Part['state'], detail: string): Part => {
    return { id, name: id.replace('disk/', ''), role, state, detail, connections: null, since: '' };
  };
  const parts = [
    part('calls', 'service', 'UP', ''),
    part(
      'disk/node1',
      'disk',
      'NOT_READY',
      '91 % of /srv/a/long/path/node1/pgdata used, 5.0 GiB free, full in 3 h',
    ),
    part('disk/node2', 'disk', 'UP', '45 % of /srv/a/long/path/node2/pgdata used, 55.0 GiB free'),
    part('etcd', 'etcd', 'UP', ''),
    part('supervisor', 'supervisor', 'DOWN', 'connect ECONNREFUSED'),
    part('lease', 'lease', 'UP', 'held by node1, renewed 3 s ago'),
  ];
  const lines = renderDashboard(report, { columns: 80, rows: 40, colour: false }, parts);
  const from = lines.findIndex((line) => line.includes('Disks and Keepers'));
  assert.deepEqual(
    lines.slice(from, from + 5).map((line) => line.slice(2, -2).trimEnd()),
    [
      'Disks and Keepers',
      '  ❌ disk/node1: 91 % used, 5.0 GiB free, full in 3 h',
      '  ✅ disk/node2: 45 % used, 55.0 GiB free',
      '  ✅ etcd, lease held by node1, renewed 3 s ago',
      '  ❌ supervisor: DOWN, connect ECONNREFUSED',
    ],
  );
  assert.ok(!renderDashboard(report, { columns: 80, rows: 40, colour: false }).join().includes('Keepers'));
});
