import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '#platform/lifecycle/fake_clock.ts';
import { createBell } from './bell.ts';

test('a ring wakes all who wait, and who was busy meanwhile goes on at once', async () => {
  const clock = createFakeClock();
  const bell = createBell(clock);
  const { signal } = new AbortController();
  const [one, other, busy] = [bell.listener(), bell.listener(), bell.listener()];
  const woken: string[] = [];
  const wait = (name: string, listener: typeof one) =>
    listener.wait(500, signal).then(() => void woken.push(name));
  void wait('one', one);
  void wait('other', other);
  await clock.flush();
  assert.deepEqual(woken, []);
  bell.ring();
  await clock.flush();
  assert.deepEqual(woken, ['one', 'other']);
  await wait('busy', busy);
  void wait('one again', one);
  await clock.advance(499);
  assert.equal(woken.at(-1), 'busy');
  await clock.advance(1);
  assert.equal(woken.at(-1), 'one again');
  assert.equal(clock.pendingTimers, 0);
});

test('who is told to end waits no longer', async () => {
  const clock = createFakeClock();
  const ending = new AbortController();
  const waiting = createBell(clock).listener().wait(500, ending.signal);
  ending.abort();
  await waiting;
  assert.equal(clock.pendingTimers, 0);
});
