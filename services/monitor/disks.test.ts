/** Disks: their figures, disks of unknown use, and the alerts. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { advanceAlerts, emptyBook } from './alerts.ts';
import { createDiskReader, type Disk, diskSamples, disksTogether, exportedDisks } from './disk_reader.ts';
import { DISK_RULES, FORECAST_HISTORY, forecasts, fullIn } from './disk_rules.ts';
import { evaluate } from './measure.ts';
import { createHistory, labelKey } from './samples.ts';
import { diskParts } from './topology_disks.ts';

const GIB = 1024 ** 3;
const POLL_MS = 10_000;
const LABELS = { instance: 'node1', mountpoint: '/data' };
const page = createServer((_, answer) =>
  answer.end(
    [
      '# TYPE node_filesystem_avail_bytes gauge',
      'node_filesystem_avail_bytes{device="/dev/sda",fstype="ext4",mountpoint="/"} 1',
      'node_filesystem_avail_bytes{device="/dev/sdb",fstype="ext4",mountpoint="/data"} 2.5e+10',
      'node_filesystem_free_bytes{device="/dev/sdb",fstype="ext4",mountpoint="/data"} 3e+10',
      'node_filesystem_size_bytes{device="/dev/sdb",fstype="ext4",mountpoint="/data"} 1.05e+11',
    ].join('\n'),
  ),
);
await new Promise<void>((listening) => page.listen(0, '127.0.0.1', listening));
after(() => page.close());
const url = `http://127.0.0.1:${(page.address() as AddressInfo).port}/metrics`;
const signal = new AbortController().signal;

test('the named file systems are read from a node_exporter, without the space reserved for root; an unknown one is a fault, not free space', async () => {
  assert.deepEqual(await exportedDisks('node1', url, ['/data'])(signal), [
    { mountpoint: '/data', sizeBytes: 1e11, availableBytes: 2.5e10 },
  ]);
  await assert.rejects(exportedDisks('node1', url, ['/data', '/wal'])(signal), /no file system at \/wal/);
});

test('a disk that can no longer be read is unknown: its figures are NaN, its part is UNKNOWN', async () => {
  let told: Disk[] | undefined = [{ mountpoint: '/data', sizeBytes: 100 * GIB, availableBytes: 5 * GIB }];
  const read = createDiskReader(
    {
      node: 'node1',
      read: async () => {
        if (!told) throw new Error('connection refused');
        return told;
      },
    },
    systemClock,
  );
  const well = await read();
  const [part] = diskParts([well], new Map([[labelKey(LABELS), 3 * 3_600]]), []);
  assert.equal(part?.state, 'NOT_READY');
  assert.equal(part?.detail, '95 % of /data used, 5.0 GiB free, full in 3 h at the rate of the last hour');
  told = undefined;
  const silent = await read();
  assert.ok(Number.isNaN(diskSamples(silent)[0]?.value));
  const [unknown] = diskParts([silent], new Map(), []);
  assert.deepEqual([unknown?.id, unknown?.state], ['disk/node1', 'UNKNOWN']);
  assert.match(unknown?.detail ?? '', /connection refused/);
});

test('nodes without a reader are shown as UNKNOWN, not as UP', () => {
  const reading = {
    node: 'node1',
    disks: [{ mountpoint: '/data', sizeBytes: 10, availableBytes: 5 }],
    fault: '',
  };
  const parts = diskParts([reading], new Map(), ['node1', 'node2']);
  assert.deepEqual(
    parts.map(({ id, state }) => [id, state]),
    [
      ['disk/node1', 'UP'],
      ['disk/node2', 'UNKNOWN'],
    ],
  );
});

/** The messages while a disk of 100 GiB has the given free space, poll by poll. */
function watch() {
  const book = emptyBook();
  const history = createHistory(60_000, FORECAST_HISTORY);
  let now = 0;
  const poll = (freeGib: number): string[] => {
    now += POLL_MS;
    const disks = [{ mountpoint: '/data', sizeBytes: 100 * GIB, availableBytes: freeGib * GIB }];
    history.add(now, diskSamples({ node: 'node1', disks, fault: '' }));
    return advanceAlerts(book, DISK_RULES, history, { haproxy: true, services: new Set() }).map(
      ({ kind, alert }) => `${kind} ${alert.rule}: ${kind === 'resolved' ? alert.recovery : alert.message}`,
    );
  };
  const polls = (times: number, freeGib: number | ((n: number) => number)) =>
    Array.from({ length: times }, (_, n) => poll(typeof freeGib === 'number' ? freeGib : freeGib(n))).flat();
  return { polls, history };
}

