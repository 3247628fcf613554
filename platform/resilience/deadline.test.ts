import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createFakeClock } from '#platform/lifecycle/fake_clock.ts';
import { callAt, parseRequestTimeout, RequestTimeoutError, requestDeadline } from './deadline.ts';

test('Request-Timeout is seconds, with fractions; without it 30 s', () => {
  assert.equal(parseRequestTimeout(undefined), 30_000);
  assert.equal(parseRequestTimeout('5'), 5_000);
  assert.equal(parseRequestTimeout('0.25'), 250);
  assert.equal(parseRequestTimeout('2.500'), 2_500);
  assert.equal(parseRequestTimeout('0.001'), 1);
  assert.equal(parseRequestTimeout('300'), 300_000);
  assert.equal(parseRequestTimeout(' 7 '), 7_000);
});

test('a bad Request-Timeout is an error that names the header and its value', () => {
  const bad = [
    '',
    '0',
    '0.0001',
    '-1',
    '+1',
    '300.001',
    '301',
    '1e3',
    '0x10',
    'NaN',
    'Infinity',
    '5s',
    '1,5',
    '5, 6',
  ];
  for (const value of bad) {
    assert.throws(
      () => parseRequestTimeout(value),
      (error) =>
        error instanceof RequestTimeoutError && error.value === value && error.message.includes(`"${value}"`),
      value,
    );
  }
  assert.throws(() => parseRequestTimeout(['5', '6']), /Request-Timeout is "5, 6"/);
});

test('property: whatever the header is, the timeout is within its bounds or an error', () => {
  const header = fc.oneof(fc.string(), fc.double().map(String), fc.integer().map(String));
  fc.assert(
    fc.property(header, (value) => {
      let timeoutMs: number;
      try {
        timeoutMs = parseRequestTimeout(value);
      } catch (error) {
        assert.ok(error instanceof RequestTimeoutError);
        return;
      }
      assert.ok(Number.isInteger(timeoutMs) && timeoutMs >= 1 && timeoutMs <= 300_000);
    }),
    { numRuns: 5_000 },
  );
});

test('a deadline is that much later in monotonic time', () => {
  const clock = createFakeClock();
  assert.equal(requestDeadline('1.5', clock), clock.monotonic() + 1_500);
});

test('a timer for a deadline rings at it, however far away it is, and can be cancelled', async () => {
  const clock = createFakeClock();
  const yearMs = 365 * 86_400_000;
  const start = clock.monotonic();
  const rang: number[] = [];
  callAt(clock, start + yearMs, () => void rang.push(clock.monotonic() - start));
  callAt(clock, start - 5, () => void rang.push(clock.monotonic() - start));
  await clock.advance(yearMs - 1);
  assert.deepEqual(rang, [0]);
  await clock.advance(1);
  assert.deepEqual(rang, [0, yearMs]);
  const cancel = callAt(clock, clock.monotonic() + yearMs, () => assert.fail('was cancelled'));
  await clock.advance(yearMs / 2);
  cancel();
  assert.equal(clock.pendingTimers, 0);
});

test('a timer that rings early is set again', async () => {
  const clock = createFakeClock();
  const early = {
    ...clock,
    monotonic: clock.monotonic,
    after: (ms: number, run: () => void) => clock.after(ms / 2, run),
  };
  const due = clock.monotonic() + 100;
  let rangAt = 0;
  callAt(early, due, () => {
    rangAt = clock.monotonic();
  });
  await clock.advance(200);
  assert.ok(rangAt >= due);
});
