/**
 * One part of the tier is lost under callers of the database's doors and of the service, with the monitor watching. Measures
 * how long each caller was without an answer, which acknowledged writes are lost, and which alerts came when.
 */
import type { Clock } from '#platform/lifecycle/clock.ts';
import { leaderOf } from '../patroni.ts';
import { waitFor, whatIsMissing } from '../readiness.ts';
import type { Tier } from '../tier.ts';
import {
  ASKED,
  type Asked,
  type Callers,
  type CallersReport,
  type CallFailure,
  startCallers,
} from './callers.ts';
import { lostWrites, onLeader, prepareLoad, removeLoad } from './load.ts';
import type { Fault, Loss, PartKind, Taken } from './losses.ts';
import type { DrillServices } from './services.ts';
import { judgeTelling, type Told } from './telling.ts';
import { countBy, type Finding, within } from './verdict.ts';

const WHOLE_LIMIT_MS = 120_000;
const STEADY_LIMIT_MS = 20_000;
const FAILOVER_LIMIT_MS = 90_000;
const RESTART_LIMIT_MS = 40_000;
/** Callers before the break, to compare with; after a failover, and after the repair, to see that it holds. */
const BEFORE_MS = 1_000;
const AFTER_MS = 2_000;
const POLL_MS = 100;
/** Acknowledgements that were on their way to the client when the part was lost. */
const ON_THE_WAY_MS = 200;

export interface PartReport {
  readonly drill: string;
  readonly part: string;
  readonly kind: PartKind;
  readonly fault: Fault;
  /** The lost part of the tier, by name. */
  readonly victim: string;
  /** When it was lost, and when the tier was healthy and all ends were reported; RFC 3339. */
  readonly from: string;
  readonly to: string;
  /** The longest time without an answer at each place. */
  readonly silentMs: Readonly<Record<Asked, number>>;
  readonly requests: { readonly answered: number; readonly failed: number };
  readonly errors: Readonly<Record<string, number>>;
  readonly acknowledged: number;
  readonly lost: number;
  readonly told: readonly Told[];
  /** When each alert of `trunkline alerts list` began, RFC 3339, with its text. */
  readonly alerts: readonly { readonly since: string; readonly message: string }[];
  readonly findings: readonly Finding[];
  readonly passed: boolean;
}

export interface PartDrillOptions {
  readonly tier: Tier;
  readonly services: DrillServices;
  readonly clock: Clock;
  readonly synchronous: boolean;
  /** Interrupts the drill: its faults are undone, and it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Called with each event. */
  readonly say: (text: string) => void;
}

/**
 * Runs the loss on a complete tier.
 * @throws Error when the tier is not complete before, or does not become so again, or the drill is interrupted
 */
export async function runPartDrill(loss: Loss, options: PartDrillOptions): Promise<PartReport> {
  const { tier, services, clock, signal, say } = options;
  const whole = () => waitFor(WHOLE_LIMIT_MS, () => whatIsMissing(tier), signal);
  await whole();
  await services.quiet(signal);
  await services.forget();
  await prepareLoad(tier);
  const callers = startCallers(tier, services.api, clock);
  let report: CallersReport | undefined;
  let broken: { taken: Taken; at: number; from: string };
  let repairedMs: number | undefined;
  try {
    if (!(await callers.everyoneAnswered(ASKED, STEADY_LIMIT_MS, signal)))
      throw new Error(`the requests of the callers fail: ${callers.faults().join('; ')}`);
    callers.begin();
    await clock.sleep(BEFORE_MS, signal);
    const from = new Date(clock.now()).toISOString();
    const at = clock.monotonic();
    const taken = await loss.take(tier);
    broken = { taken, at, from };
    say(`${taken.victim} ${loss.fault}: ${taken.processes} processes`);
    try {
      repairedMs = await untilOver(loss, broken, callers, options);
    } finally {
      await taken.repair();
    }
    say(`${taken.victim} is released`);
    await whole();
    say('the tier is complete again');
    await clock.sleep(AFTER_MS, signal);
  } finally {
    report = await callers.stop();
    if (signal?.aborted) await removeLoad(tier).catch(() => undefined);
  }
  const { at, from, taken } = broken;
  const lost = [
    ...(await lostWrites(tier, { acknowledged: report.rows })),
    ...(await lostCalls(tier, report)),
  ];
  await removeLoad(tier);
  await services.quiet(signal);
  const told = services.told(at);
  const alerts = (await services.alerts())
    .filter(({ since }) => since >= from)
    .map(({ since, message }) => ({ since, message }));
  const losable = options.synchronous ? 0 : loss.losableMs;
  const findings = [
    ...judgeSilence(loss, report),
    ...judgeFailures(loss, report.failures, at),
    judgeLost(lost, report.rows.length + report.calls.length, { at, losable }),
    ...(repairedMs === undefined
      ? []
      : [within(`the supervisor restarts ${taken.victim}`, repairedMs, RESTART_LIMIT_MS)]),
    ...judgeTelling({
      promise: loss.told,
      told,
      writesSilentMs: report.silentMs.writes,
      awayMs: repairedMs ?? Number.POSITIVE_INFINITY,
      rejected: services.rejected(),
    }),
  ];
  return {
    drill: loss.name,
    ...{ part: loss.part, kind: loss.kind, fault: loss.fault, victim: taken.victim, from },
    to: new Date(clock.now()).toISOString(),
    silentMs: report.silentMs,
    requests: { answered: report.answered, failed: report.failures.length },
    errors: countBy(report.failures.map(({ asked, message }) => `${asked}: ${message}`)),
    acknowledged: report.rows.length + report.calls.length,
    lost: lost.length,
    ...{ told, alerts, findings },
    passed: findings.every(({ kept }) => kept),
  };
}