test('80 % is a warning after a minute, 90 % is critical after ten seconds, in place of the warning; room ends both', () => {
  const { polls } = watch();
  assert.deepEqual(polls(30, 21), []);
  assert.deepEqual(polls(6, 19), []);
  assert.deepEqual(polls(1, 19), ['firing DiskFilling: node1: 81 % of /data is used']);
  assert.deepEqual(polls(2, 9), [
    'firing DiskNearlyFull: node1: 91 % of /data is used: PostgreSQL stops when it is full',
  ]);
  assert.deepEqual(polls(40, Number.NaN), [], 'what is not known ends no alert');
  const ended = polls(1, 50);
  assert.ok(
    ended.some((words) => words === 'resolved DiskNearlyFull: node1: /data has room again'),
    `${ended}`,
  );
});

test('a disk that is full in three hours at the rate of the last hour raises an alert with the time; a disk whose use stays the same never does', () => {
  const { polls, history } = watch();
  assert.deepEqual(polls(400, 70), []);
  // 20 GiB an hour.
  const told = polls(360, (n) => 70 - (n * 20) / 360);
  assert.equal(told.length, 1, `${told}`);
  assert.match(
    told[0] ?? '',
    /^firing DiskFullSoon: node1: \/data is full in [\d.]+ h at the rate of the last hour$/,
  );
  const [forecast] = evaluate(fullIn, history);
  assert.ok(Math.abs((forecast?.value ?? 0) / 3_600 - 50 / 20) < 0.05, `${forecast?.value}`);
  assert.deepEqual(forecast?.labels, LABELS);
});

test('the forecast of a full disk is shown from half an hour of measurements on, not after a minute', () => {
  const { polls, history } = watch();
  const shown = (): (number | undefined)[] => [...forecasts(history).values()];
  let free = 70;
  const filling = () => {
    free -= 0.01;
    return free;
  };
  polls(2, filling);
  assert.ok((evaluate(fullIn, history)[0]?.value ?? 0) > 0, 'the figure of the rule is there');
  assert.deepEqual(shown(), []);
  polls(100, filling);
  polls(70, Number.NaN);
  assert.deepEqual(shown(), [], 'time without measurements is no span of them');
  polls(15, filling);
  assert.deepEqual(
    shown(),
    evaluate(fullIn, history).map(({ value }) => value),
  );
});

test('nodes with one common answer fetch it once a round, and again in the next', async () => {
  let asked = 0;
  const disk = { mountpoint: '/data', sizeBytes: 100, availableBytes: 50 };
  const sources = disksTogether(['node1', 'node2', 'node3'], async () => {
    asked++;
    if (asked === 2) throw new Error('the supervisor does not answer');
    return new Map([
      ['node1', [disk]],
      ['node2', [disk]],
    ]);
  });
  const readers = sources.map((source) => createDiskReader(source, systemClock));
  const round = () => Promise.all(readers.map((read) => read()));
  const faults = async () => (await round()).map(({ fault }) => fault);
  assert.deepEqual(await faults(), ['', '', 'its disks are unknown now']);
  assert.deepEqual(new Set(await faults()), new Set(['the supervisor does not answer']));
  assert.deepEqual((await faults()).slice(0, 2), ['', '']);
  assert.equal(asked, 3);
});
