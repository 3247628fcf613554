/**
 * One PostgreSQL server behind its guard: a pool with as many connections as the queue has slots, the breaker, and the
 * health monitor on a connection of its own.
 *
 * Work that is cut off (client gone, deadline over, stopping) has its statement cancelled in PostgreSQL; where that does
 * not end it, as on a server that is frozen, its connection is destroyed. So a slot is never held by a server that does
 * not answer.
 */
import type { ClientBase } from 'pg';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { TimeoutError } from '#platform/lifecycle/within.ts';
import type { ActivityLog } from '#platform/resilience/activity.ts';
import { createCircuitBreaker, type Transition } from '#platform/resilience/circuit_breaker.ts';
import { callAt } from '#platform/resilience/deadline.ts';
import type { Outcome } from '#platform/resilience/failure_rule.ts';
import { createGuard, type Guard, type GuardedSlot } from '#platform/resilience/guard.ts';
import {
  createHealthMonitor,
  type HealthChange,
  type HealthMonitor,
} from '#platform/resilience/health_monitor.ts';
import { RefusedError } from '#platform/resilience/refused.ts';
import { createRequestQueue, type QueueEvent, type QueueOrder } from '#platform/resilience/request_queue.ts';
import type { Ticket } from '#platform/resilience/ticket.ts';
import type { ConnectionLifetime } from './connection_lifetime.ts';
import { closePool, createPool, type Pool, withSession } from './pool.ts';
import { createProbe } from './probe.ts';
import type { Session } from './session.ts';

/** PostgreSQL ends a statement at its limit; the client gives up so much later in its place. */
export const CLIENT_TIMEOUT_SLACK_MS = 1_000;

export interface GuardedServerOptions {
  /** For logs and the dashboard: "primary", "replica 1". */
  readonly name: string;
  readonly url: string;
  readonly applicationName: string;
  readonly poolSize: number;
  readonly queueOrder: QueueOrder;
  readonly queryTimeoutMs: number;
  /** No connection is kept for longer, in milliseconds. */
  readonly connectionLifetimeMs: number;
  /** From 0 up to, not including, 1; Math.random in production. */
  readonly random: () => number;
  readonly clock: Clock;
  readonly activity: ActivityLog;
  /** What the health check asks, on its own connection; `SELECT 1` unless told otherwise. */
  readonly healthCheck?: (client: ClientBase) => Promise<void>;
  readonly onQueueEvent?: (event: QueueEvent) => void;
  readonly onTransition?: (transition: Transition) => void;
  readonly onHealth?: (change: HealthChange) => void;
  readonly onIdleError?: (error: Error) => void;
}

export interface GuardedServer {
  readonly name: string;
  readonly pool: Pool;
  readonly guard: Guard;
  readonly monitor: HealthMonitor;
  /**
   * Does `work` on a connection of its own.
   * @param proven only a connection that has just answered will do (see Borrowing)
   * @throws RefusedError when it got none or was cut off; else what `work` threw
   */
  run<T>(ticket: Ticket, work: (session: Session) => Promise<T>, proven?: boolean): Promise<T>;
  /**
   * Holds a slot for work that takes its one connection from the pool itself and passes the signal on to withSession;
   * throws as `run` does.
   */
  hold<T>(ticket: Ticket, work: (pool: Pool, signal: AbortSignal) => Promise<T>): Promise<T>;
  /**
   * A small read past queue and breaker, for what must work when requests do not get through: on the one connection more
   * that the pool has, so one at a time, within ASIDE_LIMIT_MS.
   * @param share whose turn it is, where several wait
   * @throws RefusedError, TimeoutError, or what `work` threw
   */
  runAside<T>(share: string, work: (session: Session) => Promise<T>): Promise<T>;
  /** Closes the connections; the guard has been closed before. */
  close(): Promise<void>;
}

/** How long a small read aside may take, its wait included, and how many may wait. */
export const ASIDE_LIMIT_MS = 2_000;
const ASIDE_QUEUE_LIMIT = 20;
const NEVER = new AbortController().signal;

