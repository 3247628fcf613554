/** The promises to clients while a part is lost, and whether they were kept. */
import type { AcknowledgedWrite, KindReport, LoadReport } from './load.ts';

/**
 * Which requests may fail: `none`; those `underway` when the part is lost, until the failover; or also `writes` that come
 * while there is no primary; `any`: another promise says when none may fail.
 */
export type MayFail = 'none' | 'underway' | 'writes' | 'any';

/** Faults that clients may see; infrastructure/README.md has the same promises in words. */
export interface ClientPromise {
  readonly mayFail: MayFail;
  /** The longest time in which no write, no read at all is answered. */
  readonly writeSilenceMs: number;
  readonly readSilenceMs: number;
  /** Without synchronous replication, writes acknowledged this shortly before the break may be lost. */
  readonly losableMs: number;
}

/** One promise, and the measurement. */
export interface Finding {
  /**
   * A missed `time` may come from a busy machine. Failed `requests`, lost `writes`, untouched `parts`, and missing or
   * unexplained notices of the monitor (`telling`) do not.
   */
  readonly about: 'time' | 'requests' | 'writes' | 'parts' | 'telling';
  readonly promise: string;
  readonly measured: string;
  readonly kept: boolean;
}

export interface Evidence {
  readonly promise: ClientPromise;
  readonly outcome: { readonly brokenAt: number; readonly routedAroundAt: number };
  readonly report: LoadReport;
  readonly lost: readonly AcknowledgedWrite[];
  readonly synchronous: boolean;
}

/** Acknowledgements that were on their way to the client when the part was lost. */
const ON_THE_WAY_MS = 200;

export function judge(evidence: Evidence): Finding[] {
  const { promise, report } = evidence;
  return [
    ...(promise.mayFail === 'any' ? [] : [failures(evidence, promise.mayFail)]),
    silence('write', report.write, promise.writeSilenceMs),
    silence('read', report.read, promise.readSilenceMs),
    losses(evidence),
  ];
}

function failures({ outcome, report }: Evidence, mayFail: Exclude<MayFail, 'any'>): Finding {
  const reads = report.failures.filter((failure) => failure.kind === 'read');
  const later = report.failures.filter((failure) => failure.startedAt >= outcome.routedAroundAt);
  const [wrong, text] = {
    none: [report.failures, 'no request fails'],
    underway: [later, 'no request fails that starts after the failover'],
    writes: [reads, 'no read fails (after its one retry)'],
  }[mayFail] as [typeof report.failures, string];
  const example = wrong[0] ? `, such as: ${wrong[0].message}` : '';
  return {
    about: 'requests',
    promise: text,
    measured: `${wrong.length} failed${example}`,
    kept: wrong.length === 0,
  };
}

function silence(kind: string, report: KindReport, limitMs: number): Finding {
  return {
    about: 'time',
    promise: `some ${kind} is answered at least every ${limitMs / 1_000} s`,
    measured: `${(report.longestSilenceMs / 1_000).toFixed(2)} s without an answer`,
    kept: report.answered > 0 && report.longestSilenceMs <= limitMs,
  };
}

function losses({ promise, outcome, report, lost, synchronous }: Evidence): Finding {
  const losable = synchronous ? 0 : promise.losableMs;
  const wrong = lost.filter(
    (write) =>
      losable === 0 ||
      write.acknowledgedAt < outcome.brokenAt - losable ||
      write.acknowledgedAt > outcome.brokenAt + ON_THE_WAY_MS,
  );
  const text =
    losable === 0
      ? 'no acknowledged write is lost'
      : `no acknowledged write is lost, except of the last ${losable / 1_000} s before the break`;
  const measured = `${lost.length} of ${report.acknowledged.length} lost${
    losable > 0 ? `, ${wrong.length} of them older or newer than that` : ''
  }`;
  return {
    about: 'writes',
    promise: text,
    measured,
    kept: wrong.length === 0 && report.acknowledged.length > 0,
  };
}

/** A finding about how long something took. */
export function within(what: string, tookMs: number, limitMs: number): Finding {
  return {
    about: 'time',
    promise: `${what} within ${limitMs / 1_000} s`,
    measured: Number.isFinite(tookMs) ? `${(tookMs / 1_000).toFixed(2)} s` : 'did not happen',
    kept: tookMs <= limitMs,
  };
}

/** The number of times that each text came. */
export function countBy(texts: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const text of texts) counts[text] = (counts[text] ?? 0) + 1;
  return counts;
}
