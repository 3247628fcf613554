/**
 * A drill other than the loss of a part (losses.ts has those). Load runs at the doors and at the service, a fault is made on
 * purpose, and the drill reports the sequence of events and undoes the fault. A verdict then compares the results of clients
 * and the alerts of the monitor with the promises in infrastructure/README.md.
 */
import type { Clock } from '#platform/lifecycle/clock.ts';
import { waitFor, whatIsMissing } from '../readiness.ts';
import type { Tier } from '../tier.ts';
import { type CallersReport, type CallFailure, startCallers } from './callers.ts';
import { type Load, type LoadReport, lostWrites, prepareLoad, removeLoad, startLoad } from './load.ts';
import type { SilenceLimits, ToldPromise } from './losses.ts';
import { judgeFailures, judgeLost, judgeSilence, lostCalls } from './part_drill.ts';
import type { DrillServices } from './services.ts';
import { judgeTelling, type Told } from './telling.ts';
import { type ClientPromise, countBy, type Finding, judge, type MayFail } from './verdict.ts';
import { startWatch, type Watch } from './watch.ts';

/** Six clients for each bouncer and HAProxy process: enough that the clients of each process notice its death. */
const WRITERS = 36;
const READERS = 12;
const WHOLE_LIMIT_MS = 120_000;
const STEADY_LIMIT_MS = 15_000;
/** Load before the break, to compare with, and after the repair, to see that the repair holds. */
const BEFORE_MS = 1_000;
const AFTER_MS = 1_000;
const WAIT_POLL_MS = 10;

export interface DrillContext {
  readonly tier: Tier;
  readonly load: Load;
  readonly watch: Watch;
  /** Wrong answers to callers of the service so far. */
  serviceFailures(): readonly CallFailure[];
  /** The monitor's notices since a moment (monotonic). */
  told(from: number): Told[];
  /** `sleep` and `wait` reject once the drill is interrupted: `finally` blocks undo its faults. */
  readonly clock: Clock;
  /** Adds a line to the sequence. */
  say(text: string): void;
  /** Starts the sequence's time at 0: call it at the moment of breaking. @returns the moment, monotonic */
  broken(text: string): number;
  /**
   * Waits for an event.
   * @returns the milliseconds it took, Infinity when the event did not come within `limitMs`
   */
  wait(holds: () => boolean, limitMs: number): Promise<number>;
}

export interface DrillOutcome {
  /** Findings about the sequence itself; `judge` adds the results of clients. */
  readonly findings: readonly Finding[];
  /** The moment of the break, monotonic. */
  readonly brokenAt: number;
  /** From this moment on, no request that starts may fail (monotonic). */
  readonly routedAroundAt: number;
}

/** The promises to callers of the service on the tier, and the promised alerts. */
export interface ServicePromise {
  readonly mayFail: Extract<MayFail, 'none' | 'any'>;
  readonly limits: SilenceLimits;
  readonly told: ToldPromise;
}

export interface Drill {
  readonly name: string;
  readonly purpose: string;
  readonly promise: ClientPromise;
  readonly service: ServicePromise;
  /** Clients' connections are renewed this often; undefined: never. */
  readonly connectionLifetimeMs?: number;
  /** The reason why the drill can't be rehearsed here; undefined where it can. A drill without this function always can. */
  readonly impossible?: (tier: Tier) => Promise<string | undefined>;
  run(context: DrillContext): Promise<DrillOutcome>;
}

export interface SequenceLine {
  /** Milliseconds since the break. */
  readonly atMs: number;
  readonly text: string;
}

export interface DrillReport {
  readonly drill: string;
  readonly synchronous: boolean;
  readonly sequence: readonly SequenceLine[];
  readonly requests: { readonly answered: number; readonly failed: number; readonly readsRetried: number };
  readonly longestWithoutAnswerMs: Readonly<Record<'write' | 'read' | 'POST' | 'GET', number>>;
  readonly acknowledgedWrites: number;
  readonly acknowledgedWritesLost: number;
  /** The number of times that each error message came. */
  readonly errors: Readonly<Record<string, number>>;
  readonly findings: readonly Finding[];
  readonly passed: boolean;
}

