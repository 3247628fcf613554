/** What a service leaves behind: connections, slots, timers, memory. */
import assert from 'node:assert/strict';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { until } from '#engines/cluster/processes.ts';
import type { Pool } from '#platform/database/pool.ts';
import type { TestApi } from './calls_api.ts';

const SETTLE_LIMIT_MS = 15_000;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes in use after garbage is collected. */
export function heapBytes(): number {
  collect();
  return process.memoryUsage().heapUsed;
}

/** Sockets, servers and timers that this process holds open. */
export function openResources(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) {
    if (!/^(TCP|Pipe|Timeout)/.test(kind)) continue;
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

/** Waits until this process holds no more than it held before. */
export async function assertNoMoreResources(before: Record<string, number>): Promise<void> {
  const grown = () => Object.entries(openResources()).filter(([kind, count]) => count > (before[kind] ?? 0));
  const settled = await until(() => grown().length === 0, SETTLE_LIMIT_MS);
  assert.ok(settled, `left open: ${JSON.stringify(grown())}, before: ${JSON.stringify(before)}`);
}

/** How many connections each application has to a PostgreSQL. */
export async function connectionsOf(pool: Pool): Promise<Record<string, number>> {
  const { rows } = await pool.query(
    "SELECT application_name AS name, count(*)::int AS count FROM pg_stat_activity WHERE backend_type = 'client backend' GROUP BY 1",
  );
  return Object.fromEntries(rows.map(({ name, count }) => [name, count]));
}

/** Waits until no request waits or runs, and until PostgreSQL has no more connections of the service than it may have. */
export async function assertIdle(
  api: TestApi,
  operator: string,
  pool: Pool,
  poolSize: number,
): Promise<void> {
  let state = '';
  const idle = await until(async () => {
    const { body } = await api.get('/monitoring', operator);
    const busy = body.data.servers.filter(
      ({ queue }: { queue: { length: number; processing: number } }) => queue.length + queue.processing > 0,
    );
    const connections = await connectionsOf(pool);
    state = JSON.stringify({ busy, connections });
    const { 'trunkline-calls': ofPool = 0, 'trunkline-calls-health': ofProbe = 0 } = connections;
    return busy.length === 0 && ofPool <= poolSize + 1 && ofProbe <= 1;
  }, SETTLE_LIMIT_MS);
  assert.ok(idle, `not idle: ${state}`);
}
