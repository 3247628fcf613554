import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { createFakeClock } from '#platform/lifecycle/fake_clock.ts';
import { type WatchedPart, watchParts } from './watchdog.ts';

const PARTS: readonly WatchedPart[] = [
  { name: 'haproxy1', kind: 'haproxy' },
  { name: 'haproxy2', kind: 'haproxy' },
  { name: 'pgb1', kind: 'bouncer' },
];

/** A watchdog over parts that hang while `hung` names them, and come back a while after they were killed. */
function setUp(options: { comesBackAfterMs?: number; staysHung?: boolean } = {}) {
  const clock = createFakeClock();
  const hung = new Set<string>();
  const held = new Set<string>();
  const killed: { name: string; at: number }[] = [];
  const stopping = new AbortController();
  const startedAt = clock.monotonic();
  const ended = watchParts(
    {
      parts: PARTS,
      clock,
      ask: (part, signal) => clock.sleep(hung.has(part.name) ? 3_600_000 : 5, signal),
      isWatched: (name) => !held.has(name),
      restart: (name) => {
        killed.push({ name, at: clock.monotonic() - startedAt });
        if (options.staysHung) return;
        clock.after(options.comesBackAfterMs ?? 1_000, () => hung.delete(name));
      },
      report: () => {},
    },
    stopping.signal,
  );
  const stop = async () => {
    stopping.abort();
    await clock.advance(10_000);
    await ended;
    assert.equal(clock.pendingTimers, 0);
  };
  return { clock, hung, held, killed, stop };
}

test('a part that answers is left alone', async () => {
  const { clock, killed, stop } = setUp();
  await clock.advance(600_000);
  assert.deepEqual(killed, []);
  await stop();
});

test('three unanswered questions in a row kill a part; two do not', async () => {
  const { clock, hung, killed, stop } = setUp();
  hung.add('pgb1');
  await clock.advance(14_000);
  hung.delete('pgb1');
  await clock.advance(60_000);
  assert.deepEqual(killed, []);
  hung.add('pgb1');
  await clock.advance(21_000);
  assert.deepEqual(
    killed.map(({ name }) => name),
    ['pgb1'],
  );
  await clock.advance(300_000);
  assert.equal(killed.length, 1);
  await stop();
});

test('a frozen HAProxy, whose clients have no way around it, is found within the promised 12 s', async () => {
  const { clock, hung, killed, stop } = setUp();
  await clock.advance(10_100);
  hung.add('haproxy2');
  await clock.advance(10_000);
  assert.deepEqual(
    killed.map(({ name }) => name),
    ['haproxy2'],
  );
  await stop();
});

test('one part of a kind is killed at a time: the next waits until the first answers again; other kinds do not wait', async () => {
  const { clock, hung, killed, stop } = setUp({ comesBackAfterMs: 40_000 });
  for (const { name } of PARTS) hung.add(name);
  await clock.advance(21_000);
  assert.deepEqual(killed.map(({ name }) => name).sort(), ['haproxy1', 'pgb1']);
  await clock.advance(90_000);
  assert.deepEqual(killed.map(({ name }) => name).sort(), ['haproxy1', 'haproxy2', 'pgb1']);
  await stop();
});

test('a part that hangs again gets ever more time', async () => {
  const { clock, hung, killed, stop } = setUp({ staysHung: true });
  hung.add('pgb1');
  await clock.advance(3_600_000);
  const pauses = killed.slice(1).map(({ at }, index) => at - killed[index]!.at);
  assert.ok(pauses.length >= 4);
  for (const [index, pause] of pauses.entries())
    assert.ok(index === 0 || pause >= pauses[index - 1]!, `${pauses}`);
  assert.ok(pauses[0]! >= 60_000 && pauses.at(-1)! >= 480_000, `${pauses}`);
  await stop();
});

test('a part that a drill holds is left alone, and starts from zero when it is released', async () => {
  const { clock, hung, held, killed, stop } = setUp();
  held.add('pgb1');
  hung.add('pgb1');
  await clock.advance(120_000);
  held.delete('pgb1');
  await clock.advance(9_000);
  assert.deepEqual(killed, []);
  await clock.advance(30_000);
  assert.equal(killed.length, 1);
  await stop();
});

test('a supervisor without processor time finds no part hung', async () => {
  const clock = createFakeClock();
  const killed: string[] = [];
  const stopping = new AbortController();
  /** Its timers come two seconds late, as on a machine that is too busy. */
  const slow: Clock = {
    ...clock,
    sleep: (ms, signal) => clock.sleep(ms + 2_000, signal),
    after: (ms, run) => clock.after(ms + 2_000, run),
  };
  const ended = watchParts(
    {
      parts: PARTS,
      clock: slow,
      ask: (_part, signal) => clock.sleep(3_600_000, signal),
      isWatched: () => true,
      restart: (name) => void killed.push(name),
      report: () => {},
    },
    stopping.signal,
  );
  await clock.advance(120_000);
  assert.deepEqual(killed, []);
  stopping.abort();
  await clock.advance(10_000);
  await ended;
});
