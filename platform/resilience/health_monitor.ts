/**
 * The health monitor: checks the database at regular times, whatever requests do, tells of a failure and of a recovery
 * once each, and tells the breaker.
 *
 * - A check that takes longer than its timeout has failed. Its signal is aborted, and no other check begins before it
 *   has ended; until then each turn counts as a failure.
 * - `uptimePercent`: share of the time since the first check ended in which the database was healthy. The time between
 *   the ends of two checks counts as the earlier one found it, the time since the last check likewise; so an outage is
 *   dated from the check that saw it to the check that saw it over.
 * - The breaker is told at the second failed check in a row: the first may have been its connection's fault alone, as
 *   where one bouncer of several is frozen. After a check that timed out the second one begins at once: nobody else sees
 *   a frozen database before the query timeout.
 */
import type { Clock } from '#platform/lifecycle/clock.ts';
import { TimeoutError, within } from '#platform/lifecycle/within.ts';
import { errorText } from '#platform/telemetry/error_text.ts';
import type { CircuitBreaker } from './circuit_breaker.ts';
import { isOutOfDescriptors } from './failure_rule.ts';

/** As the reference: `SELECT 1` every 2 s, with a 5 s timeout. */
export const HEALTH_CHECK_INTERVAL_MS = 2_000;
export const HEALTH_CHECK_TIMEOUT_MS = 5_000;
/** How long a check that was given up on may take to end before the next one counts as failed without being asked. */
const ENDING_GRACE_MS = 100;
/** Failed checks in a row until the breaker is told. */
export const FAILED_CHECKS_TO_TELL = 2;

export interface HealthStatus {
  /** What the last check found; false before the first. */
  readonly healthy: boolean;
  readonly consecutiveFailures: number;
  readonly consecutiveSuccesses: number;
  /** 0 to 100; null before the first check. */
  readonly uptimePercent: number | null;
  /** Milliseconds since the present outage was seen; null while healthy. */
  readonly timeSinceDown: number | null;
  /** `at` is the wall-clock time at its end, milliseconds since 1970. */
  readonly lastCheck: { readonly at: number; readonly tookMs: number; readonly passed: boolean } | null;
  /** Why the last check that failed did; kept after a recovery. */
  readonly lastError: string | null;
}

export type HealthChange =
  | { readonly healthy: false; readonly error: unknown }
  /** @property downMs how long the outage was seen to last */
  | { readonly healthy: true; readonly downMs: number };

export interface HealthMonitor {
  /** Begins the checks, the first at once; a monitor that runs already is left alone. */
  start(): void;
  /** Ends the checks; one under way is aborted and not counted. */
  stop(): Promise<void>;
  /** Checks now; while a check is under way, waits for that one. */
  runOnce(): Promise<HealthStatus>;
  readonly status: HealthStatus;
}

export interface HealthMonitorOptions {
  /**
   * Resolves when the database answered. Must end soon after its signal is aborted. After a check that failed the next
   * one must not ask on the same connection.
   */
  readonly check: (signal: AbortSignal) => Promise<void>;
  readonly clock: Clock;
  readonly intervalMs?: number;
  readonly timeoutMs?: number;
  /** Told of a failure and of a recovery, once each; not of a first check that passes. Must not throw. */
  readonly onChange?: (change: HealthChange) => void;
  readonly breaker?: Pick<CircuitBreaker, 'databaseDown' | 'databaseUp'>;
}

