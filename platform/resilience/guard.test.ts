import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import fc from 'fast-check';
import { createFakeClock, type FakeClock } from '#platform/lifecycle/fake_clock.ts';
import { printedSeed } from '#tests/seed.ts';
import { createCircuitBreaker } from './circuit_breaker.ts';
import {
  CANCEL_GRACE_MS,
  createGuard,
  type Guarded,
  type GuardedSlot,
  TIMEOUT_COUNTS_AFTER_MS,
} from './guard.ts';
import { createRequestQueue, type QueueEvent } from './request_queue.ts';

const RUNS = 2_000;

function setUp(slots = 2, limit = 200) {
  const clock = createFakeClock();
  const breaker = createCircuitBreaker({ clock });
  const events: QueueEvent[] = [];
  const onEvent = (event: QueueEvent) => void events.push(event);
  const queue = createRequestQueue({ slots, limit, order: 'fifo', clock, gate: breaker, onEvent });
  const guard = createGuard({ queue, breaker, clock });
  const client = new AbortController();
  const context = (timeoutMs = 30_000, signal = client.signal) =>
    ({ priority: 'customer', tenant: 'a', deadline: clock.monotonic() + timeoutMs, signal }) as const;
  const outcomes = () => events.filter((e) => e.kind === 'released').map((e) => e.outcome);
  return { clock, breaker, queue, guard, client, context, outcomes };
}

/** Work that takes `ms`, and ends at once when it is cut off. */
const obedient = (clock: FakeClock, ms: number) => async (slot: GuardedSlot) => {
  await clock.sleep(ms, slot.signal);
  return 'done';
};

/** Work that takes `ms` whatever it is told. */
const deaf = (clock: FakeClock, ms: number) => async () => {
  await clock.sleep(ms);
  return 'done';
};

test('work gets a slot and its value is handed on', async () => {
  const { clock, guard, context, client, outcomes } = setUp(1);
  const first = guard.run(context(), obedient(clock, 100));
  const second = guard.run(context(), obedient(clock, 100));
  await clock.advance(200);
  assert.deepEqual(await first, { ok: true, value: 'done', waitedMs: 0 });
  assert.deepEqual(await second, { ok: true, value: 'done', waitedMs: 100 });
  assert.deepEqual(outcomes(), ['success', 'success']);
  assert.equal(clock.pendingTimers, 0);
  assert.deepEqual(
    getEventListeners(client.signal, 'abort'),
    [],
    'a connection kept alive gathers no listeners',
  );
});

test('what work throws is thrown on, and judged', async () => {
  const { clock, guard, context, outcomes, breaker } = setUp();
  const throwing = (error: unknown) => guard.run(context(), () => Promise.reject(error));
  await assert.rejects(throwing(Object.assign(new Error('duplicate'), { code: '23505' })), /duplicate/);
  await assert.rejects(throwing(new TypeError('a fault of ours')), /a fault of ours/);
  for (let i = 0; i < 5; i++) {
    await assert.rejects(throwing(Object.assign(new Error('lost'), { code: 'ECONNRESET' })), /lost/);
  }
  assert.deepEqual(outcomes(), ['success', 'neutral', 'failure', 'failure', 'failure', 'failure', 'failure']);
  assert.equal(breaker.state.name, 'OPEN');
  breaker.stop();
  assert.equal(clock.pendingTimers, 0);
});

test('connections that are lost together count once; those lost one after the other count each', async () => {
  const slots = 10;
  const { clock, guard, context, breaker } = setUp(slots);
  const lost = Object.assign(new Error('lost'), { code: '57P01' });
  const losing = async () => {
    await clock.sleep(10);
    throw lost;
  };
  const crash = async () => {
    const all = Array.from({ length: slots }, () => assert.rejects(guard.run(context(), losing), /lost/));
    await clock.advance(10);
    await Promise.all(all);
  };
  await crash();
  assert.equal(breaker.state.name === 'CLOSED' && breaker.state.consecutiveFailures, 1);
  for (let n = 0; n < 3; n++) await crash();
  assert.equal(breaker.state.name, 'CLOSED');
  await crash();
  assert.equal(breaker.state.name, 'OPEN', 'a server that is gone is told by five in a row as ever');
  breaker.stop();
});

