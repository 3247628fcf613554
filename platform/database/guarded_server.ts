/**
 * A service's way to a PostgreSQL server that other services of its process may use as well (shared_server.ts): its own queue and
 * its own breaker in front of slots, connections, breaker and monitor that are the server's.
 *
 * Work that is cut off (client gone, deadline over, stopping) has its statement cancelled in PostgreSQL; where that does
 * not end it, as on a server that is frozen, its connection is destroyed. So a slot is never held by a server that does
 * not answer.
 */
import type { Clock } from '#platform/lifecycle/clock.ts';
import { within } from '#platform/lifecycle/within.ts';
import type { ActivityLog } from '#platform/resilience/activity.ts';
import { createCircuitBreaker, type Transition } from '#platform/resilience/circuit_breaker.ts';
import type { Outcome } from '#platform/resilience/failure_rule.ts';
import { createGuard, type Guard, type GuardedSlot } from '#platform/resilience/guard.ts';
import type { HealthMonitor } from '#platform/resilience/health_monitor.ts';
import { RefusedError } from '#platform/resilience/refused.ts';
import type { RequestContext } from '#platform/resilience/request_context.ts';
import { createRequestQueue, type QueueEvent, type QueueOrder } from '#platform/resilience/request_queue.ts';
import { createServiceBreaker, type ServiceBreaker } from '#platform/resilience/service_breaker.ts';
import { type Pool, withSession } from './pool.ts';
import type { Session } from './session.ts';
import type { SharedServer } from './shared_server.ts';
import { transitionText } from './transition_text.ts';

export interface GuardedServerOptions {
  /** For logs and the dashboard: "primary", "replica 1". */
  readonly name: string;
  readonly server: SharedServer;
  readonly queueOrder: QueueOrder;
  readonly clock: Clock;
  /** The service's. */
  readonly activity: ActivityLog;
  readonly onQueueEvent?: (event: QueueEvent) => void;
  /** Told of the service's own breaker. */
  readonly onTransition?: (transition: Transition) => void;
}

export interface GuardedServer {
  readonly name: string;
  readonly guard: Guard;
  readonly breaker: ServiceBreaker;
  /** The server's. */
  readonly monitor: HealthMonitor;
  /**
   * Does `work` on a connection of its own.
   * @param proven only a connection that has just answered will do (see Borrowing)
   * @throws RefusedError when it got none or was cut off; else what `work` threw
   */
  run<T>(context: RequestContext, work: (session: Session) => Promise<T>, proven?: boolean): Promise<T>;
  /**
   * Holds a slot for work that takes its one connection from the pool itself and passes the signal on to withSession;
   * throws as `run` does.
   */
  hold<T>(context: RequestContext, work: (pool: Pool, signal: AbortSignal) => Promise<T>): Promise<T>;
  /**
   * A small read past queue and breaker, for what must work when requests do not get through: on the one connection more
   * that the server's pool has, so one at a time, within ASIDE_LIMIT_MS.
   * @param tenant whose turn it is, where several wait
   * @throws RefusedError, TimeoutError, or what `work` threw
   */
  runBypassingQueue<T>(tenant: string, work: (session: Session) => Promise<T>): Promise<T>;
  /** Leaves the server to the others; the guard has been closed before. */
  leave(): void;
}

/** How long a small read that bypasses the queue may take, its wait included, and how many may wait. */
export const ASIDE_LIMIT_MS = 2_000;
const ASIDE_QUEUE_LIMIT = 20;
const NEVER = new AbortController().signal;

export function createGuardedServer(options: GuardedServerOptions): GuardedServer {
  const { clock, name, server } = options;
  const { pool } = server;
  const tell = options.activity.add;
  const own = createCircuitBreaker({
    clock,
    onTransition: (transition) => {
      tell(transitionText(name, transition));
      options.onTransition?.(transition);
    },
  });
  const breaker = createServiceBreaker(server.breaker, own);
  const leaveServer = server.join({ name, breaker: own, tell });
  /** Requests that waited and got their turn since the queue was last empty. */
  let processed = 0;
  const slots = server.slots.join({ waiting: () => queue.status.waiting, breaker });
  const queue = createRequestQueue({
    name,
    slots: server.slots.size,
    order: options.queueOrder,
    clock,
    gate: slots,
    onEvent: (event) => {
      options.onQueueEvent?.(event);
      if (event.kind !== 'dispatched' || event.waitedMs === 0) return;
      processed++;
      if (queue.status.waiting > 0) return;
      tell(`Queue processed ${processed} ${processed === 1 ? 'request' : 'requests'}`);
      processed = 0;
    },
  });
  const guard = createGuard({ queue, breaker, clock });

  const guarded = async <T>(context: RequestContext, work: (slot: GuardedSlot) => Promise<T>): Promise<T> => {
    const answer = await guard.run(context, work);
    if (answer.ok) return answer.value;
    const { waitedMs, nextProbe } = answer;
    throw new RefusedError(answer.refusal, { waitedMs, ...(nextProbe && { nextProbe }) });
  };

  const bypassSlots = server.bypassSlots.join({ waiting: () => bypass.status.waiting });
  const bypass = createRequestQueue({
    name: `${name}, bypassing the queue`,
    slots: 1,
    limit: ASIDE_QUEUE_LIMIT,
    order: 'fifo',
    clock,
    gate: bypassSlots,
  });
  async function runBypassingQueue<T>(tenant: string, work: (session: Session) => Promise<T>): Promise<T> {
    const deadline = clock.monotonic() + ASIDE_LIMIT_MS;
    const admission = await bypass.enter({ priority: 'operator', tenant, deadline, signal: NEVER });
    if (!admission.admitted) throw new RefusedError(admission.refusal, { waitedMs: admission.waitedMs });
    // What the wait has left of the limit.
    const leftMs = Math.ceil(deadline - clock.monotonic());
    return within(clock, leftMs, `a read of ${name}`, async (signal) => {
      // The slot is held until the connection is back: it may still be on its way when the answer is due.
      let outcome: Outcome = 'neutral';
      try {
        const value = await withSession(pool, work, { signal, clock });
        outcome = 'success'; // the queue learns from successes how long work takes
        return value;
      } finally {
        admission.slot.release(outcome);
      }
    });
  }

  return {
    name,
    guard,
    breaker,
    monitor: server.monitor,
    runBypassingQueue,
    run: (context, work, proven = false) =>
      guarded(context, async (slot) => {
        const startedAt = clock.monotonic();
        let rows = 0;
        const onRows = (count: number) => {
          rows += count;
        };
        const answer = await withSession(pool, work, { signal: slot.signal, clock, onRows, proven });
        const ms = Math.round(clock.monotonic() - startedAt);
        tell(`Query executed in ${ms}ms (${rows} rows)`);
        return answer;
      }),
    hold: (context, work) =>
      guarded(context, async ({ signal }) => {
        const startedAt = clock.monotonic();
        const answer = await work(pool, signal);
        tell(`Write executed in ${Math.round(clock.monotonic() - startedAt)}ms`);
        return answer;
      }),
    leave: () => {
      own.stop();
      leaveServer();
      slots.leave();
      bypassSlots.leave();
    },
  };
}
