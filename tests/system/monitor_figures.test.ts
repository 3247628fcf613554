/** The figures that the monitor's rules read are figures that a real service has, under those names and labels. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMetricsParser } from '#services/monitor/exposition.ts';
import { labelsOf, metricsOf } from '#services/monitor/measure.ts';
import { RULES } from '#services/monitor/rules.ts';
import { testApi } from '#tests/calls_api.ts';

const api = await testApi();

/** Told by what asks, not by the service. */
const ADDED_LABELS = ['service'];

test('each figure of a rule about services is in /metrics of the calls service, with the labels of the rule', async () => {
  const rules = RULES.filter(({ source }) => source === 'service');
  const wanted = new Set(rules.flatMap(({ measure }) => metricsOf(measure)));
  await api.get('/cdrs?i_account=1', await api.key('operator'));
  const { text } = await api.get('/metrics', null);
  const samples = createMetricsParser(wanted, {})(text);
  for (const { name, measure } of rules) {
    // The embedded database has no replica.
    if (name === 'ReplicaLag') continue;
    for (const metric of metricsOf(measure)) {
      const found = samples.filter((sample) => sample.name === metric);
      assert.ok(found.length > 0, `${name}: no ${metric}`);
      for (const label of labelsOf(measure).filter((one) => !ADDED_LABELS.includes(one)))
        assert.ok(
          found.every((sample) => label in sample.labels),
          `${name}: ${metric} has no ${label}`,
        );
    }
  }
  const states = samples.filter(({ name }) => name === 'circuit_breaker_state');
  assert.deepEqual(
    new Set(states.map(({ labels }) => labels.state)),
    new Set(['CLOSED', 'OPEN', 'HALF_OPEN', 'HELD_OPEN']),
  );
  const requests = samples.filter(({ name }) => name === 'http_request_duration_seconds_count');
  assert.ok(requests.some(({ labels }) => labels.route === '/cdrs' && labels.status !== undefined));
});