test('work that throws before its first wait gives its slot back too', async () => {
  const { guard, context, queue } = setUp();
  const broken = () => {
    throw new Error('at once');
  };
  await assert.rejects(guard.run(context(), broken), /at once/);
  assert.equal(queue.status.running, 0);
});

test('at the deadline work is cut off; a short timeout is nobody else’s trouble', async () => {
  const { clock, guard, context, outcomes } = setUp();
  const answer = guard.run(context(500), obedient(clock, 10_000));
  await clock.advance(500);
  assert.deepEqual(await answer, { ok: false, refusal: 'deadline', waitedMs: 0 });
  assert.deepEqual(outcomes(), ['neutral']);
  assert.equal(clock.pendingTimers, 0);
});

test('work cut off after half the query timeout is a failure of the database', async () => {
  const { clock, guard, context, outcomes } = setUp();
  for (const timeoutMs of [TIMEOUT_COUNTS_AFTER_MS - 1, TIMEOUT_COUNTS_AFTER_MS]) {
    const answer = guard.run(context(timeoutMs), obedient(clock, 60_000));
    await clock.advance(timeoutMs);
    assert.equal((await answer).ok, false);
  }
  assert.deepEqual(outcomes(), ['neutral', 'failure']);
});

test('when the client hangs up work is cut off, and that is no failure however long it ran', async () => {
  const { clock, guard, context, client, outcomes } = setUp();
  const answer = guard.run(context(), obedient(clock, 60_000));
  await clock.advance(TIMEOUT_COUNTS_AFTER_MS + 1);
  client.abort();
  assert.deepEqual(await answer, { ok: false, refusal: 'client_gone', waitedMs: 0 });
  assert.deepEqual(outcomes(), ['neutral']);
});

test('a client that hangs up between dispatch and work: the work is not begun', async () => {
  const { clock, guard, context, client, outcomes } = setUp();
  let begun = false;
  const answer = guard.run(context(), async () => {
    begun = true;
  });
  client.abort();
  assert.deepEqual(await answer, { ok: false, refusal: 'client_gone', waitedMs: 0 });
  assert.equal(begun, false);
  assert.deepEqual(outcomes(), ['neutral']);
  assert.equal(clock.pendingTimers, 0);
});

test('work that does not end when it is cut off is abandoned: answered, its slot given on, a failure', async () => {
  const { clock, guard, context, outcomes, queue } = setUp(1);
  const frozen = guard.run(context(500), deaf(clock, 3_600_000));
  const next = guard.run(context(), obedient(clock, 10));
  await clock.advance(500 + CANCEL_GRACE_MS - 1);
  assert.equal(queue.status.running, 1);
  await clock.advance(1 + 10);
  assert.deepEqual(await frozen, { ok: false, refusal: 'deadline', waitedMs: 0 });
  assert.equal((await next).ok, true);
  assert.deepEqual(outcomes(), ['failure', 'success']);
});

test('work is cut off once: a client that hangs up after the deadline changes nothing', async () => {
  const { clock, guard, context, client } = setUp(1);
  const answer = guard.run(context(500), deaf(clock, 3_600_000));
  await clock.advance(500 + CANCEL_GRACE_MS / 2);
  client.abort();
  await clock.advance(CANCEL_GRACE_MS / 2);
  assert.deepEqual(await answer, { ok: false, refusal: 'deadline', waitedMs: 0 });
});

test('a value that comes after the cut is still handed on', async () => {
  const { clock, guard, context, outcomes } = setUp();
  const answer = guard.run(context(500), deaf(clock, 500 + CANCEL_GRACE_MS / 2));
  await clock.advance(2_000);
  assert.deepEqual(await answer, { ok: true, value: 'done', waitedMs: 0 });
  assert.deepEqual(outcomes(), ['success']);
});

test('a refusal while the breaker is open says when the next probe is', async () => {
  const { clock, guard, context, breaker } = setUp();
  breaker.databaseDown(new Error('no answer'));
  const answer = guard.run(context(20_000), obedient(clock, 10));
  const openedAt = clock.now();
  await clock.advance(20_000);
  assert.deepEqual(await answer, {
    ok: false,
    refusal: 'breaker_open',
    waitedMs: 20_000,
    nextProbe: { at: openedAt + 60_000, inMs: 40_000 },
  });
});