export function createGuardedServer(options: GuardedServerOptions): GuardedServer {
  const { clock, name } = options;
  const breaker = createCircuitBreaker({
    clock,
    onTransition: (transition) => {
      const { from, to, reason, by } = transition;
      options.activity.add(`Circuit of ${name}: ${from} to ${to} (${reason}${by ? `: ${by}` : ''})`);
      options.onTransition?.(transition);
    },
  });
  /** Requests that waited and got their turn since the queue was last empty. */
  let processed = 0;
  const queue = createRequestQueue({
    slots: options.poolSize,
    order: options.queueOrder,
    clock,
    gate: breaker,
    onEvent: (event) => {
      options.onQueueEvent?.(event);
      if (event.kind !== 'dispatched' || event.waitedMs === 0) return;
      processed++;
      if (queue.status.waiting > 0) return;
      options.activity.add(`Queue processed ${processed} ${processed === 1 ? 'request' : 'requests'}`);
      processed = 0;
    },
  });
  const guard = createGuard({ queue, breaker, clock });
  const { connectionLifetimeMs: maxMs, random } = options;
  const lifetime: ConnectionLifetime = { maxMs, clock, random };
  const pool = createPool({
    url: options.url,
    applicationName: options.applicationName,
    // One more than slots: housekeeping takes none of the requests' places, and must not wait for them.
    size: options.poolSize + 1,
    statementTimeoutMs: options.queryTimeoutMs,
    queryTimeoutMs: options.queryTimeoutMs + CLIENT_TIMEOUT_SLACK_MS,
    lifetime,
    onIdleError: options.onIdleError ?? (() => undefined),
  });
  const probe = createProbe(options.url, `${options.applicationName}-health`, lifetime, options.healthCheck);
  const monitor = createHealthMonitor({
    clock,
    breaker,
    check: async (signal) => {
      await probe.check(signal, breaker.blocked);
      options.activity.add(`Health check of ${name}: PASS`);
    },
    onChange: (change) => {
      if (!change.healthy) options.activity.add(`Health check of ${name}: FAIL`);
      options.onHealth?.(change);
    },
  });

  const guarded = async <T>(ticket: Ticket, work: (slot: GuardedSlot) => Promise<T>): Promise<T> => {
    const answer = await guard.run(ticket, work);
    if (answer.ok) return answer.value;
    const { waitedMs, nextProbe } = answer;
    throw new RefusedError(answer.refusal, { waitedMs, ...(nextProbe && { nextProbe }) });
  };

  const aside = createRequestQueue({ slots: 1, limit: ASIDE_QUEUE_LIMIT, order: 'fifo', clock });
  async function runAside<T>(share: string, work: (session: Session) => Promise<T>): Promise<T> {
    const deadline = clock.monotonic() + ASIDE_LIMIT_MS;
    const admission = await aside.enter({ lane: 'operator', share, deadline, signal: NEVER });
    if (!admission.admitted) throw new RefusedError(admission.refusal, { waitedMs: admission.waitedMs });
    const cut = new AbortController();
    const tooLate = new Promise<never>((_, reject) => {
      cut.signal.addEventListener('abort', () => reject(cut.signal.reason));
    });
    const cancel = callAt(clock, deadline, () =>
      cut.abort(new TimeoutError(`a read of ${name}`, ASIDE_LIMIT_MS)),
    );
    // The slot is held until the connection is back: it may still be on its way when the answer is due.
    let outcome: Outcome = 'neutral';
    const working = withSession(pool, work, { signal: cut.signal, clock })
      .then((value) => {
        // The queue learns from successes how long work takes.
        outcome = 'success';
        return value;
      })
      .finally(() => {
        cancel();
        admission.slot.release(outcome);
      });
    return Promise.race([working, tooLate]);
  }

  return {
    name,
    pool,
    guard,
    monitor,
    runAside,
    run: (ticket, work, proven = false) =>
      guarded(ticket, async (slot) => {
        const startedAt = clock.monotonic();
        let rows = 0;
        const onRows = (count: number) => {
          rows += count;
        };
        const answer = await withSession(pool, work, { signal: slot.signal, clock, onRows, proven });
        const ms = Math.round(clock.monotonic() - startedAt);
        options.activity.add(`Query executed in ${ms}ms (${rows} rows)`);
        return answer;
      }),
    hold: (ticket, work) =>
      guarded(ticket, async ({ signal }) => {
        const startedAt = clock.monotonic();
        const answer = await work(pool, signal);
        options.activity.add(`Write executed in ${Math.round(clock.monotonic() - startedAt)}ms`);
        return answer;
      }),
    close: async () => {
      breaker.stop();
      probe.close();
      await closePool(pool);
    },
  };
}
