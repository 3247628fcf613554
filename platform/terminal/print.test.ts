/** Tables fit into a terminal's lines where possible, and are printed whole everywhere else. */
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { duration, table } from './print.ts';
import { showRunning } from './running_line.ts';

const PATH = '/var/log/asterisk/cdr-csv/a-long-name-of-a-switch/Master.csv';
const header = ['i_import', 'source', 'file', 'started'];
const rows = [
  [1, 'demo', 'demo', '2026-11-29T22:03:35.649101Z'],
  [123_456, 'a switch with a long name', PATH, '2026-11-29T22:03:35.649101Z'],
];

test('a table wider than the terminal has its widest texts cut in their middle, never its numbers', () => {
  for (const room of [80, 60]) {
    const lines = table(header, rows, room).split('\n');
    for (const line of lines) assert.ok(line.length <= room, `${line.length}: ${line}`);
    assert.match(lines[2]!, /^ {2}123456 {2}a sw.*…/);
    assert.match(lines[2]!, /\/v\S*…\S*sv /);
  }
  const widest = Math.max(
    ...table(header, rows, 1_000)
      .split('\n')
      .map((line) => line.length),
  );
  assert.equal(table(header, rows, widest), table(header, rows, 1_000));
  assert.ok(table(header, rows).includes(PATH), 'a pipe gets all of it');
  assert.ok(table(header, rows, 10).includes('123456'), 'a table that cannot fit is wider');
});

test('the last progress line shows the end, where lines are not drawn over', async () => {
  const out = new PassThrough();
  let percent = 10;
  const stop = showRunning(out as unknown as NodeJS.WriteStream, () => `${percent}%`);
  await sleep(1_200);
  percent = 100;
  stop();
  assert.equal(String(out.read()), '10%\n100%\n');
  const short = new PassThrough();
  showRunning(short as unknown as NodeJS.WriteStream, () => 'over at once')();
  assert.equal(short.read(), null);
});

test('durations', () => {
  assert.deepEqual([5, 65, 3_700, 90_000].map(duration), ['5s', '1m 5s', '1h 1m', '1d 1h 0m']);
});