test('closing lets what runs end, cuts off what does not, and refuses the rest', async () => {
  const { clock, guard, context, outcomes } = setUp(2);
  const quick = guard.run(context(), obedient(clock, 400));
  const slow = guard.run(context(), obedient(clock, 20_000));
  const waits = guard.run(context(), obedient(clock, 10));
  await clock.flush();
  let closed = false;
  const closing = guard.close(500).then(() => {
    closed = true;
  });
  await clock.advance(499);
  assert.equal(closed, false);
  await clock.advance(1);
  await closing;
  assert.equal((await quick).ok, true);
  assert.deepEqual(await slow, { ok: false, refusal: 'shutting_down', waitedMs: 0 });
  assert.deepEqual(await waits, { ok: false, refusal: 'shutting_down', waitedMs: 0 });
  assert.deepEqual(outcomes(), ['success', 'neutral']);
  assert.equal(clock.pendingTimers, 0);
});

test('closing with nothing at work is over at once and leaves no timer', async () => {
  const { clock, guard } = setUp();
  await guard.close(500);
  assert.equal(clock.pendingTimers, 0);
});

test('closing is over one grace after the cut even when work is deaf', async () => {
  const { clock, guard, context } = setUp(1);
  void guard.run(context(), deaf(clock, 3_600_000));
  await clock.flush();
  let closed = false;
  void guard.close(500).then(() => {
    closed = true;
  });
  await clock.advance(500 + CANCEL_GRACE_MS);
  assert.equal(closed, true);
});

const request = fc.record({
  arrivesAfter: fc.integer({ min: 0, max: 300 }),
  timeoutMs: fc.oneof(fc.integer({ min: 0, max: 2_000 }), fc.constant(30_000)),
  hangsUpAfter: fc.option(fc.integer({ min: 0, max: 2_000 })),
  takesMs: fc.oneof(fc.integer({ min: 0, max: 500 }), fc.constant(20_000)),
  ends: fc.constantFrom('well', 'well', 'badly', 'lost', 'lost'),
  deaf: fc.boolean(),
});

test('property: whatever work and clients do, each is answered once and nothing is left behind', async (t) => {
  const property = fc.asyncProperty(
    fc.integer({ min: 1, max: 3 }),
    fc.integer({ min: 0, max: 5 }),
    fc.array(request, { maxLength: 30, size: 'max' }),
    async (slots, limit, requests) => {
      const { clock, guard, queue, breaker } = setUp(slots, limit);
      const answers: Promise<Guarded<string> | 'threw'>[] = [];
      let answered = 0;
      for (const { arrivesAfter, timeoutMs, hangsUpAfter, takesMs, ends, deaf: isDeaf } of requests) {
        await clock.advance(arrivesAfter);
        const client = new AbortController();
        const hangUp = () => client.abort();
        const cancelHangUp = hangsUpAfter === null ? () => {} : clock.after(hangsUpAfter, hangUp);
        const deadline = clock.monotonic() + timeoutMs;
        const work = async (slot: GuardedSlot) => {
          assert.ok(queue.status.running <= slots);
          await clock.sleep(takesMs, isDeaf ? undefined : slot.signal);
          if (ends === 'badly') throw new TypeError('a fault of ours');
          if (ends === 'lost') throw Object.assign(new Error('lost'), { code: 'ECONNRESET' });
          return 'done';
        };
        const answer = guard
          .run({ priority: 'customer', tenant: 'a', deadline, signal: client.signal }, work)
          .catch(() => 'threw' as const)
          .finally(() => {
            cancelHangUp();
            answered++;
            const lateMs = clock.monotonic() - deadline;
            assert.ok(lateMs <= CANCEL_GRACE_MS, `answered ${lateMs} ms after its deadline`);
          });
        answers.push(answer);
      }
      await clock.advance(60_000);
      for (const answer of await Promise.all(answers)) {
        if (answer !== 'threw' && answer.ok) assert.equal(answer.value, 'done');
      }
      assert.equal(answered, requests.length);
      assert.equal(queue.status.running, 0);
      assert.equal(queue.status.waiting, 0);
      if (breaker.state.name === 'HALF_OPEN') assert.equal(breaker.state.probes, 0);
      breaker.stop();
      assert.equal(clock.pendingTimers, 0);
    },
  );
  await fc.assert(property, { numRuns: RUNS, seed: printedSeed(t) });
});