export function createHealthMonitor(options: HealthMonitorOptions): HealthMonitor {
  const { check, clock, onChange, breaker } = options;
  const { intervalMs = HEALTH_CHECK_INTERVAL_MS, timeoutMs = HEALTH_CHECK_TIMEOUT_MS } = options;
  let consecutiveFailures = 0;
  let consecutiveSuccesses = 0;
  let lastCheck: HealthStatus['lastCheck'] = null;
  let lastError: string | null = null;
  /** Monotonic milliseconds. */
  let lastCheckAt = 0;
  let downSince: number | undefined;
  let upMs = 0;
  let downMs = 0;
  let breakerTold = false;
  let inFlight: Promise<HealthStatus> | undefined;
  /** A check that was given up on has not ended; `lastEnd` resolves when it has. */
  let hanging = false;
  let lastEnd = Promise.resolve();
  /** The last check was the first to fail, by its time limit: another one is due at once. */
  let askAgain = false;
  /** Set while the checks go on. */
  let stopping: AbortController | undefined;
  let ended = Promise.resolve();

  /** Counts the time since the last check as that check found it. */
  function countTime(now: number): void {
    if (lastCheck?.passed) upMs += now - lastCheckAt;
    else if (lastCheck) downMs += now - lastCheckAt;
    lastCheckAt = now;
  }

  function record(startedAt: number, failure: { readonly error: unknown } | undefined): void {
    if (failure && isOutOfDescriptors(failure.error)) {
      // It could not be asked: that is not known to be down.
      lastError = errorText(failure.error);
      return;
    }
    const now = clock.monotonic();
    countTime(now);
    const wasDownSince = downSince;
    lastCheck = { at: clock.now(), tookMs: now - startedAt, passed: !failure };
    if (failure) {
      consecutiveSuccesses = 0;
      consecutiveFailures++;
      downSince ??= now;
      lastError = errorText(failure.error);
      askAgain = consecutiveFailures === 1 && failure.error instanceof TimeoutError;
      if (wasDownSince === undefined) onChange?.({ healthy: false, error: failure.error });
      if (breakerTold) return;
      breakerTold = consecutiveFailures >= FAILED_CHECKS_TO_TELL;
      if (breakerTold) breaker?.databaseDown(failure.error);
    } else {
      consecutiveFailures = 0;
      consecutiveSuccesses++;
      askAgain = false;
      downSince = undefined;
      breakerTold = false;
      if (wasDownSince !== undefined) onChange?.({ healthy: true, downMs: now - wasDownSince });
      breaker?.databaseUp(startedAt);
    }
  }

  async function checkOnce(stop: AbortSignal | undefined): Promise<void> {
    const startedAt = clock.monotonic();
    if (hanging) return record(startedAt, { error: new TimeoutError('the last health check', timeoutMs) });
    const checking = async (signal: AbortSignal) => {
      hanging = true;
      try {
        await check(signal);
      } finally {
        hanging = false;
      }
    };
    let failure: { error: unknown } | undefined;
    try {
      await within(
        clock,
        timeoutMs,
        'health check',
        (signal) => {
          const working = checking(signal);
          lastEnd = working.catch(() => undefined);
          return working;
        },
        stop,
      );
    } catch (error) {
      failure = { error };
    }
    if (!stop?.aborted) record(startedAt, failure);
  }

  /** Waits until the check that was given up on has ended, but not for long. */
  const endOfLast = (): Promise<void> =>
    within(clock, ENDING_GRACE_MS, 'the end of a health check', () => lastEnd).catch(() => undefined);

  async function repeat(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      const next = clock.monotonic() + intervalMs;
      await runOnce();
      if (askAgain && !stop.aborted) {
        await endOfLast();
        await runOnce();
      }
      await clock.sleep(Math.max(0, next - clock.monotonic()), stop).catch(() => {});
    }
  }

  function runOnce(): Promise<HealthStatus> {
    inFlight ??= checkOnce(stopping?.signal).then(() => {
      inFlight = undefined;
      return status();
    });
    return inFlight;
  }

  function status(): HealthStatus {
    const sinceLastMs = lastCheck ? clock.monotonic() - lastCheckAt : 0;
    const up = upMs + (lastCheck?.passed ? sinceLastMs : 0);
    const total = upMs + downMs + sinceLastMs;
    const atFirst = lastCheck?.passed ? 100 : 0;
    return {
      healthy: lastCheck?.passed ?? false,
      consecutiveFailures,
      consecutiveSuccesses,
      uptimePercent: lastCheck ? (total > 0 ? (100 * up) / total : atFirst) : null,
      timeSinceDown: downSince === undefined ? null : clock.monotonic() - downSince,
      lastCheck,
      lastError,
    };
  }

  return {
    start() {
      if (stopping) return;
      stopping = new AbortController();
      ended = repeat(stopping.signal);
    },
    async stop() {
      stopping?.abort(new Error('the health monitor stops'));
      stopping = undefined;
      await ended;
    },
    runOnce,
    get status() {
      return status();
    },
  };
}
