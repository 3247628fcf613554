/**
 * The guard of a database: queue, breaker and failure rule in one call. This is what services use.
 *
 * A request waits for a slot, does its work, and gives the slot back with the outcome. Work is cut off (its signal is
 * aborted) when its client hangs up, its deadline passes or the program stops; it must then end at once: cancel its
 * query, give up its connection where that does not help. Work that has not ended CANCEL_GRACE_MS after the cut is
 * abandoned: its slot goes to the next request, and that counts as a failure, since a database that works obeys a
 * cancellation.
 */
import type { Clock } from '#platform/lifecycle/clock.ts';
import { TimeoutError } from '#platform/lifecycle/within.ts';
import type { Breaker } from './circuit_breaker.ts';
import { callAt } from './deadline.ts';
import { judgeError, type Outcome } from './failure_rule.ts';
import type { Refusal, RequestContext } from './request_context.ts';
import type { RequestQueue } from './request_queue.ts';

/** How long work may take to end once it is cut off. */
export const CANCEL_GRACE_MS = 1_000;
/**
 * Work cut off at its deadline counts as a failure of the database if it ran at least this long: half of the query
 * timeout. A client that asks for less time than this cannot open the breaker for everyone, nor can a request that
 * spent its time waiting.
 */
export const TIMEOUT_COUNTS_AFTER_MS = 15_000;

/** What the work may know and must heed. */
export interface GuardedSlot {
  /** Aborted when the work is cut off. */
  readonly signal: AbortSignal;
  /** Monotonic milliseconds; as in the context. */
  readonly deadline: number;
  readonly waitedMs: number;
  /** The breaker is HALF_OPEN and this is a probe. */
  readonly probe: boolean;
}

export type Guarded<T> =
  | { readonly ok: true; readonly value: T; readonly waitedMs: number }
  | {
      readonly ok: false;
      readonly refusal: Refusal;
      readonly waitedMs: number;
      /** Wall-clock milliseconds since 1970, and from now; while the breaker is OPEN. */
      readonly nextProbe?: { readonly at: number; readonly inMs: number };
    };

export interface Guard {
  /**
   * Does `work` with a slot. A request that gets none, or is cut off, is a refusal; work that fails by itself throws.
   * @throws what `work` threw
   */
  run<T>(context: RequestContext, work: (slot: GuardedSlot) => Promise<T>): Promise<Guarded<T>>;
  readonly queue: RequestQueue;
  /**
   * Refuses all who wait and come, gives what runs `graceMs` to end, then cuts it off; resolves when no slot is held,
   * CANCEL_GRACE_MS later at most.
   */
  close(graceMs: number): Promise<void>;
}

export interface GuardOptions {
  /** Its gate must ask `breaker`. */
  readonly queue: RequestQueue;
  readonly breaker: Breaker;
  readonly clock: Clock;
  /** The failure rule; judgeError unless told otherwise. */
  readonly judge?: (error: unknown) => Outcome;
}

type CutReason = 'deadline' | 'client_gone' | 'shutting_down';

interface Cut {
  readonly signal: AbortSignal;
  reason: CutReason | undefined;
  /** Rejects when the work has been abandoned. */
  readonly abandoned: Promise<never>;
  now(reason: CutReason): void;
  /** The work has ended: stops its timers and stops listening. */
  end(): void;
}

export function createGuard(options: GuardOptions): Guard {
  const { queue, breaker, clock, judge = judgeError } = options;
  const underWay = new Set<Cut>();

  function refused(refusal: Refusal, waitedMs: number): Guarded<never> {
    const { state, nextProbeInMs } = breaker;
    if (state.name !== 'OPEN' || nextProbeInMs === undefined) return { ok: false, refusal, waitedMs };
    return { ok: false, refusal, waitedMs, nextProbe: { at: state.nextProbeAt, inMs: nextProbeInMs } };
  }

  async function run<T>(
    context: RequestContext,
    work: (slot: GuardedSlot) => Promise<T>,
  ): Promise<Guarded<T>> {
    const admission = await queue.enter(context);
    if (!admission.admitted) return refused(admission.refusal, admission.waitedMs);
    const { slot } = admission;
    const { waitedMs, probe } = slot;
    const startedAt = clock.monotonic();
    const cut = createCut(context, clock);
    underWay.add(cut);
    try {
      if (cut.reason) throw cut.signal.reason;
      const value = await Promise.race([
        work({ signal: cut.signal, deadline: context.deadline, waitedMs, probe }),
        cut.abandoned,
      ]);
      slot.release('success');
      return { ok: true, value, waitedMs };
    } catch (error) {
      if (!cut.reason) {
        slot.release(judge(error), error);
        throw error;
      }
      const tooLate = judgeCut(cut.reason, error, clock.monotonic() - startedAt);
      slot.release(tooLate ? 'failure' : 'neutral', tooLate);
      return refused(cut.reason, waitedMs);
    } finally {
      underWay.delete(cut);
      cut.end();
    }
  }

  return {
    run,
    queue,
    async close(graceMs) {
      const idle = queue.close();
      const cancel = clock.after(graceMs, () => {
        for (const cut of underWay) cut.now('shutting_down');
      });
      await idle;
      cancel();
    },
  };
}

/** Thrown in place of the work that did not heed its signal. */
class AbandonedError extends TimeoutError {
  override name = 'AbandonedError';
}

/**
 * Whatever cut-off work throws is due to the cut; only how long it took tells of the database.
 * @returns the failure that it counts as; undefined where it tells nothing
 */
function judgeCut(reason: CutReason, error: unknown, ranMs: number): TimeoutError | undefined {
  if (error instanceof AbandonedError) return error;
  return reason === 'deadline' && ranMs >= TIMEOUT_COUNTS_AFTER_MS
    ? new TimeoutError('work with a connection', Math.round(ranMs))
    : undefined;
}

function createCut(context: RequestContext, clock: Clock): Cut {
  const controller = new AbortController();
  const abandoned = Promise.withResolvers<never>();
  abandoned.promise.catch(() => {});
  let cancelGrace = () => {};
  const onGone = () => cut.now('client_gone');
  const cut: Cut = {
    signal: controller.signal,
    reason: undefined,
    abandoned: abandoned.promise,
    now(reason) {
      if (cut.reason) return;
      cut.reason = reason;
      cancelGrace = clock.after(CANCEL_GRACE_MS, () =>
        abandoned.reject(new AbandonedError('work that was cut off', CANCEL_GRACE_MS)),
      );
      controller.abort(new DOMException(`the request was cut off: ${reason}`, 'AbortError'));
    },
    end() {
      cancelDeadline();
      cancelGrace();
      context.signal.removeEventListener('abort', onGone);
    },
  };
  const cancelDeadline = callAt(clock, context.deadline, () => cut.now('deadline'));
  context.signal.addEventListener('abort', onGone, { once: true });
  if (context.signal.aborted) cut.now('client_gone');
  else if (context.deadline <= clock.monotonic()) cut.now('deadline');
  return cut;
}
