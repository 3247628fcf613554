import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createFakeClock } from '#platform/lifecycle/fake_clock.ts';
import { createCircuitBreaker, OPEN_MS } from './circuit_breaker.ts';
import type { Priority, Refusal } from './request_context.ts';
import {
  type Admission,
  createRequestQueue,
  QUEUE_LIMIT,
  type QueueEvent,
  type RequestQueueOptions,
  type Slot,
} from './request_queue.ts';
import { STANDING_INTERVAL_MS } from './standing_queue.ts';

const NEVER = new AbortController().signal;

/** A queue, and for each request that entered it: its name, and what became of it. */
function setUp(options: Partial<RequestQueueOptions> = {}) {
  const clock = createFakeClock();
  const queue = createRequestQueue({ slots: 1, order: 'fifo', clock, ...options });
  const dispatched: { readonly name: string; readonly slot: Slot }[] = [];
  const refused: { readonly name: string; readonly refusal: Refusal; readonly waitedMs: number }[] = [];
  const enter = (
    name: string,
    asked: { priority?: Priority; tenant?: string; timeoutMs?: number; signal?: AbortSignal } = {},
  ) => {
    const { priority = 'customer', tenant = 'a', timeoutMs = 30_000, signal = NEVER } = asked;
    const note = (admission: Admission) => {
      if (admission.admitted) dispatched.push({ name, slot: admission.slot });
      else refused.push({ name, refusal: admission.refusal, waitedMs: admission.waitedMs });
    };
    void queue.enter({ priority, tenant, deadline: clock.monotonic() + timeoutMs, signal }).then(note);
  };
  /** Serves all who wait, one after the other, each in no time; returns their names in order. */
  const serveAll = async (): Promise<string[]> => {
    await clock.flush();
    const before = dispatched.length;
    for (let next = 0; next < dispatched.length; next++) {
      dispatched[next]!.slot.release('success');
      await clock.flush();
    }
    return dispatched.slice(before).map((d) => d.name);
  };
  return { clock, queue, enter, dispatched, refused, serveAll };
}

const countTo = (n: number) => Array.from({ length: n }, (_, i) => i);

test('as many run as there are slots, 200 wait, the next is refused at once', async () => {
  const { clock, queue, enter, dispatched, refused, serveAll } = setUp({ slots: 10 });
  for (const i of countTo(10 + QUEUE_LIMIT + 1)) enter(`${i}`);
  await clock.flush();
  assert.equal(dispatched.length, 10);
  assert.equal(queue.status.waiting, 200);
  assert.deepEqual(refused, [{ name: '210', refusal: 'queue_overload', waitedMs: 0 }]);
  const served = await serveAll();
  assert.deepEqual(
    served,
    countTo(QUEUE_LIMIT).map((i) => `${i + 10}`),
  );
});

test('accounts take turns; within an account it is first come, first served', async () => {
  const { enter, serveAll } = setUp();
  enter('busy');
  for (const name of ['a1', 'a2', 'a3', 'a4']) enter(name, { tenant: 'a' });
  for (const name of ['b1', 'b2']) enter(name, { tenant: 'b' });
  enter('c1', { tenant: 'c' });
  assert.deepEqual(await serveAll(), ['a1', 'b1', 'c1', 'a2', 'b2', 'a3', 'a4']);
});

test('while both wait, three customers go for each operator, whoever came first', async () => {
  for (const firstPriority of ['customer', 'operator'] as const) {
    const { enter, serveAll } = setUp();
    enter('busy');
    const priorities: Priority[] =
      firstPriority === 'customer' ? ['customer', 'operator'] : ['operator', 'customer'];
    for (const priority of priorities)
      for (const i of countTo(20)) enter(priority, { priority, tenant: `${i}` });
    const served = await serveAll();
    for (const from of countTo(20)) {
      const window = served.slice(from, from + 4);
      assert.equal(
        window.filter((priority) => priority === 'operator').length,
        1,
        `one operator in ${window}`,
      );
    }
  }
});

test('one account may fill the queue when it is alone, and is pushed out of it down to its even part by others', async () => {
  const { clock, queue, enter, refused } = setUp({ limit: 8 });
  enter('busy');
  for (const i of countTo(8)) enter(`a${i}`, { tenant: 'a' });
  await clock.flush();
  assert.equal(queue.status.waiting, 8);
  for (const i of countTo(6)) {
    enter(`b${i}`, { tenant: 'b' });
    await clock.flush();
  }
  assert.deepEqual(
    refused.map((r) => r.name),
    ['a7', 'a6', 'a5', 'a4', 'b4', 'b5'],
  );
  assert.ok(refused.every((r) => r.refusal === 'queue_overload'));
});

