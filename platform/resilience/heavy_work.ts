/**
 * Heavy work and light work want the same connections, the same processors and the same event loop. Of what takes long
 * (a batch of an export, a part of a large post, a count over years) only few pieces run at once; the others wait here,
 * in front of the request queue of the database. So light work finds slots free, however much heavy work there is.
 *
 * Callers take turns, a piece a turn, and none has all the places, where there are two or more: a piece of one that takes
 * half a minute is not in the way of everybody else's.
 */
import { availableParallelism } from 'node:os';
import type { Clock } from '#platform/lifecycle/clock.ts';
import type { Outcome } from './failure_rule.ts';
import { RefusedError } from './refused.ts';
import type { RequestContext } from './request_context.ts';
import { createRequestQueue, type QueueEvent, type RequestQueue, type Slot } from './request_queue.ts';

/** How many pieces of heavy work may wait. */
export const HEAVY_QUEUE_LIMIT = 200;

export interface HeavyWork {
  /**
   * Does `work` when it is this caller's turn. Not to be called from within such work: it would wait for a place that it
   * has itself.
   * @throws RefusedError where its turn does not come in time; else what `work` threw
   */
  run<T>(context: RequestContext, work: () => Promise<T>): Promise<T>;
  /** Pieces at work now, and pieces that wait. */
  readonly running: number;
  readonly waiting: number;
  /** Refuses all who wait and come; resolves when nothing is under way any more. */
  close(): Promise<void>;
}

export interface HeavyWorkOptions {
  /** Pieces at once. */
  readonly slots: number;
  readonly limit?: number;
  readonly clock: Clock;
  /** Whether the database takes nothing at present; then who waits too long is refused for that. */
  readonly isBlocked?: () => boolean;
  readonly onEvent?: (event: QueueEvent) => void;
}

/**
 * How much heavy work at once leaves room for light work: half of the connections at most, and one processor fewer than
 * this machine has, since each piece keeps one busy; but two, so that one caller's is not in the way of all others'.
 * @param connections of the pool
 */
export const standardHeavySlots = (connections: number, processors = availableParallelism()): number =>
  Math.max(1, Math.min(Math.floor(connections / 2), Math.max(2, processors - 1)));

/** The pieces of one caller. */
interface Tenant {
  /** Lets through as many as one caller may have at work. */
  readonly queue: RequestQueue;
  /** At work or waiting. */
  size: number;
}

export function createHeavyWork(options: HeavyWorkOptions): HeavyWork {
  const { slots, limit = HEAVY_QUEUE_LIMIT, clock, isBlocked = () => false, onEvent } = options;
  const gate = {
    tryPass: () => ({ probe: false, report: () => {} }),
    get blocked() {
      return isBlocked();
    },
    onChange: () => () => {},
  };
  const common = { name: 'heavy work', limit, order: 'fifo', clock, gate } as const;
  const queue = createRequestQueue({ ...common, slots, ...(onEvent && { onEvent }) });
  const tenants = new Map<string, Tenant>();
  let size = 0;
  let closing: Promise<void> | undefined;

  /** Waits in a queue. @throws RefusedError */
  async function slotOf(from: RequestQueue, context: RequestContext, waitedMs = 0): Promise<Slot> {
    const admission = await from.enter(context);
    if (admission.admitted) return admission.slot;
    throw new RefusedError(admission.refusal, { waitedMs: waitedMs + admission.waitedMs });
  }

  function tenantOf(context: RequestContext): Tenant {
    const name = `${context.priority} ${context.tenant}`;
    const tenant = tenants.get(name) ?? {
      queue: createRequestQueue({ ...common, slots: Math.max(1, slots - 1) }),
      size: 0,
    };
    tenants.set(name, tenant);
    return tenant;
  }

  async function run<T>(context: RequestContext, work: () => Promise<T>): Promise<T> {
    if (closing) throw new RefusedError('shutting_down', { waitedMs: 0 });
    if (size - queue.status.running >= limit) throw new RefusedError('queue_overload', { waitedMs: 0 });
    const tenant = tenantOf(context);
    tenant.size++;
    size++;
    let outcome: Outcome = 'neutral';
    let own: Slot | undefined;
    let slot: Slot | undefined;
    try {
      own = await slotOf(tenant.queue, context);
      slot = await slotOf(queue, context, own.waitedMs);
      const answer = await work();
      outcome = 'success';
      return answer;
    } finally {
      slot?.release(outcome);
      own?.release(outcome);
      size--;
      if (--tenant.size === 0) tenants.delete(`${context.priority} ${context.tenant}`);
    }
  }

  return {
    run,
    get running() {
      return queue.status.running;
    },
    get waiting() {
      return size - queue.status.running;
    },
    close() {
      closing ??= Promise.all(
        [queue, ...[...tenants.values()].map((tenant) => tenant.queue)].map((one) => one.close()),
      ).then(() => undefined);
      return closing;
    },
  };
}
