import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createFakeClock, FAKE_CLOCK_START_MS } from '#platform/lifecycle/fake_clock.ts';
import { printedSeed } from '../../tests/seed.ts';
import { createRateLimit } from './rate_limit.ts';

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
        const limit = createRateLimit({ max, windowMs: WINDOW_MS, clock });
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
          const rate = limit('a');
          assert.equal(rate.allowed, count <= max);
          assert.equal(rate.left, Math.max(0, max - count));
          assert.ok(rate.endsInMs > 0 && rate.endsInMs <= WINDOW_MS, String(rate.endsInMs));
        }
      },
    ),
    { seed },
  );
});

test('each name is counted alone, refused requests included', () => {
  const clock = createFakeClock();
  const limit = createRateLimit({ max: 1, windowMs: WINDOW_MS, clock });
  assert.deepEqual(
    ['a', 'a', 'b', 'a'].map((name) => limit(name).allowed),
    [true, false, true, false],
  );
  clock.setWallClock(FAKE_CLOCK_START_MS - TEN_DAYS_MS);
  assert.equal(limit('a').allowed, false);
});
