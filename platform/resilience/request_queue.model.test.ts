/**
 * Holds the queue against a plain model: arrays, searched from end to end, no clever structure. After every step both
 * must have answered the same requests, in the same order, for the same reasons, after the same waits.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createFakeClock } from '#platform/lifecycle/fake_clock.ts';
import { printedSeed } from '#tests/seed.ts';
import type { Gate } from './circuit_breaker.ts';
import type { Outcome } from './failure_rule.ts';
import type { Priority, Refusal } from './request_context.ts';
import { type Admission, createRequestQueue, type QueueOrder, type Slot } from './request_queue.ts';
import { STANDING_INTERVAL_MS, STANDING_TARGET_MS } from './standing_queue.ts';

const RUNS = 4_000;

type Step =
  | { readonly do: 'enter'; readonly priority: Priority; readonly tenant: string; readonly timeoutMs: number }
  | { readonly do: 'release'; readonly which: number; readonly outcome: Outcome }
  | { readonly do: 'hang up'; readonly which: number }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'permit'; readonly permits: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('enter' as const),
      priority: fc.constantFrom<Priority>('customer', 'customer', 'operator'),
      tenant: fc.constantFrom('a', 'a', 'a', 'b', 'c', 'd', 'e'),
      timeoutMs: fc.oneof(fc.integer({ min: 0, max: 300 }), fc.constant(5_000)),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('release' as const),
      which: fc.nat(),
      outcome: fc.constantFrom<Outcome>('success', 'success', 'failure', 'neutral'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('hang up' as const), which: fc.nat() }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.oneof(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 600 })),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('permit' as const),
      permits: fc.constantFrom(0, 1, 3, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY),
    }),
  },
);

interface Request {
  readonly id: number;
  readonly priority: Priority;
  readonly tenant: string;
  readonly deadline: number;
  readonly enteredAt: number;
}

interface Dispatch {
  readonly id: number;
  readonly dispatchedAfter: number;
}
interface Refused {
  readonly id: number;
  readonly refused: Refusal;
  readonly after: number;
}
type Answer = Dispatch | Refused;
const isDispatch = (answer: Answer): answer is Dispatch => 'dispatchedAfter' in answer;
const isRefusal = (answer: Answer): answer is Refused => 'refused' in answer;
const byId = (a: Answer, b: Answer) => a.id - b.id;

/** The queue as its documentation says it behaves, written without regard to speed. */
class PlainQueue {
  now = 0;
  waiting: Request[] = [];
  running: { id: number; startedAt: number }[] = [];
  answers: Answer[] = [];
  permits = Number.POSITIVE_INFINITY;
  customerTurns = 0;
  samples: number[] = [];
  aboveSince: number | undefined;
  standing = false;
  /** Per priority class: tenants in the order of their turns, who had one in this round, and the turns it has left. */
  turns: Record<Priority, { ring: string[]; served: string[]; left: number }> = {
    operator: { ring: [], served: [], left: 0 },
    customer: { ring: [], served: [], left: 0 },
  };
  readonly slots: number;
  readonly limit: number;
  readonly order: QueueOrder;

  constructor(slots: number, limit: number, order: QueueOrder) {
    this.slots = slots;
    this.limit = limit;
    this.order = order;
  }

  get newestFirst(): boolean {
    return this.order === 'adaptive' && this.standing;
  }

  get estimate(): number {
    const last = this.samples.slice(-31).sort((a, b) => a - b);
    return last.length < 5 ? 0 : last[Math.floor(last.length * 0.9)]! * 1.5;
  }

  of(priority: Priority, tenant?: string): Request[] {
    return this.waiting.filter(
      (r) => r.priority === priority && (tenant === undefined || r.tenant === tenant),
    );
  }

  leave(request: Request): void {
    this.waiting = this.waiting.filter((r) => r !== request);
    const { priority, tenant } = request;
    if (this.of(priority, tenant).length === 0) {
      this.turns[priority].ring = this.turns[priority].ring.filter((s) => s !== tenant);
    }
    if (this.waiting.length === 0) {
      this.aboveSince = undefined;
      this.standing = false;
    }
  }

  refuse(request: Request, refused: Refusal): void {
    this.leave(request);
    this.answers.push({ id: request.id, refused, after: this.now - request.enteredAt });
  }

  start(request: Request): void {
    this.answers.push({ id: request.id, dispatchedAfter: this.now - request.enteredAt });
    this.running.push({ id: request.id, startedAt: this.now });
  }

  /** Those of whom one has to go for a newcomer: of each longest tenant, the request served last. */
  candidates(priority: Priority, tenant: string): number[] {
    const guaranteed = {
      operator: Math.floor(this.limit / 4),
      customer: this.limit - Math.floor(this.limit / 4),
    };
    const short = this.of(priority).length < guaranteed[priority];
    const from: Priority = short ? (priority === 'operator' ? 'customer' : 'operator') : priority;
    const queues = [...new Set(this.of(from).map((r) => r.tenant))].map((s) => this.of(from, s));
    const longest = Math.max(0, ...queues.map((q) => q.length));
    if (!short && longest < this.of(priority, tenant).length + 2) return [];
    return queues.filter((q) => q.length === longest).map((q) => (this.newestFirst ? q[0] : q.at(-1))!.id);
  }

