/**
 * The measure of a rule, as a small tree that is both evaluated here and written as PromQL, so that the monitor and
 * Prometheus use the same rule. Rates are (last − first) / time over the points in the window; a value that falls means a
 * reset of the counter. Prometheus also extrapolates to the window's edges.
 */
import { type History, type Labels, labelKey, type Series } from './samples.ts';

type Matcher = readonly [label: string, operator: '=' | '!=' | '=~' | '!~', value: string];

interface Selection {
  readonly metric: string;
  readonly where?: readonly Matcher[];
  /** Labels that remain. */
  readonly by: readonly string[];
}

interface Windowed extends Selection {
  readonly windowS: number;
}

export type Measure =
  | ({ readonly kind: 'last'; readonly aggregate: 'max' | 'sum' } & Selection)
  /** Increase per second, summed. */
  | ({ readonly kind: 'rate' } & Windowed)
  /** A quantile of a histogram, by its `_bucket` series. */
  | ({ readonly kind: 'quantile'; readonly quantile: number } & Windowed)
  /** Change per second, by linear regression. */
  | ({ readonly kind: 'slope' } & Windowed)
  /** A second aggregation, over the labels that are not in `by`. */
  | {
      readonly kind: 'fold';
      readonly aggregate: 'max' | 'sum';
      readonly by: readonly string[];
      readonly of: Measure;
    }
  /** The sum, if all have a value with the same labels. */
  | { readonly kind: 'total'; readonly of: readonly [Measure, ...Measure[]] }
  | { readonly kind: 'ratio'; readonly of: Measure; readonly to: Measure }
  /** of × times + plus */
  | { readonly kind: 'linear'; readonly of: Measure; readonly times: number; readonly plus: number };

export interface Value {
  readonly labels: Labels;
  /** NaN: unknown now. */
  readonly value: number;
}

/** The values of a measure at the last poll, one for each set of labels. */
export function evaluate(measure: Measure, history: History): Value[] {
  switch (measure.kind) {
    case 'last':
      return grouped(measure, history, (series) =>
        aggregate(
          series.map((one) => one.points.at(-1)![1]),
          measure.aggregate,
        ),
      );
    case 'rate':
      return grouped(measure, history, (series) =>
        aggregate(
          series.map((one) => ratePerS(one, history.now - measure.windowS * 1_000)),
          'sum',
        ),
      );
    case 'slope':
      return grouped(measure, history, (series) =>
        aggregate(
          series.map((one) => slopePerS(one, history.now - measure.windowS * 1_000)),
          'max',
        ),
      );
    case 'quantile':
      return grouped({ ...measure, metric: `${measure.metric}_bucket` }, history, (series) =>
        quantile(measure.quantile, series, history.now - measure.windowS * 1_000),
      );
    case 'fold':
      return fold(evaluate(measure.of, history), measure.by, measure.aggregate);
    case 'total': {
      const [first, ...rest] = measure.of.map((one) => evaluate(one, history));
      const others = rest.map((values) => new Map(values.map((v) => [labelKey(v.labels), v.value])));
      return first!.flatMap(({ labels, value }) => {
        const more = others.map((values) => values.get(labelKey(labels)));
        return more.includes(undefined) ? [] : [{ labels, value: sum([value, ...(more as number[])]) }];
      });
    }
    case 'ratio': {
      const above = new Map(evaluate(measure.of, history).map((v) => [labelKey(v.labels), v.value]));
      // A missing series of the numerator counts as 0: a service that never failed has no counter of failures.
      return evaluate(measure.to, history).map(({ labels, value }) => ({
        labels,
        value: (above.get(labelKey(labels)) ?? 0) / value,
      }));
    }
    case 'linear':
      return evaluate(measure.of, history).map(({ labels, value }) => ({
        labels,
        value: value * measure.times + measure.plus,
      }));
  }
}

/** The measure in PromQL. */
export function promql(measure: Measure): string {
  switch (measure.kind) {
    case 'last':
      return `${measure.aggregate} by (${measure.by.join(', ')}) (${selector(measure)})`;
    case 'rate':
      return `sum by (${measure.by.join(', ')}) (rate(${selector(measure)}[${measure.windowS}s]))`;
    case 'slope':
      return `max by (${measure.by.join(', ')}) (deriv(${selector(measure)}[${measure.windowS}s]))`;
    case 'quantile': {
      const buckets = selector({ ...measure, metric: `${measure.metric}_bucket` });
      const by = [...measure.by, 'le'].join(', ');
      return `histogram_quantile(${measure.quantile}, sum by (${by}) (rate(${buckets}[${measure.windowS}s])))`;
    }
    case 'fold':
      return `${measure.aggregate} by (${measure.by.join(', ')}) (${promql(measure.of)})`;
    case 'total':
      return `(${measure.of.map(promql).join(' + ')})`;
    case 'ratio':
      return `${promql(measure.of)} / ${promql(measure.to)}`;
    case 'linear': {
      const times = measure.times === 1 ? '' : ` * ${measure.times}`;
      const plus = measure.plus === 0 ? '' : ` ${measure.plus < 0 ? '-' : '+'} ${Math.abs(measure.plus)}`;
      return `(${promql(measure.of)}${times}${plus})`;
    }
  }
}

/** The names of the metrics that a measure reads. */
export function metricsOf(measure: Measure): string[] {
  switch (measure.kind) {
    case 'last':
    case 'rate':
    case 'slope':
      return [measure.metric];
    case 'quantile':
      return [`${measure.metric}_bucket`];
    case 'total':
      return measure.of.flatMap(metricsOf);
    case 'ratio':
      return [...metricsOf(measure.of), ...metricsOf(measure.to)];
    case 'linear':
    case 'fold':
      return metricsOf(measure.of);
  }
}

