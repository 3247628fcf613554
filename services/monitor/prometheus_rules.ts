/** The rules as a Prometheus rule file. scripts/derived.ts writes it, and a test compares it with rules.ts. */
import { promql } from './measure.ts';
import type { Rule } from './rule.ts';
import { runbookAnchor } from './rules.ts';

const HEAD = `# Written from services/monitor/rules.ts: node scripts/derived.ts
# Check: promtool check rules rules.yml && promtool test rules rules_test.yml
groups:
  - name: trunkline
    interval: 10s
    rules:
`;

/** The whole file. */
export const prometheusRules = (rules: readonly Rule[]): string => HEAD + rules.map(ruleYaml).join('');

function ruleYaml(rule: Rule): string {
  const [sign, threshold] = rule.above === undefined ? ['<', rule.below] : ['>', rule.above];
  const main = `${promql(rule.measure)} ${sign} ${threshold}`;
  const expression = rule.and ? `(${main}) and (${promql(rule.and.measure)} > ${rule.and.above})` : main;
  // JSON strings are YAML's double-quoted ones.
  return `      - alert: ${rule.name}
        expr: ${JSON.stringify(expression)}
        for: ${rule.forS}s
        labels:
          severity: ${rule.severity}
        annotations:
          title: ${JSON.stringify(rule.title)}
          message: ${JSON.stringify(inTemplate(rule.message))}
          runbook: ${JSON.stringify(`docs/RUNBOOK.md#${runbookAnchor(rule.name)}`)}
`;
}

const FIGURES: Record<string, string> = {
  value: '{{ $value | humanize }}',
  percent: '{{ $value | humanizePercentage }}',
  gigabytes: '{{ $value | humanize }}B',
  hours: '{{ $value | humanizeDuration }}',
};

const inTemplate = (words: string): string =>
  words.replace(/\{(\w+)\}/g, (_, name: string) => FIGURES[name] ?? `{{ $labels.${name} }}`);
