/** Holds the sharing of slots against its rules, whatever services ask for, however long their work takes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createFakeClock, type FakeClock } from '#platform/lifecycle/fake_clock.ts';
import { printedSeed } from '#tests/seed.ts';
import { createCircuitBreaker } from './circuit_breaker.ts';
import { createRequestQueue, type Slot } from './request_queue.ts';
import { createSharedSlots, USED_LATELY_MS } from './shared_slots.ts';

const RUNS = 500;
const NEVER = new AbortController().signal;
const LONG_MS = 3_600_000;

/** A service as the rules see it: what it holds, and when it last had work. */
interface Service {
  readonly held: Slot[];
  usedAt: number;
  waiting(): number;
  ask(): void;
  end(which?: number): void;
  leave(): Promise<void>;
}

function setUp(size: number, names: readonly string[], onLent: (service: Service) => void = () => {}) {
  const clock = createFakeClock();
  const slots = createSharedSlots(size, clock);
  const services = names.map((): Service => {
    const gate = slots.join({ waiting: () => queue.status.waiting });
    const queue = createRequestQueue({ slots: size, order: 'fifo', clock, gate });
    const service: Service = {
      held: [],
      usedAt: Number.NEGATIVE_INFINITY,
      waiting: () => queue.status.waiting,
      ask() {
        const deadline = clock.monotonic() + LONG_MS;
        void queue.enter({ priority: 'customer', tenant: 'a', deadline, signal: NEVER }).then((admission) => {
          if (!admission.admitted) return;
          onLent(service);
          service.held.push(admission.slot);
        });
      },
      end(which = 0) {
        const [slot] = service.held.splice(which % service.held.length, 1);
        service.usedAt = clock.monotonic();
        slot!.release('neutral');
      },
      async leave() {
        const closed = queue.close();
        while (service.held.length > 0) service.end();
        await closed;
        gate.leave();
      },
    };
    return service;
  });
  return { clock, services };
}

async function ask(clock: FakeClock, service: Service, times: number): Promise<void> {
  for (let n = 0; n < times; n++) service.ask();
  await clock.flush();
}

const heldBy = (services: readonly Service[]) => services.map(({ held }) => held.length);

test('a service that has the server to itself has all slots; one whose neighbours rest, all but one', async () => {
  const alone = setUp(10, ['a']);
  await ask(alone.clock, alone.services[0]!, 20);
  assert.deepEqual(heldBy(alone.services), [10]);
  const beside = setUp(10, ['a', 'b']);
  await ask(beside.clock, beside.services[0]!, 20);
  assert.deepEqual(heldBy(beside.services), [9, 0]);
  await ask(beside.clock, beside.services[1]!, 20);
  assert.deepEqual(heldBy(beside.services), [9, 1], 'the last one is kept for who has none');
});

test('two that want all get half each, whoever came first, as soon as what runs has ended', async () => {
  const { clock, services } = setUp(10, ['first', 'second']);
  const [first, second] = services as [Service, Service];
  await ask(clock, first, 40);
  await ask(clock, second, 40);
  for (let n = 0; n < 4; n++) {
    first.end();
    await clock.flush();
  }
  assert.deepEqual(heldBy(services), [5, 5]);
  for (let n = 0; n < 20; n++) {
    (n % 3 === 0 ? second : first).end();
    await clock.flush();
    assert.deepEqual(heldBy(services), [5, 5]);
  }
});

test('one whose work never ends gains nothing by the pauses of a busy neighbour', async () => {
  const { clock, services } = setUp(10, ['greedy', 'busy']);
  const [greedy, busy] = services as [Service, Service];
  await ask(clock, busy, 5);
  await ask(clock, greedy, 200);
  for (let n = 0; n < 100; n++) {
    while (busy.held.length > 0) busy.end();
    await clock.advance(USED_LATELY_MS / 2);
    assert.deepEqual(heldBy(services), [5, 0]);
    await ask(clock, busy, 5);
    assert.deepEqual(heldBy(services), [5, 5], 'what it asks for it gets at once');
  }
  while (busy.held.length > 0) busy.end();
  await clock.advance(2 * USED_LATELY_MS);
  assert.deepEqual(heldBy(services), [9, 0], 'what a neighbour leaves for longer is lent');
});

