import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { BOUNCER_CLIENTS as CLIENTS_OF_THE_TIER } from '#engines/cluster/configuration.ts';
import { RELATED } from './causes.ts';
import { nameOf } from './excuses.ts';
import { evaluate, labelsOf } from './measure.ts';
import { prometheusRules } from './prometheus_rules.ts';
import { BOUNCER_CLIENTS, RULES, runbookAnchor } from './rules.ts';
import { createHistory } from './samples.ts';

const FOLDER = fileURLToPath(new URL('../../infrastructure/monitoring', import.meta.url));
const run = promisify(execFile);

/** Runbook entries of notices that are not rules. */
const OTHER_ANCHORS = [
  'haproxyrestarted',
  'leaderchanged',
  'statefiledamaged',
  'messagerefused',
  'heartbeat',
  'test',
];

const promtool = await run('promtool', ['--version']).then(
  () => false as const,
  () => 'promtool is not installed (scripts/engines installs it with the package prometheus)',
);

test('the file for Prometheus is derived from the rules: node scripts/derived.ts', () => {
  assert.equal(readFileSync(`${FOLDER}/rules.yml`, 'utf8'), prometheusRules(RULES));
});

test('promtool accepts the rules and the sample configuration', { skip: promtool }, async () => {
  await run('promtool', ['check', 'rules', 'rules.yml'], { cwd: FOLDER });
  await run('promtool', ['check', 'config', 'prometheus.yml'], { cwd: FOLDER });
});

test('promtool test rules: the alerts of Prometheus', { skip: promtool }, async () => {
  const { stdout } = await run('promtool', ['test', 'rules', 'rules_test.yml'], { cwd: FOLDER });
  assert.match(stdout, /SUCCESS/);
});

test('every rule, and every other notice, has its entry in the runbook', () => {
  const runbook = readFileSync(new URL('../../docs/RUNBOOK.md', import.meta.url), 'utf8');
  const anchors = new Set([...runbook.matchAll(/^### (.+)$/gm)].map(([, words]) => words!.toLowerCase()));
  const wanted = [...RULES.map(({ name }) => runbookAnchor(name)), ...OTHER_ANCHORS];
  assert.deepEqual(
    wanted.filter((anchor) => !anchors.has(anchor)),
    [],
  );
});

test('names are used once, causes exist, and the words name labels that the figure has', () => {
  const names = RULES.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  assert.deepEqual(
    RELATED.filter((name) => !names.includes(name)),
    [],
  );
  for (const rule of RULES) {
    for (const cause of [...(rule.causedBy ?? []).map(nameOf), ...(rule.saidBy ?? []).map(({ by }) => by)])
      assert.ok(names.includes(cause), `${rule.name}: ${cause}`);
    const labels = labelsOf(rule.measure);
    for (const [, label] of `${rule.message} ${rule.recovery} ${rule.over}`.matchAll(/\{(\w+)\}/g)) {
      assert.ok(
        ['value', 'percent', 'gigabytes', 'hours'].includes(label!) || labels.includes(label!),
        `${rule.name}: {${label}}`,
      );
    }
    assert.deepEqual(evaluate(rule.measure, createHistory(1_000)), []);
  }
});

test('the size of a bouncer equals its configuration', () => {
  assert.equal(BOUNCER_CLIENTS, CLIENTS_OF_THE_TIER);
});
