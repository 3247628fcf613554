/**
 * The circuit breaker: keeps work away from a database that is down, and lets it back in carefully.
 *
 * States and transitions are drawn in README.md. A pass is the permission to do one piece of work; its outcome counts
 * only while the breaker is still in the state in which the pass was given. So a success from before the breaker opened
 * cannot close it, and a failure from then cannot open it again.
 *
 * What one crash takes with it counts once: a pool's connections to one bouncer of several are lost in the same instant,
 * which is no five failures in a row. Work that began after the loss was seen counts again.
 */
import type { Clock } from '#platform/lifecycle/clock.ts';
import { isConnectionLost, type Outcome } from './failure_rule.ts';

/** As the reference: 5 failures, 60 s, 3 successes. */
export const FAILURES_TO_OPEN = 5;
export const OPEN_MS = 60_000;
export const SUCCESSES_TO_CLOSE = 3;
export const MAX_PROBES = 3;

/** `since` and `nextProbeAt` are wall-clock milliseconds since 1970, for showing. */
export type BreakerState =
  | { readonly name: 'CLOSED'; readonly since: number; readonly consecutiveFailures: number }
  | {
      readonly name: 'OPEN';
      readonly since: number;
      readonly nextProbeAt: number;
      readonly reason: TransitionReason;
    }
  | {
      readonly name: 'HALF_OPEN';
      readonly since: number;
      readonly consecutiveSuccesses: number;
      readonly probes: number;
    }
  /** Opened by hand: stays so until it is closed or released by hand. */
  | { readonly name: 'HELD_OPEN'; readonly since: number; readonly heldBy: string };

export type TransitionReason =
  | 'consecutive_failures'
  | 'probe_failed'
  | 'database_down'
  | 'open_time_over'
  | 'database_up'
  | 'probes_succeeded'
  | 'checks_passed'
  | 'opened_by_hand'
  | 'closed_by_hand'
  | 'released_by_hand';

export interface Transition {
  readonly from: BreakerState['name'];
  readonly to: BreakerState['name'];
  readonly reason: TransitionReason;
  /** Wall-clock milliseconds since 1970. */
  readonly at: number;
  /** Who did it, for what is done by hand. */
  readonly by?: string;
  /** The error that tipped it, for failures. */
  readonly cause?: unknown;
}

/** Permission for one piece of work. */
export interface Pass {
  /** Given while HALF_OPEN. */
  readonly probe: boolean;
  /** Reports the outcome of the work. Only the first call counts. Each pass must be reported. */
  report(outcome: Outcome, cause?: unknown): void;
}

/** What a queue needs of a breaker. */
export interface Gate {
  /** A pass, or undefined while no more work may start. */
  tryPass(): Pass | undefined;
  /** Not every request is let through: OPEN, HALF_OPEN or held open. */
  readonly blocked: boolean;
  /** Calls `listener` after each change that may let work start or stop it; returns how to end that. */
  onChange(listener: () => void): () => void;
}

/** A breaker as those see it whose work it lets through, and operators. */
export interface Breaker extends Gate {
  readonly state: BreakerState;
  /** `tryPass` would give a pass. */
  readonly admits: boolean;
  /** Milliseconds until the next probe, while OPEN. */
  readonly nextProbeInMs: number | undefined;
  /** Opens it until it is closed or released by hand. @param by who does it */
  openByHand(by: string): void;
  /** Closes it; from then on it opens by its own rules again. Nothing happens to one that is CLOSED. @param by who does it */
  closeByHand(by: string): void;
  /** Lets one that is held open find out by probes whether it may close. @param by who does it */
  releaseByHand(by: string): void;
}

export interface CircuitBreaker extends Breaker {
  /** From the health monitor: the database does not answer. Opens a breaker that is CLOSED or HALF_OPEN. */
  databaseDown(cause: unknown): void;
  /**
   * From the health monitor: a check that began at monotonic time `checkedFrom`, on a new connection, succeeded. A check
   * counts that began after the breaker came into its state. An OPEN breaker goes to HALF_OPEN at once. One that is
   * HALF_OPEN takes the check for a probe while no request is one, so that a service without requests does not stay
   * HALF_OPEN for ever.
   */
  databaseUp(checkedFrom: number): void;
  /** Cancels its timer; for shutting down. */
  stop(): void;
}

export interface CircuitBreakerOptions {
  readonly clock: Clock;
  readonly failuresToOpen?: number;
  readonly openMs?: number;
  readonly successesToClose?: number;
  readonly maxProbes?: number;
  /** Told of each transition, after it. Must not throw. */
  readonly onTransition?: (transition: Transition) => void;
}

