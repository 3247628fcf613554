import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock, FAKE_CLOCK_START_MS } from './fake_clock.ts';

test('timers run in the order of their times, each at its own time', async () => {
  const clock = createFakeClock();
  const start = clock.monotonic();
  const seen: [string, number][] = [];
  const note = (name: string) => () => void seen.push([name, clock.monotonic() - start]);
  clock.after(20, note('late'));
  clock.after(10, note('first of two'));
  clock.after(10, note('second of two'));
  clock.after(0, note('at once'));
  assert.equal(clock.pendingTimers, 4);
  await clock.advance(15);
  assert.deepEqual(seen, [
    ['at once', 0],
    ['first of two', 10],
    ['second of two', 10],
  ]);
  assert.equal(clock.monotonic() - start, 15);
  await clock.advance(5);
  assert.deepEqual(seen.at(-1), ['late', 20]);
  assert.equal(clock.pendingTimers, 0);
});

test('a chain of sleeps goes on within one advance', async () => {
  const clock = createFakeClock();
  let steps = 0;
  const walk = async () => {
    for (; steps < 5; steps++) await clock.sleep(100);
  };
  const walking = walk();
  await clock.advance(450);
  assert.equal(steps, 4);
  await clock.advance(50);
  await walking;
  assert.equal(steps, 5);
});

test('a cancelled timer and an aborted sleep leave nothing pending', async () => {
  const clock = createFakeClock();
  const cancel = clock.after(10, () => assert.fail('was cancelled'));
  const controller = new AbortController();
  const sleeping = clock.sleep(10, controller.signal);
  cancel();
  controller.abort(new Error('enough'));
  await assert.rejects(sleeping, /enough/);
  await assert.rejects(clock.sleep(10, controller.signal), /enough/);
  assert.equal(clock.pendingTimers, 0);
  await clock.advance(20);
});

test('setting the wall clock moves neither monotonic time nor timers', async () => {
  const clock = createFakeClock();
  assert.equal(clock.now(), FAKE_CLOCK_START_MS);
  let rang = false;
  clock.after(10, () => {
    rang = true;
  });
  const before = clock.monotonic();
  clock.setWallClock(FAKE_CLOCK_START_MS - 3_600_000);
  assert.equal(clock.monotonic(), before);
  await clock.advance(9);
  assert.equal(rang, false);
  await clock.advance(1);
  assert.equal(rang, true);
  assert.equal(clock.now(), FAKE_CLOCK_START_MS - 3_600_000 + 10);
});