test('property: an account below its even part of the queue always finds a place in it', async () => {
  const crowd = fc.array(
    fc.record({ priority: fc.constantFrom<Priority>('operator', 'customer'), tenant: fc.nat(4) }),
    {
      minLength: 1,
      maxLength: 60,
    },
  );
  const property = fc.asyncProperty(fc.integer({ min: 4, max: 20 }), crowd, async (limit, requests) => {
    const { clock, queue, enter, refused } = setUp({ limit });
    enter('busy');
    const inRoom = new Map<string, string>();
    for (const [i, { priority, tenant }] of requests.entries()) {
      const account = `${priority} ${tenant}`;
      inRoom.set(`${i}`, account);
      const accounts = new Set([...inRoom.values()].filter((a) => a.startsWith(priority)));
      const own = [...inRoom.values()].filter((a) => a === account).length - 1;
      const classPlaces = priority === 'operator' ? Math.floor(limit / 4) : limit - Math.floor(limit / 4);
      enter(`${i}`, { priority, tenant: `${tenant}` });
      await clock.flush();
      for (const { name } of refused) inRoom.delete(name);
      if (own < Math.floor(classPlaces / accounts.size))
        assert.ok(inRoom.has(`${i}`), `${account} has only ${own}`);
      assert.equal(queue.status.waiting, inRoom.size);
    }
  });
  await fc.assert(property, { numRuns: 1_000 });
});

test('a request whose deadline passes, or whose client hangs up, leaves without a slot', async () => {
  const { clock, enter, refused, dispatched } = setUp();
  const client = new AbortController();
  enter('busy');
  enter('short', { timeoutMs: 100 });
  enter('gone', { signal: client.signal });
  enter('stays');
  enter('late', { timeoutMs: 0 });
  enter('gone before', { signal: AbortSignal.abort() });
  await clock.advance(40);
  client.abort();
  await clock.advance(100);
  assert.deepEqual(refused, [
    { name: 'late', refusal: 'deadline', waitedMs: 0 },
    { name: 'gone before', refusal: 'client_gone', waitedMs: 0 },
    { name: 'gone', refusal: 'client_gone', waitedMs: 40 },
    { name: 'short', refusal: 'deadline', waitedMs: 100 },
  ]);
  dispatched[0]!.slot.release('success');
  await clock.flush();
  assert.deepEqual(
    dispatched.map((d) => d.name),
    ['busy', 'stays'],
  );
});

/** Teaches the queue how long work takes at present. */
async function serveEach(context: ReturnType<typeof setUp>, ms: number, times: number): Promise<void> {
  for (const _ of countTo(times)) {
    context.enter('quick');
    await context.clock.advance(ms);
    context.dispatched.at(-1)!.slot.release('success');
    await context.clock.flush();
  }
}

test('what cannot be done before its deadline is not begun while others wait for the slot', async () => {
  const context = setUp();
  const { clock, enter, refused, dispatched } = context;
  await serveEach(context, 1_000, 10);
  enter('busy');
  enter('too late', { timeoutMs: 1_500 });
  enter('possible', { timeoutMs: 5_000 });
  await clock.advance(600);
  dispatched.at(-1)!.slot.release('success');
  await clock.flush();
  assert.deepEqual(refused, [{ name: 'too late', refusal: 'deadline', waitedMs: 600 }]);
  assert.equal(dispatched.at(-1)!.name, 'possible');
});

test('a queue that thinks every deadline too short finds out when work is quick again', async () => {
  const context = setUp();
  const { clock, queue, enter, dispatched, refused } = context;
  await serveEach(context, 10_000, 31);
  dispatched.length = 0;
  // Work takes 10 ms now, every client waits for 1 s, and there is always a crowd.
  for (const _ of countTo(300)) {
    for (const i of countTo(3)) enter(`${i}`, { timeoutMs: 1_000 });
    await clock.advance(10);
    for (const { slot } of dispatched) slot.release('success');
    await clock.flush();
  }
  assert.ok(dispatched.length > 200, `${dispatched.length} of 300 turns were used`);
  assert.ok(queue.status.running <= 1 && refused.length > 0);
});

