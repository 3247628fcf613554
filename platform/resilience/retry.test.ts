import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createFakeClock } from '#platform/lifecycle/fake_clock.ts';
import { backoffMs, createRetryBudget, type RetryOptions, retry } from './retry.ts';

test('property: a pause is anything from 0 to the bound, which doubles up to its limit', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1_100 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (n, r) => {
        const ms = backoffMs(n, { baseMs: 100, maxMs: 10_000, random: () => r });
        const bound = n > 7 ? 10_000 : 100 * 2 ** (n - 1);
        assert.ok(ms >= 0 && ms < Math.max(bound, Number.MIN_VALUE) + 1e-9);
        assert.ok(Math.abs(ms - r * bound) < 1e-6);
      },
    ),
    { numRuns: 2_000 },
  );
});

test('property: retries are never more than the burst and one for each ten calls', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 500, size: 'max' }), (isCall) => {
      const budget = createRetryBudget();
      let calls = 0;
      let retries = 0;
      for (const call of isCall) {
        if (call) budget.onFirstAttempt();
        else if (budget.takeRetry()) retries++;
        if (call) calls++;
        assert.ok(retries <= 10 + calls / 10);
      }
    }),
    { numRuns: 2_000 },
  );
});

test('a spent budget earns a retry with every tenth call, exactly', () => {
  const budget = createRetryBudget(10, 1);
  assert.equal(budget.takeRetry(), true);
  for (let round = 0; round < 100; round++) {
    for (let call = 0; call < 9; call++) budget.onFirstAttempt();
    assert.equal(budget.takeRetry(), false);
    budget.onFirstAttempt();
    assert.equal(budget.takeRetry(), true);
  }
});

function setUp(options: Partial<RetryOptions> = {}) {
  const clock = createFakeClock();
  const start = clock.monotonic();
  const attempts: number[] = [];
  const all = { clock, budget: createRetryBudget(), random: () => 0.5, isRetryable: () => true, ...options };
  const run = (succeedAt: number) =>
    retry(async (attempt) => {
      attempts.push(clock.monotonic() - start);
      if (attempt < succeedAt) throw new Error(`attempt ${attempt}`);
      return attempt;
    }, all);
  return { clock, attempts, run };
}

test('tries again after pauses until it succeeds', async () => {
  const { clock, attempts, run } = setUp();
  const result = run(4);
  await clock.advance(1_000);
  assert.equal(await result, 4);
  assert.deepEqual(attempts, [0, 50, 150, 350]);
  assert.equal(clock.pendingTimers, 0);
});

test('gives up with the last error: after the attempts, at a fault that no attempt mends, at the deadline, without budget', async () => {
  const { clock, run } = setUp();
  const result = run(99);
  result.catch(() => {});
  await clock.advance(60_000);
  await assert.rejects(result, /attempt 4/);
  await assert.rejects(setUp({ isRetryable: () => false }).run(2), /attempt 1/);
  await assert.rejects(setUp({ budget: createRetryBudget(10, 0) }).run(2), /attempt 1/);
  await assert.rejects(setUp({ deadline: clock.monotonic() - 60_000 + 50 }).run(2), /attempt 1/);
});

test('a wait between attempts ends when it is aborted', async () => {
  const controller = new AbortController();
  const { clock, attempts, run } = setUp({ signal: controller.signal });
  const result = run(2);
  await clock.flush();
  controller.abort(new Error('stopping'));
  await assert.rejects(result, /stopping/);
  assert.equal(attempts.length, 1);
  assert.equal(clock.pendingTimers, 0);
});
