import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { createFakeClock, type FakeClock } from './fake_clock.ts';
import { TimeoutError, within } from './within.ts';

const unhandled: unknown[] = [];
const note = (error: unknown) => unhandled.push(error);
process.on('unhandledRejection', note);
after(() => process.off('unhandledRejection', note));

/** The outcome of a promise: its value, its error, or nothing yet. */
async function outcomeOf(promise: Promise<unknown>, clock: FakeClock): Promise<unknown> {
  let outcome: unknown = 'waits';
  promise.then(
    (value) => (outcome = value),
    (error) => (outcome = error),
  );
  await clock.flush();
  return outcome;
}

/** The behaviour of the work, and of its surroundings. */
const cases = fc.record({
  limitMs: fc.integer({ min: 1, max: 1_000 }),
  /** When the work ends without a signal; undefined: never. */
  endsAt: fc.option(fc.integer({ min: 0, max: 2_000 })),
  fails: fc.boolean(),
  /** How long the work takes to end once its signal is aborted; undefined: it ignores the signal. */
  heedsAfter: fc.option(fc.integer({ min: 0, max: 500 })),
  outerAt: fc.option(fc.integer({ min: 0, max: 2_000 })),
});

test('work ends on its own, at its limit or by the outer signal, whichever comes first', async () => {
  const property = fc.asyncProperty(cases, async ({ limitMs, endsAt, fails, heedsAfter, outerAt }) => {
    // Two events at the same instant may come in either order.
    const times = [limitMs, endsAt, outerAt].filter((at) => at !== null);
    fc.pre(new Set(times).size === times.length);
    const clock = createFakeClock();
    const outer = new AbortController();
    const hungUp = new Error('hung up');
    const failure = new Error('failed');
    let given: AbortSignal | undefined;
    const work = (signal: AbortSignal) => {
      given = signal;
      return new Promise<string>((resolve, reject) => {
        const end = () => (fails ? reject(failure) : resolve('done'));
        if (endsAt !== null) clock.after(endsAt, end);
        if (heedsAfter !== null)
          signal.addEventListener('abort', () =>
            clock.after(heedsAfter, () => reject(new Error('late', { cause: signal.reason }))),
          );
      });
    };
    if (outerAt !== null) clock.after(outerAt, () => outer.abort(hungUp));
    let found: unknown = 'waits';
    let foundAt = Number.NaN;
    const began = clock.monotonic();
    const ended = (outcome: unknown) => {
      found = outcome;
      foundAt = clock.monotonic() - began;
    };
    within(clock, limitMs, 'the work', work, outer.signal).then(ended, ended);
    await clock.advance(3_000);

    const first = Math.min(...times);
    assert.equal(foundAt, first, 'it ends at the first of the three');
    if (first === limitMs) {
      assert.ok(found instanceof TimeoutError);
      assert.deepEqual([found.message, found.limitMs], [`the work took longer than ${limitMs} ms`, limitMs]);
      assert.equal(given?.reason, found, 'the signal has the same reason');
    } else if (first === endsAt) {
      assert.equal(found, fails ? failure : 'done');
      assert.equal(given?.aborted, false, 'work that has ended is not cut off');
    } else {
      assert.equal(found, hungUp);
      assert.equal(given?.reason, hungUp);
    }
    assert.equal(clock.pendingTimers, 0);
    assert.equal(getEventListeners(outer.signal, 'abort').length, 0);
    assert.deepEqual(unhandled, [], 'later errors are dropped');
  });
  await fc.assert(property, { numRuns: 300 });
});

test('the timer is cleared when the work ends, not when it would fire', async () => {
  const clock = createFakeClock();
  assert.equal(await within(clock, 1_000, 'the work', () => 'at once'), 'at once');
  await clock.flush();
  assert.equal(clock.pendingTimers, 0);
});

test('work that throws before it waits rejects', async () => {
  const clock = createFakeClock();
  const thrown = within(clock, 1_000, 'the work', () => {
    throw new RangeError('at once');
  });
  assert.match(String(await outcomeOf(thrown, clock)), /RangeError: at once/);
  assert.equal(clock.pendingTimers, 0);
});

test('work does not begin after the outer signal was aborted', async () => {
  const clock = createFakeClock();
  let begun = false;
  const work = () => {
    begun = true;
  };
  const over = new Error('over');
  await assert.rejects(within(clock, 1_000, 'the work', work, AbortSignal.abort(over)), over);
  assert.equal(begun, false);
  assert.equal(clock.pendingTimers, 0);
});