test('a service that its breaker holds back keeps nobody else back', async () => {
  const clock = createFakeClock();
  const slots = createSharedSlots(4, clock);
  const breaker = createCircuitBreaker({ clock });
  const queueOf = (held?: typeof breaker) => {
    const gate = slots.join({ waiting: () => queue.status.waiting, ...(held && { breaker: held }) });
    const queue = createRequestQueue({ slots: 4, order: 'fifo', clock, gate });
    return queue;
  };
  const [open, well] = [queueOf(breaker), queueOf()];
  breaker.openByHand('Ann');
  const context = () =>
    ({ priority: 'customer', tenant: 'a', deadline: clock.monotonic() + LONG_MS, signal: NEVER }) as const;
  for (let n = 0; n < 10; n++) for (const queue of [open, well]) void queue.enter(context());
  await clock.flush();
  assert.deepEqual([open.status.running, well.status.running], [0, 3]);
  breaker.closeByHand('Ann');
  await clock.flush();
  assert.deepEqual([open.status.running, well.status.running], [1, 3]);
});

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('ask' as const), who: fc.nat(), times: fc.nat(6) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('end' as const), who: fc.nat(), which: fc.nat() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(2 * USED_LATELY_MS) }) },
);

test('property: the rules hold at every loan, and no slot stays free that may be lent', async (t) => {
  const property = fc.asyncProperty(
    fc.integer({ min: 1, max: 11 }),
    fc.integer({ min: 1, max: 4 }),
    fc.array(step, { maxLength: 60, size: 'max' }),
    async (size, count, steps) => {
      const half = Math.ceil(size / 2);
      const free = () => size - heldBy(services).reduce((sum, held) => sum + held, 0);
      /** By the rules, as they read. */
      const mayHave = (service: Service): boolean => {
        const others = services.filter((other) => other !== service);
        const { length: held } = service.held;
        if (free() === 0) return false;
        if (held === 0) return true;
        if (free() === 1 && others.some((other) => other.held.length === 0)) return false;
        const works = (other: Service) =>
          other.held.length > 0 || other.waiting() > 0 || clock.monotonic() - other.usedAt < USED_LATELY_MS;
        return held < half || !others.some(works);
      };
      const onLent = (service: Service) => {
        assert.ok(free() > 0, 'more were lent than there are');
        const others = services.filter((other) => other !== service);
        const waits = others.some((other) => other.waiting() > 0);
        assert.ok(service.held.length < half || !waits, 'beyond half while another waits');
      };
      const { clock, services } = setUp(
        size,
        Array.from({ length: count }, (_, n) => String(n)),
        onLent,
      );
      const assertRules = () => {
        for (const service of services)
          assert.ok(service.waiting() === 0 || !mayHave(service), 'it waits, though it may have a slot');
      };
      for (const one of steps) {
        if (one.do === 'wait') await clock.advance(one.ms);
        else {
          const service = services[one.who % count]!;
          if (one.do === 'ask') await ask(clock, service, one.times);
          else if (service.held.length > 0) service.end(one.which);
        }
        await clock.flush();
        // The moment from which a neighbour counts as resting is noticed by a timer, up to one length of it later.
        if (one.do !== 'wait') continue;
        await clock.advance(2 * USED_LATELY_MS);
        assertRules();
      }
      for (let rounds = 0; services.some(({ held }) => held.length > 0); rounds++) {
        assert.ok(rounds < 1_000, 'it does not come to an end');
        for (const service of services) if (service.held.length > 0) service.end();
        await clock.flush();
        await clock.advance(USED_LATELY_MS);
      }
      assert.deepEqual(
        services.map((service) => service.waiting()),
        services.map(() => 0),
      );
      await Promise.all(services.map((service) => service.leave()));
      assert.equal(clock.pendingTimers, 0);
    },
  );
  await fc.assert(property, { numRuns: RUNS, seed: printedSeed(t) });
});