/** The window of a measure in seconds; 0: it uses only the last figures. */
export function windowOf(measure: Measure): number {
  switch (measure.kind) {
    case 'last':
      return 0;
    case 'rate':
    case 'slope':
    case 'quantile':
      return measure.windowS;
    case 'total':
      return Math.max(...measure.of.map(windowOf));
    case 'ratio':
      return Math.max(windowOf(measure.of), windowOf(measure.to));
    case 'linear':
    case 'fold':
      return windowOf(measure.of);
  }
}

/** Labels that the values of a measure have. */
export function labelsOf(measure: Measure): readonly string[] {
  switch (measure.kind) {
    case 'total':
      return labelsOf(measure.of[0]);
    case 'ratio':
      return labelsOf(measure.to);
    case 'linear':
      return labelsOf(measure.of);
    default:
      return measure.by;
  }
}

function selector({ metric, where = [] }: Selection): string {
  const matchers = where.map(([label, operator, value]) => `${label}${operator}${JSON.stringify(value)}`);
  return matchers.length === 0 ? metric : `${metric}{${matchers.join(', ')}}`;
}

const patterns = new Map<string, RegExp>();

/** Prometheus' patterns match whole values. */
function matches(labels: Labels, [label, operator, value]: Matcher): boolean {
  const has = labels[label] ?? '';
  if (operator === '=') return has === value;
  if (operator === '!=') return has !== value;
  const pattern = patterns.get(value) ?? new RegExp(`^(?:${value})$`);
  patterns.set(value, pattern);
  return pattern.test(has) === (operator === '=~');
}

/** Series that the last poll read, grouped by the labels that remain. */
function grouped(
  selection: Selection,
  history: History,
  toValue: (series: readonly Series[]) => number,
): Value[] {
  const groups = new Map<string, { labels: Labels; series: Series[] }>();
  for (const series of history.of(selection.metric)) {
    if (series.points.at(-1)![0] !== history.now) continue;
    if (!(selection.where ?? []).every((matcher) => matches(series.labels, matcher))) continue;
    const labels = pick(series.labels, selection.by);
    const key = labelKey(labels);
    const group = groups.get(key);
    if (group) group.series.push(series);
    else groups.set(key, { labels, series: [series] });
  }
  return [...groups.values()].map(({ labels, series }) => ({ labels, value: toValue(series) }));
}

function fold(values: readonly Value[], by: readonly string[], how: 'max' | 'sum'): Value[] {
  const groups = Map.groupBy(values, ({ labels }) => labelKey(pick(labels, by)));
  return [...groups.values()].map((group) => ({
    labels: pick(group[0]!.labels, by),
    value: aggregate(
      group.map(({ value }) => value),
      how,
    ),
  }));
}

const pick = (labels: Labels, by: readonly string[]): Labels =>
  Object.fromEntries(by.map((label) => [label, labels[label] ?? '']));

/** Unknown values don't count; NaN if all are unknown. */
function aggregate(values: readonly number[], how: 'max' | 'sum'): number {
  const known = values.filter((value) => !Number.isNaN(value));
  if (known.length === 0) return Number.NaN;
  return how === 'max' ? Math.max(...known) : sum(known);
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** NaN before there are two points. */
function ratePerS({ points }: Series, from: number): number {
  const inside = points.filter(([at]) => at >= from);
  const [first, last] = [inside[0], inside.at(-1)];
  if (!first || !last || last[0] <= first[0]) return Number.NaN;
  let increase = 0;
  for (let i = 1; i < inside.length; i++) {
    const [before, now] = [inside[i - 1]![1], inside[i]![1]];
    increase += now >= before ? now - before : now;
  }
  return (increase * 1_000) / (last[0] - first[0]);
}

/** As deriv: least squares. NaN before there are two points. */
function slopePerS({ points }: Series, from: number): number {
  const inside = points.filter(([at, value]) => at >= from && !Number.isNaN(value));
  if (inside.length < 2) return Number.NaN;
  const [begin, level] = inside[0]!;
  let [n, ofX, ofY, ofXY, ofXX] = [0, 0, 0, 0, 0];
  for (const [at, value] of inside) {
    const [x, y] = [(at - begin) / 1_000, value - level];
    n += 1;
    ofX += x;
    ofY += y;
    ofXY += x * y;
    ofXX += x * x;
  }
  return (ofXY - (ofX * ofY) / n) / (ofXX - (ofX * ofX) / n);
}

/** As histogram_quantile: linear within the bucket; beyond the last finite bound that bound is the answer. */
function quantile(q: number, series: readonly Series[], from: number): number {
  const byBound = new Map<number, number>();
  for (const one of series) {
    const rate = ratePerS(one, from);
    if (Number.isNaN(rate)) continue;
    const bound = one.labels.le === '+Inf' ? Number.POSITIVE_INFINITY : Number(one.labels.le);
    byBound.set(bound, (byBound.get(bound) ?? 0) + rate);
  }
  const buckets = [...byBound].sort(([a], [b]) => a - b);
  const total = buckets.at(-1)?.[1] ?? 0;
  if (total === 0) return Number.NaN;
  const rank = q * total;
  let [lower, below] = [0, 0];
  for (const [bound, count] of buckets) {
    if (count >= rank) {
      if (bound === Number.POSITIVE_INFINITY) return lower;
      return lower + (bound - lower) * ((rank - below) / (count - below));
    }
    [lower, below] = [bound, count];
  }
  return lower;
}