/** Waits while the part is lost. @returns how long the tier took to restart the part, where it must */
async function untilOver(
  { away }: Loss,
  { taken, at }: { readonly taken: Taken; readonly at: number },
  callers: Callers,
  { tier, clock, signal }: PartDrillOptions,
): Promise<number | undefined> {
  if (typeof away === 'number') return void (await clock.sleep(away, signal));
  const until = async (holds: () => Promise<boolean>, limitMs: number): Promise<number> => {
    while (!(await holds())) {
      if (clock.monotonic() - at > limitMs) return Number.POSITIVE_INFINITY;
      await clock.sleep(POLL_MS, signal);
    }
    return clock.monotonic() - at;
  };
  if (away === 'restarted') {
    const isNew = async () => {
      const process = (await tier.parts())[taken.victim]?.process;
      return process != null && process.pid !== taken.leader;
    };
    return until(isNew, RESTART_LIMIT_MS);
  }
  if (away === 'failover') {
    const others = tier.layout.nodes.filter(({ name }) => name !== taken.victim);
    const isOther = async () => {
      const leader = await leaderOf(others);
      return leader !== undefined && leader.name !== taken.victim;
    };
    await until(isOther, FAILOVER_LIMIT_MS);
  }
  await clock.sleep(BEFORE_MS, signal);
  await callers.everyoneAnswered(['writes', 'POST'], FAILOVER_LIMIT_MS, signal);
  await clock.sleep(AFTER_MS, signal);
  return undefined;
}

/** Calls that the service acknowledged and that are missing in the database. */
export async function lostCalls(
  tier: Tier,
  { run, calls }: CallersReport,
): Promise<{ acknowledgedAt: number }[]> {
  const sql = 'SELECT call_id FROM calls.cdrs WHERE call_id LIKE $1';
  const stored = await onLeader(tier, (client) => client.query<{ call_id: string }>(sql, [`drill-${run}-%`]));
  const kept = new Set(stored.rows.map(({ call_id }) => call_id));
  return calls.filter(({ callId }) => !kept.has(callId));
}

/** The promised time without an answer, at the doors and at the service. */
export function judgeSilence(
  { limits }: Pick<Loss, 'limits'>,
  { silentMs, answered }: Pick<CallersReport, 'silentMs' | 'answered'>,
): Finding[] {
  return (Object.keys(silentMs) as Asked[]).map((asked) => {
    const isWrite = asked === 'writes' || asked === 'POST';
    const limitMs = isWrite ? limits.writesMs : limits.readsMs;
    const where = asked === 'writes' || asked === 'reads' ? `${asked} at the door` : `${asked} /cdrs`;
    return {
      about: 'time',
      promise: `some of ${where} are answered at least every ${limitMs / 1_000} s`,
      measured: `${(silentMs[asked] / 1_000).toFixed(2)} s without an answer`,
      kept: answered > 0 && silentMs[asked] <= limitMs,
    };
  });
}

/** @param at the moment of the break, monotonic */
export function judgeFailures(
  { mayFail, limits }: Pick<Loss, 'mayFail' | 'limits'>,
  failures: readonly CallFailure[],
  at: number,
): Finding[] {
  if (mayFail === 'any') return [];
  const ledAroundMs = Math.max(limits.readsMs, limits.writesMs);
  const [wrong, promise] = {
    none: [failures, 'no request fails'],
    underway: [
      failures.filter(({ startedAt }) => startedAt > at + ledAroundMs),
      `no request fails that begins later than ${ledAroundMs / 1_000} s after the break`,
    ],
    writes: [
      failures.filter(({ asked }) => asked === 'reads'),
      'no read at the door fails (after its one retry)',
    ],
  }[mayFail] as [readonly CallFailure[], string];
  const example = wrong[0] ? `, such as: ${wrong[0].asked}: ${wrong[0].message}` : '';
  return [
    { about: 'requests', promise, measured: `${wrong.length} failed${example}`, kept: wrong.length === 0 },
  ];
}

/** @param losable milliseconds before the break in which acknowledged writes may be lost */
export function judgeLost(
  lost: readonly { readonly acknowledgedAt: number }[],
  acknowledged: number,
  { at, losable }: { readonly at: number; readonly losable: number },
): Finding {
  const wrong = lost.filter(
    ({ acknowledgedAt }) =>
      losable === 0 || acknowledgedAt < at - losable || acknowledgedAt > at + ON_THE_WAY_MS,
  );
  const but = losable === 0 ? '' : `, except of the last ${losable / 1_000} s before the break`;
  return {
    about: 'writes',
    promise: `no acknowledged write is lost${but}`,
    measured: `${lost.length} of ${acknowledged} lost`,
    kept: wrong.length === 0 && acknowledged > 0,
  };
}
