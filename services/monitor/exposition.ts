/**
 * Parses a service's /metrics, in Prometheus' text format 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/).
 */
import type { Sample } from './samples.ts';

const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;
const ESCAPED: Record<string, string> = { '\\n': '\n', '\\"': '"', '\\\\': '\\' };

/** Maximum of series that one parser remembers; beyond it the parser forgets all. */
const REMEMBERED_SERIES = 20_000;

type Known = Pick<Sample, 'name' | 'labels'>;

/**
 * A parser for one service. It remembers the series that it has parsed: the same series come at every poll, and only their values
 * change.
 * @param wanted names of the metrics to keep; a service has hundreds of lines and the rules look at a few
 * @param added labels put over those of each sample, as Prometheus does with a target's own
 */
export function createMetricsParser(
  wanted: ReadonlySet<string>,
  added: Readonly<Record<string, string>>,
): (text: string) => Sample[] {
  const known = new Map<string, Known | null>();

  const read = (series: string): Known | null => {
    const brace = series.indexOf('{');
    const name = brace < 0 ? series : series.slice(0, brace);
    if (!wanted.has(name)) return null;
    const labels: Record<string, string> = {};
    for (const [, label, escaped] of series.slice(name.length).matchAll(LABEL)) {
      labels[label!] = escaped!.replace(/\\./g, (sequence) => ESCAPED[sequence] ?? sequence);
    }
    return { name, labels: { ...labels, ...added } };
  };

  return (text) => {
    if (known.size > REMEMBERED_SERIES) known.clear();
    const samples: Sample[] = [];
    for (const line of text.split('\n')) {
      if (line === '' || line.startsWith('#')) continue;
      const close = line.lastIndexOf('}');
      const end = close >= 0 ? close + 1 : line.indexOf(' ');
      const series = line.slice(0, end);
      let one = known.get(series);
      if (one === undefined) {
        one = read(series);
        known.set(series, one);
      }
      if (one === null) continue;
      const value = readNumber(line.slice(end));
      if (value !== undefined) samples.push({ name: one.name, labels: one.labels, value });
    }
    return samples;
  };
}

function readNumber(text: string): number | undefined {
  const word = text.trim().split(' ')[0];
  if (word === '+Inf') return Number.POSITIVE_INFINITY;
  if (word === '-Inf') return Number.NEGATIVE_INFINITY;
  if (word === 'NaN') return Number.NaN;
  const value = Number(word);
  return word === '' || Number.isNaN(value) ? undefined : value;
}
