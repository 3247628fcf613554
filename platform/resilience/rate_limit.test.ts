import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createFakeClock, FAKE_CLOCK_START_MS } from '#platform/lifecycle/fake_clock.ts';
import { printedSeed } from '../../tests/seed.ts';
import { createRateLimit, STRICTER } from './rate_limit.ts';
import { createWindowCounts } from './window_counts.ts';

const WINDOW_MS = 60_000;
const TEN_DAYS_MS = 10 * 86_400_000;

test('with any change of the wall clock, each window allows its maximum and no client waits for longer than a window', async (t) => {
  const seed = printedSeed(t);
  const step = fc.record({
    afterMs: fc.oneof(fc.nat(1_000), fc.nat(WINDOW_MS)),
    stepMs: fc.constantFrom(0, 0, 0, -TEN_DAYS_MS, TEN_DAYS_MS, -1, 3_600_000),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 60 }),
      fc.integer({ min: 1, max: 5 }),
      async (steps, max) => {
        const clock = createFakeClock();
        const limit = createRateLimit({ what: 'a test', max, windowMs: WINDOW_MS, clock });
        let began: number | undefined;
        let count = 0;
        for (const { afterMs, stepMs } of steps) {
          await clock.advance(afterMs);
          clock.setWallClock(clock.now() + stepMs);
          const now = clock.monotonic();
          if (began === undefined || now - began >= WINDOW_MS) {
            began = now;
            count = 0;
          }
          count++;
          const rate = await limit('a');
          assert.equal(rate.allowed, count <= max);
          assert.equal(rate.left, Math.max(0, max - count));
          assert.ok(rate.endsInMs > 0 && rate.endsInMs <= WINDOW_MS, String(rate.endsInMs));
        }
      },
    ),
    { seed },
  );
});

test('each name is counted alone, refused requests included', async () => {
  const clock = createFakeClock();
  const limit = createRateLimit({ what: 'a test', max: 1, windowMs: WINDOW_MS, clock });
  assert.deepEqual(await Promise.all(['a', 'a', 'b', 'a'].map(async (name) => (await limit(name)).allowed)), [
    true,
    false,
    true,
    false,
  ]);
  clock.setWallClock(FAKE_CLOCK_START_MS - TEN_DAYS_MS);
  assert.equal((await limit('a')).allowed, false);
});

test('while shared counts fail, a process goes by all that it counted itself, and allows less; then they count together again', async () => {
  const clock = createFakeClock();
  const counts = createWindowCounts(clock);
  let isAway = false;
  const shared = {
    increment: async (name: string, windowMs: number) => {
      if (isAway) throw new Error('away');
      return counts.increment(name, windowMs);
    },
  };
  const max = 10;
  const processes = [1, 2].map(() =>
    createRateLimit({ what: 'a test', max, windowMs: WINDOW_MS, shared, clock }),
  );
  const count = async (process: number) => {
    const { allowed, max: told, left } = await processes[process]!('a');
    return [allowed, told, left];
  };
  assert.deepEqual(await count(0), [true, max, 9]);
  assert.deepEqual(await count(1), [true, max, 8]);
  isAway = true;
  const stricter = max / STRICTER;
  for (let n = 2; n <= stricter; n++) assert.deepEqual(await count(0), [true, stricter, stricter - n]);
  assert.deepEqual(await count(0), [false, stricter, 0]);
  assert.deepEqual(await count(1), [true, stricter, stricter - 2]);
  isAway = false;
  assert.deepEqual(await count(0), [true, max, 7]);
});
