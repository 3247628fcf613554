/**
 * The request queue: as many requests at work as there are slots (database connections), the others in a bounded
 * wait queue, in fair order, each until its deadline.
 *
 * - slot: the right to use one connection; held from dispatch until `release`.
 * - gate: the breaker; nothing is dispatched without its pass.
 * - dispatch: a waiting request gets a slot. refusal: it leaves without one (request_context.ts has the reasons).
 * - too late: less time is left until the deadline than work lately takes. Requests that wait are refused for it when a
 *   slot could have gone to them; one that finds a slot free at once is tried all the same: that costs nobody anything,
 *   and it is how the queue learns that work has become quick again.
 *
 * Order: `fifo`, or `adaptive`: newest first while the queue stands (standing_queue.ts), because under overload FIFO
 * makes every answer late while newest-first makes most of them early; bench/queue_order.ts shows it.
 */
import type { Clock } from '#platform/lifecycle/clock.ts';
import { startSpan } from '#platform/telemetry/tracing/tracing.ts';
import type { Gate, Pass } from './circuit_breaker.ts';
import { callAt } from './deadline.ts';
import type { Outcome } from './failure_rule.ts';
import type { Priority, Refusal, RequestContext } from './request_context.ts';
import { createServiceTimes } from './service_time.ts';
import { createStandingQueue } from './standing_queue.ts';
import { createWaitQueue, type QueueEntry } from './wait_queue.ts';

/** As the reference: more than 200 waiting is an overload. */
export const QUEUE_LIMIT = 200;

export type QueueOrder = 'fifo' | 'adaptive';

/** The right to use one connection. */
export interface Slot {
  /** How long the request waited for it, milliseconds. */
  readonly waitedMs: number;
  /** The breaker is HALF_OPEN: this request finds out whether the database works again. */
  readonly probe: boolean;
  /**
   * Gives the slot back and tells the breaker how the work went; only the first call counts. Successes teach the queue
   * how long work takes; what is neutral can only make it think that work takes longer.
   */
  release(outcome: Outcome, cause?: unknown): void;
}

export type Admission =
  | { readonly admitted: true; readonly slot: Slot }
  | { readonly admitted: false; readonly refusal: Refusal; readonly waitedMs: number };

/** For histograms and logs; times in milliseconds. */
export type QueueEvent =
  | { readonly kind: 'dispatched'; readonly priority: Priority; readonly waitedMs: number }
  | {
      readonly kind: 'refused';
      readonly priority: Priority;
      readonly waitedMs: number;
      readonly refusal: Refusal;
    }
  | {
      readonly kind: 'released';
      readonly priority: Priority;
      readonly ranMs: number;
      readonly outcome: Outcome;
    };

export interface QueueStatus {
  readonly waiting: number;
  readonly waitingByPriority: Readonly<Record<Priority, number>>;
  readonly limit: number;
  readonly running: number;
  readonly slots: number;
  /** How long the request that has waited longest has waited, milliseconds; 0 when nobody waits. */
  readonly oldestWaitMs: number;
  /** Newest first at present. */
  readonly newestFirst: boolean;
}

export interface RequestQueue {
  /** Waits for a slot. Never rejects: a request that gets none is told why. */
  enter(context: RequestContext): Promise<Admission>;
  readonly status: QueueStatus;
  /** Refuses all who wait and all who come; resolves when the last slot has been given back. */
  close(): Promise<void>;
}

export interface RequestQueueOptions {
  /** For traces: a recorded request has a span of its wait here. Without a name there is none. */
  readonly name?: string;
  /** How many may be at work at once: the size of the connection pool. */
  readonly slots: number;
  /** How many may wait. */
  readonly limit?: number;
  readonly order: QueueOrder;
  readonly clock: Clock;
  /** Without one, every request may pass. */
  readonly gate?: Gate;
  /** Told of each dispatch, refusal and release. Must not throw. */
  readonly onEvent?: (event: QueueEvent) => void;
}

interface Waiter {
  readonly answer: (admission: Admission) => void;
  readonly onGone: () => void;
}

const openGate: Gate = {
  tryPass: () => ({ probe: false, report: () => {} }),
  blocked: false,
  onChange: () => () => {},
};