  /** @param pushedOut the request that the real queue pushed out, if it did */
  enter(request: Request, pushedOut: number | undefined): void {
    const free = this.waiting.length === 0 && this.running.length < Math.min(this.slots, this.permits);
    if (request.deadline <= this.now) this.refuse(request, 'deadline');
    else if (free) this.start(request);
    else if (this.waiting.length < this.limit) this.wait(request);
    else if (this.candidates(request.priority, request.tenant).length === 0)
      this.refuse(request, 'queue_overload');
    else {
      const leaves = this.waiting.find((r) => r.id === pushedOut);
      assert.ok(
        leaves && this.candidates(request.priority, request.tenant).includes(leaves.id),
        'the right one goes',
      );
      this.refuse(leaves, 'queue_overload');
      this.wait(request);
    }
  }

  wait(request: Request): void {
    const turns = this.turns[request.priority];
    const toFront = this.newestFirst && !turns.served.includes(request.tenant);
    const known = turns.ring.includes(request.tenant);
    if (toFront) turns.ring = [request.tenant, ...turns.ring.filter((s) => s !== request.tenant)];
    else if (!known) turns.ring.push(request.tenant);
    this.waiting.push(request);
  }

  dispatch(): void {
    while (this.running.length < this.slots && this.waiting.length > 0) {
      this.turnAwayUntil(this.now + this.estimate);
      const oldest = this.waiting[0];
      if (!oldest || this.running.length >= this.permits) return;
      if (this.now - oldest.enteredAt <= STANDING_TARGET_MS) this.aboveSince = undefined;
      else this.aboveSince ??= this.now;
      this.standing = this.aboveSince !== undefined && this.now - this.aboveSince >= STANDING_INTERVAL_MS;
      this.start(this.takeNext());
    }
  }

  takeNext(): Request {
    const both = this.of('operator').length > 0 && this.of('customer').length > 0;
    const only: Priority = this.of('operator').length > 0 ? 'operator' : 'customer';
    const priority = both ? (this.customerTurns < 3 ? 'customer' : 'operator') : only;
    this.customerTurns = priority === 'operator' ? 0 : Math.min(3, this.customerTurns + 1);
    const turns = this.turns[priority];
    const tenant = turns.ring[0]!;
    const queue = this.of(priority, tenant);
    const request = (this.newestFirst ? queue.at(-1) : queue[0])!;
    if (!this.newestFirst || turns.left === 0) {
      turns.served = [];
      turns.left = this.newestFirst ? turns.ring.length : 0;
    }
    if (this.newestFirst) {
      turns.left--;
      turns.served.push(tenant);
    }
    turns.ring = [...turns.ring.slice(1), tenant];
    this.leave(request);
    return request;
  }

  turnAwayUntil(time: number): void {
    const late = this.waiting.filter((r) => r.deadline <= time).sort((a, b) => a.deadline - b.deadline);
    for (const request of late) this.refuse(request, this.permits === Infinity ? 'deadline' : 'breaker_open');
  }

  release(id: number, outcome: Outcome): void {
    const { startedAt } = this.running.find((r) => r.id === id)!;
    this.running = this.running.filter((r) => r.id !== id);
    const ranMs = this.now - startedAt;
    if (outcome === 'success' || (outcome === 'neutral' && ranMs > this.estimate)) this.samples.push(ranMs);
    this.dispatch();
  }

  pass(ms: number): void {
    const end = this.now + ms;
    const due = this.waiting.filter((r) => r.deadline <= end).sort((a, b) => a.deadline - b.deadline);
    for (const request of due) {
      this.now = request.deadline;
      this.refuse(request, this.permits === Infinity ? 'deadline' : 'breaker_open');
    }
    this.now = end;
  }

  permit(permits: number): void {
    this.permits = permits;
    if (permits !== Infinity) this.samples = [];
    this.dispatch();
  }
}

