import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '#platform/lifecycle/fake_clock.ts';
import { GLANCE_INTERVAL_MS, glance } from './glances.ts';
import type { StatsRow } from './haproxy_csv.ts';

const source = { name: 'haproxy1', pageUrl: 'http://127.0.0.1/stats', socket: undefined };
const row = (status: string, timesDown = 0) =>
  ({ proxy: 'bouncers', server: 'pgb2', status, timesDown }) as unknown as StatsRow;

async function changesOf(looks: readonly (readonly StatsRow[] | undefined)[]): Promise<number> {
  const clock = createFakeClock();
  const stopping = new AbortController();
  let [turn, changes] = [0, 0];
  const look = async () => looks[Math.min(turn++, looks.length - 1)];
  const ended = glance({ sources: [source], clock, look, onChange: () => changes++ }, stopping.signal);
  await clock.advance(GLANCE_INTERVAL_MS * looks.length);
  stopping.abort();
  await clock.advance(GLANCE_INTERVAL_MS);
  await ended;
  return changes;
}

test('unchanged states cause no poll; each change of a state causes one', async () => {
  assert.equal(await changesOf([[row('UP')], [row('UP')], [row('UP')]]), 0);
  assert.equal(await changesOf([[row('UP')], [row('UP 2/3')], [row('DOWN', 1)], [row('DOWN', 1)]]), 2);
});

test('an outage between two glances is a change', async () => {
  assert.equal(await changesOf([[row('UP')], [row('UP', 1)]]), 1);
});

test('a process that falls silent causes one poll, and one more when it answers again', async () => {
  assert.equal(await changesOf([[row('UP')], undefined, undefined, [row('UP')]]), 2);
});