export function createRequestQueue(options: RequestQueueOptions): RequestQueue {
  const { name, slots, limit = QUEUE_LIMIT, order, clock, gate = openGate, onEvent } = options;
  const waiting = createWaitQueue<Waiter>(limit);
  const serviceTimes = createServiceTimes();
  const standing = createStandingQueue();
  let running = 0;
  let dispatching = false;
  let closing: PromiseWithResolvers<void> | undefined;
  let timer: { readonly at: number; readonly cancel: () => void } | undefined;

  const newestFirst = () => order === 'adaptive' && standing.standing;

  function admit(context: RequestContext, pass: Pass, waitedMs: number): Admission {
    const startedAt = clock.monotonic();
    let released = false;
    running++;
    onEvent?.({ kind: 'dispatched', priority: context.priority, waitedMs });
    const release = (outcome: Outcome, cause?: unknown) => {
      if (released) return;
      released = true;
      running--;
      const ranMs = clock.monotonic() - startedAt;
      // What was cut off says only that it takes longer than this. What failed says nothing.
      if (outcome === 'success' || (outcome === 'neutral' && ranMs > serviceTimes.estimateMs))
        serviceTimes.add(ranMs);
      onEvent?.({ kind: 'released', priority: context.priority, ranMs, outcome });
      pass.report(outcome, cause);
      dispatch();
      if (running === 0) closing?.resolve();
    };
    return { admitted: true, slot: { waitedMs, probe: pass.probe, release } };
  }

  function refuse(context: RequestContext, refusal: Refusal, waitedMs: number): Admission {
    onEvent?.({ kind: 'refused', priority: context.priority, waitedMs, refusal });
    return { admitted: false, refusal, waitedMs };
  }

  /** Cleans up after a request that has left the queue; returns how long it waited. */
  function waitOver(entry: QueueEntry<Waiter>): number {
    entry.context.signal.removeEventListener('abort', entry.waiter.onGone);
    if (waiting.size === 0) standing.drained();
    return clock.monotonic() - entry.enteredAt;
  }

  function turnAway(entry: QueueEntry<Waiter>, refusal: Refusal): void {
    waiting.leave(entry);
    entry.waiter.answer(refuse(entry.context, refusal, waitOver(entry)));
  }

  /** Refuses all whose deadline comes before `time`. */
  function turnAwayUntil(time: number): void {
    for (
      let entry = waiting.mostUrgent;
      entry && entry.context.deadline <= time;
      entry = waiting.mostUrgent
    ) {
      turnAway(entry, gate.blocked ? 'breaker_open' : 'deadline');
    }
  }

  /** Hands free slots to waiting requests. Events may call back into the queue; `dispatching` keeps it to one loop. */
  function dispatch(): void {
    if (dispatching) return;
    dispatching = true;
    while (running < slots && waiting.size > 0) {
      const now = clock.monotonic();
      turnAwayUntil(now + serviceTimes.estimateMs);
      const oldest = waiting.oldest;
      const pass = oldest && gate.tryPass();
      if (!pass) break;
      standing.observe(now, now - oldest.enteredAt);
      const entry = waiting.takeNext(newestFirst())!;
      entry.waiter.answer(admit(entry.context, pass, waitOver(entry)));
    }
    dispatching = false;
    setTimer();
  }

  /** One timer for all deadlines. One that is set too early is left to ring for nothing: cheaper than moving it. */
  function setTimer(): void {
    const at = waiting.mostUrgent?.context.deadline;
    if (timer && (at === undefined || at < timer.at)) {
      timer.cancel();
      timer = undefined;
    }
    if (at === undefined || timer) return;
    const cancel = callAt(clock, at, () => {
      timer = undefined;
      turnAwayUntil(clock.monotonic());
      setTimer();
    });
    timer = { at, cancel };
  }

  function wait(context: RequestContext): Promise<Admission> {
    return new Promise((answer) => {
      const onGone = () => {
        turnAway(entry, 'client_gone');
        setTimer();
      };
      const entry = waiting.enter(context, clock.monotonic(), { answer, onGone }, newestFirst());
      context.signal.addEventListener('abort', onGone, { once: true });
      setTimer();
    });
  }

  function enter(context: RequestContext): Admission | Promise<Admission> {
    if (closing) return refuse(context, 'shutting_down', 0);
    if (context.signal.aborted) return refuse(context, 'client_gone', 0);
    if (context.deadline <= clock.monotonic()) return refuse(context, 'deadline', 0);
    if (waiting.size === 0 && running < slots) {
      const pass = gate.tryPass();
      if (pass) return admit(context, pass, 0);
    }
    if (waiting.isFull) {
      const pushedOut = waiting.pushOutFor(context, newestFirst());
      if (!pushedOut) return refuse(context, 'queue_overload', 0);
      turnAway(pushedOut, 'queue_overload');
    }
    return wait(context);
  }

  const stopListening = gate.onChange(() => {
    // How long work took before an outage says nothing about how long it takes after it.
    if (gate.blocked) serviceTimes.clear();
    dispatch();
  });

  return {
    enter: async (context) => {
      const span = name === undefined ? undefined : waitSpan(name, context);
      const entered = enter(context);
      if (!span) return entered;
      const admission = await entered;
      span.end(admission.admitted ? undefined : admission.refusal);
      return admission;
    },
    get status() {
      const oldest = waiting.oldest;
      return {
        waiting: waiting.size,
        waitingByPriority: { operator: waiting.sizeOf('operator'), customer: waiting.sizeOf('customer') },
        limit,
        running,
        slots,
        oldestWaitMs: oldest ? clock.monotonic() - oldest.enteredAt : 0,
        newestFirst: newestFirst(),
      };
    },
    close() {
      if (closing) return closing.promise;
      closing = Promise.withResolvers<void>();
      stopListening();
      for (let entry = waiting.oldest; entry; entry = waiting.oldest) turnAway(entry, 'shutting_down');
      setTimer();
      if (running === 0) closing.resolve();
      return closing.promise;
    },
  };
}

/** The span of a request's wait, where the request is recorded. */
const waitSpan = (queue: string, { priority }: RequestContext) =>
  startSpan(() => ({
    name: `wait ${queue}`,
    kind: 'internal',
    attributes: { 'trunkline.queue': queue, 'trunkline.priority': priority },
  }));