export function createCircuitBreaker(options: CircuitBreakerOptions): CircuitBreaker {
  const { clock, onTransition } = options;
  const { failuresToOpen = FAILURES_TO_OPEN, openMs = OPEN_MS } = options;
  const { successesToClose = SUCCESSES_TO_CLOSE, maxProbes = MAX_PROBES } = options;
  const listeners = new Set<() => void>();
  let state: BreakerState = { name: 'CLOSED', since: clock.now(), consecutiveFailures: 0 };
  /** Grows with each transition; a pass of an earlier epoch no longer counts. */
  let epoch = 0;
  /** Of the state, monotonic. */
  let enteredAt = clock.monotonic();
  /** When a lost connection was last seen, monotonic. */
  let lostAt = Number.NEGATIVE_INFINITY;
  let cancelTimer = () => {};

  function notify(): void {
    for (const listener of listeners) listener();
  }

  function enter(
    next: BreakerState,
    reason: TransitionReason,
    detail: { by?: string; cause?: unknown } = {},
  ): void {
    const from = state.name;
    cancelTimer();
    cancelTimer = () => {};
    state = next;
    epoch++;
    enteredAt = clock.monotonic();
    if (next.name === 'OPEN') {
      cancelTimer = clock.after(openMs, () => halfOpen('open_time_over'));
    }
    onTransition?.({ from, to: next.name, reason, at: next.since, ...detail });
    notify();
  }

  function open(reason: TransitionReason, cause: unknown): void {
    const since = clock.now();
    enter({ name: 'OPEN', since, nextProbeAt: since + openMs, reason }, reason, { cause });
  }

  function halfOpen(reason: TransitionReason, by?: string): void {
    const next = { name: 'HALF_OPEN', since: clock.now(), consecutiveSuccesses: 0, probes: 0 } as const;
    enter(next, reason, by === undefined ? {} : { by });
  }

  function close(reason: TransitionReason, by?: string): void {
    const next = { name: 'CLOSED', since: clock.now(), consecutiveFailures: 0 } as const;
    enter(next, reason, by === undefined ? {} : { by });
  }

  function count(outcome: Outcome, cause: unknown): void {
    if (state.name === 'CLOSED') {
      if (outcome === 'neutral') return;
      const consecutiveFailures = outcome === 'failure' ? state.consecutiveFailures + 1 : 0;
      if (consecutiveFailures !== state.consecutiveFailures) state = { ...state, consecutiveFailures };
      if (consecutiveFailures >= failuresToOpen) open('consecutive_failures', cause);
    } else if (state.name === 'HALF_OPEN') {
      const consecutiveSuccesses = state.consecutiveSuccesses + (outcome === 'success' ? 1 : 0);
      state = { ...state, consecutiveSuccesses, probes: state.probes - 1 };
      if (outcome === 'failure') open('probe_failed', cause);
      else if (consecutiveSuccesses >= successesToClose) close('probes_succeeded');
      else notify();
    }
  }

  function pass(probe: boolean): Pass {
    const givenIn = epoch;
    const givenAt = clock.monotonic();
    let reported = false;
    return {
      probe,
      report(outcome, cause) {
        if (reported) return;
        reported = true;
        const isLost = outcome === 'failure' && isConnectionLost(cause);
        const isKnown = isLost && givenAt < lostAt;
        if (isLost && !isKnown) lostAt = clock.monotonic();
        if (givenIn === epoch) count(isKnown ? 'neutral' : outcome, cause);
      },
    };
  }

  const admits = () => state.name === 'CLOSED' || (state.name === 'HALF_OPEN' && state.probes < maxProbes);

  return {
    get state() {
      return state;
    },
    get blocked() {
      return state.name !== 'CLOSED';
    },
    get admits() {
      return admits();
    },
    get nextProbeInMs() {
      return state.name === 'OPEN' ? Math.max(0, enteredAt + openMs - clock.monotonic()) : undefined;
    },
    tryPass() {
      if (!admits()) return undefined;
      if (state.name !== 'HALF_OPEN') return pass(false);
      state = { ...state, probes: state.probes + 1 };
      return pass(true);
    },
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    databaseDown(cause) {
      if (state.name === 'CLOSED' || state.name === 'HALF_OPEN') open('database_down', cause);
    },
    databaseUp(checkedFrom) {
      if (checkedFrom < enteredAt) return;
      if (state.name === 'OPEN') halfOpen('database_up');
      else if (state.name === 'HALF_OPEN' && state.probes === 0) {
        const consecutiveSuccesses = state.consecutiveSuccesses + 1;
        state = { ...state, consecutiveSuccesses };
        if (consecutiveSuccesses >= successesToClose) close('checks_passed');
      }
    },
    openByHand(by) {
      enter({ name: 'HELD_OPEN', since: clock.now(), heldBy: by }, 'opened_by_hand', { by });
    },
    closeByHand(by) {
      if (state.name !== 'CLOSED') close('closed_by_hand', by);
    },
    releaseByHand(by) {
      if (state.name === 'HELD_OPEN') halfOpen('released_by_hand', by);
    },
    stop: () => cancelTimer(),
  };
}
