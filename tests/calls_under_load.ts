/** The calls service in this process on a PostgreSQL that a test is about to break, with a sample of calls and load. */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import { until } from '#engines/cluster/processes.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { importDemo } from '#services/calls/jobs/demo.ts';
import type { CallsSettings } from '#services/calls/settings.ts';
import { type TestApi, testApi } from './calls_api.ts';
import { assertIdle, assertNoMoreResources, heapBytes, openResources } from './leftovers.ts';
import { type Load, startLoad } from './load.ts';
import type { OwnDatabase } from './own_postgres.ts';

/** Memory that a few thousand requests may leave in caches and compiled code. */
const KNOWN_LIMIT_MS = 30_000;
const HEAP_GROWTH_LIMIT_BYTES = 24 * 1024 * 1024;
export const PAGE = '/cdrs?i_account=1&limit=20';
export const POOL_SIZE = 5;

export interface CallsUnderLoad {
  readonly api: TestApi;
  readonly operator: string;
  readonly customer: string;
  /** Load of the one customer. */
  load(perSecond: number, timeoutS?: number): Load;
  /** Asserts that nothing is left waiting, running or connected, stops the service, and that nothing is left then. */
  assertNothingLeft(): Promise<void>;
}

/** Starts the service, and lets it and its clients warm up. */
export async function callsUnderLoad(
  database: OwnDatabase,
  settings: Partial<CallsSettings> = {},
  options: { clock?: Clock; replicaUrls?: readonly string[] } = {},
): Promise<CallsUnderLoad> {
  await importDemo(database.pool, Date.now());
  const before = openResources();
  const api = await testApi({ poolSize: POOL_SIZE, ...settings }, { ...options, database });
  const operator = await api.key('operator');
  const customer = await api.key('customer', 1);
  const loads: Load[] = [];
  after(() => Promise.all(loads.map((load) => load.stop())));
  const load = (perSecond: number, timeoutS?: number) => {
    const options = { url: api.calls.url, key: customer, path: PAGE, perSecond };
    loads.push(startLoad({ ...options, ...(timeoutS && { timeoutS }) }));
    return loads.at(-1)!;
  };
  // A key that this process has never seen can't be known while the database is down, nor before a replica has it.
  for (const key of [operator, customer]) {
    const path = key === operator ? '/monitoring' : PAGE;
    assert.ok(await until(async () => (await api.get(path, key)).status === 200, KNOWN_LIMIT_MS));
  }
  const warming = load(100);
  await warming.normalAgain(30_000);
  for (const { status, body } of await warming.stop()) assert.equal(status, 200, JSON.stringify(body));
  const heapBefore = heapBytes();
  return {
    api,
    operator,
    customer,
    load,
    assertNothingLeft: async () => {
      await assertIdle(api, operator, database.pool, POOL_SIZE);
      const grown = heapBytes() - heapBefore;
      assert.ok(grown < HEAP_GROWTH_LIMIT_BYTES, `the heap has grown by ${grown} bytes`);
      await api.stop();
      await assertNoMoreResources(before);
    },
  };
}
