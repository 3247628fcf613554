/**
 * Reads what a service's /metrics says, in Prometheus' text format 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/).
 */
import type { Sample } from './samples.ts';

const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;
const ESCAPED: Record<string, string> = { '\\n': '\n', '\\"': '"', '\\\\': '\\' };

/**
 * @param wanted names of the metrics to keep; a service has hundreds of lines and the rules look at a few
 * @param added labels put over those of each sample, as Prometheus does with a target's own
 */
export function parseMetrics(
  text: string,
  wanted: ReadonlySet<string>,
  added: Readonly<Record<string, string>>,
): Sample[] {
  const samples: Sample[] = [];
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const brace = line.indexOf('{');
    const name = line.slice(0, brace >= 0 ? brace : line.indexOf(' '));
    if (!wanted.has(name)) continue;
    const close = line.lastIndexOf('}');
    const value = readNumber(line.slice((brace >= 0 ? close : name.length) + 1));
    if (value === undefined) continue;
    const labels: Record<string, string> = {};
    if (brace >= 0) {
      for (const [, label, escaped] of line.slice(brace + 1, close).matchAll(LABEL)) {
        labels[label!] = escaped!.replace(/\\./g, (sequence) => ESCAPED[sequence] ?? sequence);
      }
    }
    samples.push({ name, labels: { ...labels, ...added }, value });
  }
  return samples;
}

function readNumber(text: string): number | undefined {
  const word = text.trim().split(' ')[0];
  if (word === '+Inf') return Number.POSITIVE_INFINITY;
  if (word === '-Inf') return Number.NEGATIVE_INFINITY;
  if (word === 'NaN') return Number.NaN;
  const value = Number(word);
  return word === '' || Number.isNaN(value) ? undefined : value;
}
