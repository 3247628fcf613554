import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from './fake_clock.ts';
import { createRest } from './rest.ts';

const never = new AbortController().signal;

test('a rest ends after its time, by a wake, by a stop, and at once after an earlier wake', async () => {
  const clock = createFakeClock();
  const loop = createRest(clock);
  let ended = 0;
  const begin = (stopping = never) => void loop.rest(1_000, stopping).then(() => ended++);

  begin();
  await clock.advance(999);
  assert.equal(ended, 0);
  await clock.advance(1);
  assert.equal(ended, 1);

  begin();
  await clock.advance(1);
  loop.wake();
  await clock.flush();
  assert.equal(ended, 2);

  loop.wake();
  begin();
  await clock.flush();
  assert.equal(ended, 3, 'a wake between two rests is not lost');

  const stopping = new AbortController();
  begin(stopping.signal);
  stopping.abort();
  await clock.flush();
  assert.equal(ended, 4);
  assert.equal(clock.pendingTimers, 0);
});