function createTestGate() {
  const listeners = new Set<() => void>();
  let permits = Number.POSITIVE_INFINITY;
  let passes = 0;
  const gate: Gate = {
    get blocked() {
      return permits !== Number.POSITIVE_INFINITY;
    },
    tryPass() {
      if (passes >= permits) return undefined;
      passes++;
      return { probe: permits !== Number.POSITIVE_INFINITY, report: () => void passes-- };
    },
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
  return {
    gate,
    permit(count: number) {
      permits = count;
      for (const listener of listeners) listener();
    },
    passes: () => passes,
    listeners: () => listeners.size,
  };
}

async function compare(
  order: QueueOrder,
  slots: number,
  limit: number,
  steps: readonly Step[],
  reached: Set<string>,
) {
  const clock = createFakeClock();
  const start = clock.monotonic();
  const { gate, permit, passes, listeners } = createTestGate();
  const told = { dispatched: 0, refused: 0, released: 0 };
  const queue = createRequestQueue({
    slots,
    limit,
    order,
    clock,
    gate,
    onEvent: (event) => told[event.kind]++,
  });
  const model = new PlainQueue(slots, limit, order);
  const answers: Answer[] = [];
  const held = new Map<number, Slot>();
  const clients = new Map<number, AbortController>();

  const note = (id: number) => (admission: Admission) => {
    if (admission.admitted) {
      held.set(id, admission.slot);
      answers.push({ id, dispatchedAfter: admission.slot.waitedMs });
    } else {
      answers.push({ id, refused: admission.refusal, after: admission.waitedMs });
    }
  };

  async function apply(next: Step): Promise<void> {
    if (next.do === 'enter') {
      const id = clients.size;
      const client = new AbortController();
      clients.set(id, client);
      const deadline = clock.monotonic() + next.timeoutMs;
      const before = answers.length;
      const context = { priority: next.priority, tenant: next.tenant, deadline, signal: client.signal };
      void queue.enter(context).then(note(id));
      await clock.flush();
      const pushedOut = answers
        .slice(before)
        .find((a) => 'refused' in a && a.refused === 'queue_overload')?.id;
      const { priority, tenant } = next;
      model.enter({ id, priority, tenant, deadline: deadline - start, enteredAt: model.now }, pushedOut);
    } else if (next.do === 'release') {
      const id = [...held.keys()][next.which % held.size];
      if (id === undefined) return;
      const slot = held.get(id)!;
      held.delete(id);
      slot.release(next.outcome);
      slot.release('failure');
      model.release(id, next.outcome);
    } else if (next.do === 'hang up') {
      const id = next.which % Math.max(1, clients.size);
      clients.get(id)?.abort();
      const request = model.waiting.find((r) => r.id === id);
      if (request) model.refuse(request, 'client_gone');
    } else if (next.do === 'wait') {
      await clock.advance(next.ms);
      model.pass(next.ms);
    } else {
      permit(next.permits);
      model.permit(next.permits);
    }
    await clock.flush();
  }

  function agree(): void {
    assert.deepEqual(
      answers.filter(isDispatch),
      model.answers.filter(isDispatch),
      'who is served, in which order',
    );
    // Those whose time ends in the same instant may leave in any order.
    assert.deepEqual(answers.filter(isRefusal).sort(byId), model.answers.filter(isRefusal).sort(byId));
    for (const answer of answers.filter(isRefusal)) reached.add(answer.refused);
    if (queue.status.newestFirst) reached.add('newest first');
    const { waiting, running, waitingByPriority, oldestWaitMs, newestFirst } = queue.status;
    assert.equal(waiting, model.waiting.length);
    assert.equal(running, model.running.length);
    assert.equal(waitingByPriority.operator, model.of('operator').length);
    assert.equal(oldestWaitMs, model.waiting[0] ? model.now - model.waiting[0].enteredAt : 0);
    assert.equal(newestFirst, model.newestFirst);
    assert.ok(waiting <= limit && running <= slots, 'bounds');
    assert.equal(held.size, running, 'every slot that is out is held by someone');
    assert.equal(passes(), running, 'a pass for each slot');
    assert.equal(answers.length + waiting, clients.size, 'nobody lost');
    assert.equal(told.dispatched + told.refused, answers.length, 'nobody answered twice');
    assert.equal(told.dispatched - told.released, running);
    assert.ok(clock.pendingTimers <= 1, 'one timer at most');
    assert.equal(clock.pendingTimers, waiting > 0 ? 1 : 0);
  }

  for (const next of steps) {
    await apply(next);
    agree();
  }

  const closed = queue.close();
  await clock.flush();
  assert.equal(queue.status.waiting, 0);
  assert.equal(answers.length, clients.size);
  for (const slot of held.values()) slot.release('success');
  await closed;
  assert.equal(queue.status.running, 0);
  assert.equal(passes(), 0);
  assert.equal(clock.pendingTimers, 0);
  assert.equal(listeners(), 0);
}

for (const order of ['fifo', 'adaptive'] as const) {
  test(`${order}: answers what a plain model answers, in its order`, async (t) => {
    const reached = new Set<string>();
    const property = fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 0, max: 12 }),
      fc.array(step, { maxLength: 120, size: 'max' }),
      (slots, limit, steps) => compare(order, slots, limit, steps, reached),
    );
    await fc.assert(property, { numRuns: RUNS, seed: printedSeed(t) });
    const refusals = ['breaker_open', 'client_gone', 'deadline', 'queue_overload'];
    const all = order === 'adaptive' ? [...refusals, 'newest first'] : refusals;
    assert.deepEqual([...reached].sort(), all.sort(), 'the runs have been everywhere');
  });
}
