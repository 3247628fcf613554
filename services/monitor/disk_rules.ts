/** The rules about the file systems of PostgreSQL's data and WAL. */
import { AVAILABLE, DISKS_JOB, FREE, SIZE } from './disk_reader.ts';
import { evaluate, type Measure } from './measure.ts';
import type { Rule } from './rule.ts';
import { highest } from './rule_measures.ts';
import { type History, labelKey } from './samples.ts';

const disk = { title: 'Disk Alert', source: 'monitor' } as const;
const BY = ['instance', 'mountpoint'];
const OF_DISKS = ['job', '=', DISKS_JOB] as const;
/** From this use on a disk is nearly full, and not shown as UP. */
export const NEARLY_FULL = 0.9;
/** A forecast uses the rate of this time. */
const FORECAST_WINDOW_S = 3_600;
const FORECAST_ALERT_S = 6 * 3_600;
/** A line through a shorter time is too inaccurate: it is not shown. */
const FORECAST_SPAN_MS = 1_800_000;

const available = highest(AVAILABLE, BY, OF_DISKS);
/** As df counts: without the space that is reserved for root. */
const size: Measure = {
  kind: 'total',
  of: [
    available,
    highest(SIZE, BY, OF_DISKS),
    { kind: 'linear', of: highest(FREE, BY, OF_DISKS), times: -1, plus: 0 },
  ],
};
const diskUse: Measure = {
  kind: 'linear',
  of: { kind: 'ratio', of: available, to: size },
  times: -1,
  plus: 1,
};
/** Bytes a second. */
const consumption: Measure = {
  kind: 'linear',
  of: {
    kind: 'slope',
    metric: AVAILABLE,
    where: [OF_DISKS],
    by: BY,
    windowS: FORECAST_WINDOW_S,
  },
  times: -1,
  plus: 0,
};
/** Seconds until the disk is full; 0 or less if its use does not grow. */
export const fullIn: Measure = { kind: 'ratio', of: available, to: consumption };
/** The time for which a history must keep the figures of a metric, in milliseconds. */
export const FORECAST_HISTORY: ReadonlyMap<string, number> = new Map([
  [AVAILABLE, FORECAST_WINDOW_S * 1_000],
]);

/**
 * The forecasts that the topology shows: seconds until a disk is full, by the key of its labels; only for disks that were
 * measured for half an hour. (The rule waits by its `for:`, as Prometheus does.)
 */
export function forecasts(history: History): Map<string, number> {
  const spans = new Map<string, number>();
  for (const { labels, points } of history.of(AVAILABLE)) {
    const measured = points.filter(([, value]) => !Number.isNaN(value));
    const spanMs = (measured.at(-1)?.[0] ?? 0) - (measured[0]?.[0] ?? 0);
    const { instance = '', mountpoint = '' } = labels;
    spans.set(labelKey({ instance, mountpoint }), spanMs);
  }
  const values = evaluate(fullIn, history).map(({ labels, value }) => [labelKey(labels), value] as const);
  return new Map(values.filter(([key]) => (spans.get(key) ?? 0) >= FORECAST_SPAN_MS));
}

export const DISK_RULES: readonly Rule[] = [
  {
    ...disk,
    name: 'DiskNearlyFull',
    severity: 'critical',
    message: '{instance}: {percent} of {mountpoint} is used: PostgreSQL stops when it is full',
    recovery: '{instance}: {mountpoint} has room again',
    measure: diskUse,
    above: NEARLY_FULL,
    forS: 10,
  },
  {
    ...disk,
    name: 'DiskFilling',
    severity: 'warning',
    message: '{instance}: {percent} of {mountpoint} is used',
    recovery: '{instance}: {mountpoint} has room again',
    measure: diskUse,
    above: 0.8,
    forS: 60,
  },
  {
    ...disk,
    name: 'DiskFullSoon',
    severity: 'warning',
    message: '{instance}: {mountpoint} is full in {hours} at the rate of the last hour',
    recovery: '{instance}: {mountpoint} is no longer about to be full',
    measure: fullIn,
    below: FORECAST_ALERT_S,
    and: { measure: consumption, above: 0 },
    forS: 600,
  },
];