test('requests wait for an open breaker until their deadline, and the others go when it lets them', async () => {
  const clock = createFakeClock();
  const breaker = createCircuitBreaker({ clock });
  const events: QueueEvent[] = [];
  const { queue, enter, dispatched, refused } = setUp({
    slots: 10,
    clock,
    gate: breaker,
    onEvent: (event) => void events.push(event),
  });
  enter('last words');
  await clock.flush();
  breaker.databaseDown(new Error('no answer'));
  for (const i of countTo(8)) enter(`${i}`, { timeoutMs: i === 0 ? 1_000 : 2 * OPEN_MS });
  await clock.advance(OPEN_MS - 1);
  assert.deepEqual(refused, [{ name: '0', refusal: 'breaker_open', waitedMs: 1_000 }]);
  assert.equal(dispatched.length, 1);
  await clock.advance(1);
  assert.equal(dispatched.length, 4, 'three probes');
  assert.ok(dispatched.slice(1).every((d) => d.slot.probe));
  dispatched[0]!.slot.release('failure', new Error('from before'));
  await clock.flush();
  assert.equal(dispatched.length, 4, 'a slot that comes back is no permission');
  dispatched[1]!.slot.release('neutral');
  await clock.flush();
  assert.equal(dispatched.length, 5, 'the place of a probe that said nothing is given to another');
  for (const { slot } of dispatched.slice(2)) slot.release('success');
  await clock.flush();
  assert.equal(breaker.state.name, 'CLOSED');
  assert.equal(dispatched.length, 8);
  assert.equal(queue.status.waiting, 0);
  assert.deepEqual(events.filter((e) => e.kind === 'dispatched').map((e) => e.waitedMs)[1], OPEN_MS);
});

test('closing refuses all who wait and come, and resolves when the last slot is back', async () => {
  const { clock, queue, enter, refused, dispatched } = setUp();
  enter('busy');
  enter('waits');
  await clock.advance(5);
  let closed = false;
  void queue.close().then(() => {
    closed = true;
  });
  await clock.flush();
  enter('comes');
  await clock.flush();
  assert.deepEqual(refused, [
    { name: 'waits', refusal: 'shutting_down', waitedMs: 5 },
    { name: 'comes', refusal: 'shutting_down', waitedMs: 0 },
  ]);
  assert.equal(closed, false);
  dispatched[0]!.slot.release('success');
  await clock.flush();
  assert.equal(closed, true);
  assert.equal(clock.pendingTimers, 0);
});

/** Keeps one slot busy with work of 50 ms for `ms`, while `arrive` is called every 10 ms. */
async function crowd(
  context: ReturnType<typeof setUp>,
  ms: number,
  arrive: (turn: number) => void,
): Promise<void> {
  for (const turn of countTo(ms / 10)) {
    arrive(turn);
    await context.clock.advance(10);
    if (turn % 5 === 4) context.dispatched.at(-1)?.slot.release('success');
    await context.clock.flush();
  }
}

test('adaptive: newest first once the queue stands, oldest first again after it has drained', async () => {
  const context = setUp({ order: 'adaptive' });
  const { queue, enter, dispatched, serveAll } = context;
  await crowd(context, STANDING_INTERVAL_MS + 300, (turn) => enter(`${turn}`));
  assert.equal(queue.status.newestFirst, true);
  const [newest, before] = [Number(dispatched.at(-1)!.name), Number(dispatched.at(-2)!.name)];
  assert.ok(newest > before && newest >= (STANDING_INTERVAL_MS + 300) / 10 - 2, `${newest} is of the newest`);
  await serveAll();
  assert.equal(queue.status.newestFirst, false);
  enter('busy');
  enter('first');
  enter('second');
  assert.deepEqual(await serveAll(), ['first', 'second']);
});

test('adaptive: an account that floods the queue does not take the turns of the others', async () => {
  const context = setUp({ order: 'adaptive' });
  const { queue, enter, dispatched } = context;
  // Five accounts with a request each 100 ms, and one with ten times as many as all of them together could have served.
  const arrive = (turn: number) => {
    if (turn % 10 < 5) enter(`quiet ${turn % 10}`, { tenant: `quiet ${turn % 10}`, timeoutMs: 1_000 });
    for (const _ of countTo(4)) enter('flood', { tenant: 'flood', timeoutMs: 1_000 });
  };
  await crowd(context, 2 * STANDING_INTERVAL_MS, arrive);
  assert.equal(queue.status.newestFirst, true);
  const before = dispatched.length;
  await crowd(context, 6_000, arrive);
  const turns = Map.groupBy(dispatched.slice(before), (d) => d.name);
  assert.equal(dispatched.length - before, 120);
  for (const account of ['flood', ...countTo(5).map((i) => `quiet ${i}`)]) {
    const count = turns.get(account)?.length ?? 0;
    assert.ok(count >= 15 && count <= 25, `${account} had ${count} of 120 turns; an even part is 20`);
  }
});