export interface DrillRunOptions {
  readonly tier: Tier;
  readonly services: DrillServices;
  readonly clock: Clock;
  /** Whether the tier replicates synchronously during this run; decides which writes may be lost. */
  readonly synchronous: boolean;
  /** Called with each line of the sequence as it happens. */
  readonly onLine: (line: SequenceLine) => void;
  /** Interrupts the drill: its faults are undone, and it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs a drill on a complete tier.
 * @throws Error when the tier is not complete before, or does not become so again, or the drill is interrupted
 */
export async function runDrill(drill: Drill, options: DrillRunOptions): Promise<DrillReport> {
  const { tier, services, clock, signal } = options;
  const impatient: Clock = { ...clock, sleep: (ms) => clock.sleep(ms, signal) };
  const whole = () => waitFor(WHOLE_LIMIT_MS, () => whatIsMissing(tier), signal);
  await whole();
  await services.quiet(signal);
  await services.forget();
  await prepareLoad(tier);

  const sequence: SequenceLine[] = [];
  let zero: number | undefined;
  const say = (text: string) => {
    if (zero === undefined) return; // events of the tier before the break are left out
    const line = { atMs: Math.round(clock.monotonic() - zero), text };
    sequence.push(line);
    options.onLine(line);
  };
  const load = startLoad({
    tier,
    clock,
    writers: WRITERS,
    readers: READERS,
    connectionLifetimeMs: drill.connectionLifetimeMs,
  });
  const callers = startCallers(tier, services.api, clock, ['POST', 'GET']);
  const watch = startWatch(tier.layout, clock, say);
  let finished = false;
  let report: LoadReport;
  let called: CallersReport;
  let outcome: DrillOutcome;
  try {
    if (!(await load.everyoneAnswered('write', STEADY_LIMIT_MS, signal)))
      throw new Error('the requests of the load fail');
    if (!(await callers.everyoneAnswered(['POST', 'GET'], STEADY_LIMIT_MS, signal)))
      throw new Error(`the service does not answer: ${callers.faults().join('; ')}`);
    callers.begin();
    await impatient.sleep(BEFORE_MS);
    outcome = await drill.run({
      tier,
      load: { ...load, everyoneAnswered: (kind, limitMs) => load.everyoneAnswered(kind, limitMs, signal) },
      watch,
      serviceFailures: callers.failures,
      told: services.told,
      clock: impatient,
      say,
      broken: (text) => {
        zero = clock.monotonic();
        say(text);
        return zero;
      },
      wait: (holds, limitMs) => waitUntil(impatient, holds, limitMs),
    });
    await whole();
    say('the tier is complete again');
    await impatient.sleep(AFTER_MS);
    finished = true;
  } finally {
    called = await callers.stop();
    report = await load.stop();
    await watch.stop();
    if (!finished) await removeLoad(tier).catch(() => undefined);
  }
  const lost = await lostWrites(tier, report);
  const lostOfService = await lostCalls(tier, called);
  await removeLoad(tier);
  await services.quiet(signal);
  const { service } = drill;
  const findings = [
    ...outcome.findings,
    ...judge({ promise: drill.promise, outcome, report, lost, synchronous: options.synchronous }),
    ...judgeSilence(service, called),
    ...judgeFailures(service, called.failures, outcome.brokenAt),
    judgeLost(lostOfService, called.calls.length, { at: outcome.brokenAt, losable: 0 }),
    ...judgeTelling({
      promise: service.told,
      told: services.told(outcome.brokenAt),
      ...{ writesSilentMs: called.silentMs.POST, awayMs: Number.POSITIVE_INFINITY },
      rejected: services.rejected(),
    }),
  ];
  return {
    drill: drill.name,
    synchronous: options.synchronous,
    sequence,
    requests: {
      answered: report.write.answered + report.read.answered + called.answered,
      failed: report.write.failed + report.read.failed + called.failures.length,
      readsRetried: report.read.retried,
    },
    longestWithoutAnswerMs: {
      ...{ write: report.write.longestSilenceMs, read: report.read.longestSilenceMs },
      ...{ POST: called.silentMs.POST, GET: called.silentMs.GET },
    },
    acknowledgedWrites: report.acknowledged.length + called.calls.length,
    acknowledgedWritesLost: lost.length + lostOfService.length,
    errors: countBy([
      ...report.failures.map((failure) => `${failure.kind}: ${failure.message}`),
      ...called.failures.map(({ asked, message }) => `${asked}: ${message}`),
    ]),
    findings,
    passed: findings.every((finding) => finding.kept),
  };
}

async function waitUntil(clock: Clock, holds: () => boolean, limitMs: number): Promise<number> {
  const start = clock.monotonic();
  while (!holds()) {
    if (clock.monotonic() - start > limitMs) return Number.POSITIVE_INFINITY;
    await clock.sleep(WAIT_POLL_MS);
  }
  return clock.monotonic() - start;
}
