import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMetricsParser } from './exposition.ts';
import { parseStats } from './haproxy_csv.ts';
import { evaluate, type Measure } from './measure.ts';
import { createHistory, sample } from './samples.ts';

const rate: Measure = { kind: 'rate', metric: 'requests', by: ['service'], windowS: 60 };

test('a rate continues over a reset, and begins with the second point', () => {
  const history = createHistory(120_000);
  const at = (seconds: number, value: number) =>
    history.add(seconds * 1_000, [sample('requests', { service: 'calls' }, value)]);
  at(0, 100);
  assert.deepEqual(evaluate(rate, history), [{ labels: { service: 'calls' }, value: Number.NaN }]);
  at(10, 120);
  assert.equal(evaluate(rate, history)[0]?.value, 2);
  at(20, 5);
  assert.equal(evaluate(rate, history)[0]?.value, 25 / 20);
  history.add(30_000, []);
  assert.deepEqual(evaluate(rate, history), [], 'a series that was not read has no value');
});

test('a missing series of failures counts as 0', () => {
  const history = createHistory(120_000);
  const share: Measure = { kind: 'ratio', of: { ...rate, metric: 'failures' }, to: rate };
  for (const at of [0, 10_000]) history.add(at, [sample('requests', { service: 'calls' }, at / 100)]);
  assert.equal(evaluate(share, history)[0]?.value, 0);
});

test('quantiles lie within the bucket, as in histogram_quantile', () => {
  const history = createHistory(120_000);
  const buckets = [
    ['0.1', 50],
    ['0.5', 90],
    ['1', 100],
    ['+Inf', 100],
  ] as const;
  for (const [at, times] of [
    [0, 0],
    [10_000, 1],
  ] as const) {
    history.add(
      at,
      buckets.map(([le, count]) => sample('d_bucket', { service: 'calls', le }, count * times)),
    );
  }
  const q = (quantile: number) =>
    evaluate({ kind: 'quantile', quantile, metric: 'd', by: ['service'], windowS: 60 }, history)[0]?.value;
  assert.equal(q(0.5), 0.1);
  assert.equal(q(0.95), 0.75);
  assert.ok(Math.abs(q(0.7)! - 0.3) < 1e-9);
});

test('metrics of a service: labels with quotes, comments, unneeded metrics', () => {
  const text = [
    '# HELP a b',
    'a{x="1, \\"2\\"}",service="other"} 3',
    'ab 4',
    'a_bucket{le="+Inf"} +Inf 1700000000000',
    'c NaN',
    'broken',
  ].join('\n');
  const parse = createMetricsParser(new Set(['a', 'a_bucket', 'c']), { service: 'calls' });
  assert.deepEqual(parse(text), [
    { name: 'a', labels: { x: '1, "2"}', service: 'calls' }, value: 3 },
    { name: 'a_bucket', labels: { le: '+Inf', service: 'calls' }, value: Number.POSITIVE_INFINITY },
    { name: 'c', labels: { service: 'calls' }, value: Number.NaN },
  ]);
  assert.equal(parse('c 7')[0]?.value, 7, 'a known series has its new value');
});

test('statistics with quoted fields; truncated ones and other pages are refused', () => {
  const head = '# pxname,svname,status,chkdown,check_status,check_desc,last_chk,';
  const [row] = parseStats(`${head}\nbouncers,pgb2,DOWN,3,* L7STS,"Layer7, wrong","said ""no""",\n`);
  assert.deepEqual(
    [row?.server, row?.status, row?.timesDown, row?.check, row?.checkWords],
    ['pgb2', 'DOWN', 3, 'L7STS', 'Layer7, wrong: said "no"'],
  );
  assert.throws(() => parseStats('<html>'), /not HAProxy's statistics/);
  assert.throws(() => parseStats(`${head}\nbouncers,pgb2,DOWN`), /break off/);
});
