import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Topology } from '../topology_parts.ts';
import { statusText } from './status.ts';

const since = '2026-11-30T10:00:00Z';
const part = { role: 'service', connections: null, detail: '', since } as const;
const topologyOf = (state: 'UP' | 'DOWN') =>
  ({
    at: since,
    parts: [{ ...part, id: 'calls', name: 'calls', state }],
    edges: [],
  }) as unknown as Topology;

test('status names the setting of the port at which a service that does not answer is looked for', () => {
  const shown = (state: 'UP' | 'DOWN') => statusText(topologyOf(state), [], Date.parse(since));
  assert.match(shown('DOWN'), /^calls: .*MONITOR_SERVICES.*CALLS_PORT/m);
  assert.doesNotMatch(shown('UP'), /CALLS_PORT/);
});
