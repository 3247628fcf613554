/** Many services of one process on one PostgreSQL: what one of them does to it, the others hardly feel; connections are few. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { until } from '#engines/cluster/processes.ts';
import { createDatabases } from '#platform/database/shared_database.ts';
import { migrateAll } from '#platform/database/upgrade.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { createLifetime } from '#platform/lifecycle/lifetime.ts';
import { type RunningOnDatabase, startService } from '#platform/service/service.ts';
import { createLogger } from '#platform/telemetry/logger.ts';
import { importDemo } from '#services/calls/jobs/demo.ts';
import { rightsOfClaims } from '#services/identity/contract.ts';
import { findAnyKey } from '#system';
import { API_SETTINGS, testApi } from '#tests/calls_api.ts';
import { hello } from '#tests/ground/hello/service.ts';
import { testDatabase } from '#tests/postgres.ts';

const LIMIT_MS = 20_000;
const POOL_SIZE = API_SETTINGS.poolSize;
const SERVICES = 12;
const MAX_CONNECTIONS = 100;

const logger = createLogger('test', 'silent');
const database = await testDatabase();
await migrateAll(database.pool, [hello.migrations]);

const databases = () => createDatabases({ applicationName: 'shared', logger });

/** The service of tests/ground, under a name of its own. */
async function startHello(name: string, on: ReturnType<typeof databases>) {
  const lifetime = createLifetime((what, error) => assert.fail(`${what}: ${String(error)}`));
  after(lifetime.stop);
  const parts = {
    settings: { ...API_SETTINGS, greeting: 'Moin' },
    databases: on,
    databaseUrl: database.url,
    replicaUrls: [],
    findKey: findAnyKey,
    rightsOf: rightsOfClaims,
    clock: systemClock,
    random: Math.random,
    logger,
  };
  const running = await startService({ ...hello, name }, parts, lifetime);
  return { ...running, stop: lifetime.stop };
}

const greet = ({ url }: RunningOnDatabase, key: string, signal: AbortSignal | null = null) =>
  fetch(`${url}/greetings`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'Ann' }),
    signal,
  }).then(async (answer) => {
    await answer.arrayBuffer();
    return answer.status;
  });

/** Connections by what they are called. */
async function connections(): Promise<Record<string, number>> {
  const { rows } = await database.pool.query<{ name: string; count: number }>(
    `SELECT application_name AS name, count(*)::int AS count FROM pg_stat_activity
     WHERE datname = current_database() AND application_name <> 'test' GROUP BY 1`,
  );
  return Object.fromEntries(rows.map(({ name, count }) => [name, count]));
}

test(`${SERVICES} services have one pool and one health check, and their connections are few`, async () => {
  const on = databases();
  const api = await testApi({}, { database, databases: on });
  const operator = await api.key('operator');
  const all = await Promise.all(Array.from({ length: SERVICES - 1 }, (_, n) => startHello(`hello${n}`, on)));
  const requests = all.flatMap((service) => Array.from({ length: 20 }, () => greet(service, operator)));
  let most = 0;
  let done = false;
  const counting = (async () => {
    while (!done) {
      const seen = await connections();
      most = Math.max(
        most,
        Object.values(seen).reduce((sum, count) => sum + count, 0),
      );
      assert.ok((seen.shared ?? 0) <= POOL_SIZE + 1, JSON.stringify(seen));
      assert.equal(seen['shared-health'], 1);
    }
  })();
  const statuses = await Promise.all(requests);
  done = true;
  await counting;
  assert.deepEqual([...new Set(statuses)], [200]);
  assert.ok(most > POOL_SIZE && most < MAX_CONNECTIONS / 2, `${most} connections`);

  await Promise.all(all.map((service) => service.stop()));
  assert.equal((await api.get('/accounts', operator)).status, 200, 'those that stay have their connections');
  assert.equal((await connections())['shared-health'], 1);
  await api.stop();
  assert.ok(await until(async () => Object.keys(await connections()).length === 0, LIMIT_MS));
});

const PAGES_AT_ONCE = 8;
const GREETINGS_AT_ONCE = 30;
const ROUND_MS = 1_500;
const ROUNDS = 3;
/** Of the neighbour's clients every second one gives up after so long, so that its slots come free and are taken again. */
const PATIENCE_MS = 300;

test('a neighbour that sends statements of 30 s at full rate leaves GET /cdrs at least half of its pages', async (t) => {
  await importDemo(database.pool, Date.now());
  const on = databases();
  const api = await testApi({}, { database, databases: on });
  const neighbour = await startHello('hello', on);
  const operator = await api.key('operator');
  const blocker = new pg.Client({ connectionString: database.url });
  blocker.on('error', () => undefined); // the database is dropped below it
  await blocker.connect();
  after(() => blocker.end());

  const pages = async (): Promise<number> => {
    let count = 0;
    const end = performance.now() + ROUND_MS;
    const client = async () => {
      while (performance.now() < end) {
        const { status } = await api.get('/cdrs?i_account=1&limit=20', operator);
        assert.equal(status, 200);
        count++;
      }
    };
    await Promise.all(Array.from({ length: PAGES_AT_ONCE }, client));
    return count;
  };

  /** Takes all that the neighbour can have while nobody asks for pages; then goes on until `stop`. */
  const besiege = async () => {
    await blocker.query('BEGIN; LOCK TABLE hello.greetings IN ACCESS EXCLUSIVE MODE');
    const stop = new AbortController();
    const clients = Array.from({ length: GREETINGS_AT_ONCE }, async (_, n) => {
      while (!stop.signal.aborted) {
        const patience = n % 2 === 0 ? [AbortSignal.timeout(PATIENCE_MS)] : [];
        await greet(neighbour, operator, AbortSignal.any([stop.signal, ...patience])).catch(() => undefined);
      }
    });
    await sleep(2 * PATIENCE_MS);
    return async () => {
      stop.abort();
      await Promise.all(clients);
      await blocker.query('ROLLBACK');
    };
  };

  await pages();
  let [alone, beside] = [0, 0];
  for (let round = 0; round < ROUNDS; round++) {
    alone += await pages();
    const relieve = await besiege();
    const waits = await until(async () => {
      const { rows } = await database.pool.query<{ count: number }>(
        "SELECT count(*)::int AS count FROM pg_stat_activity WHERE application_name = 'shared' AND wait_event_type = 'Lock'",
      );
      return rows[0]!.count >= POOL_SIZE / 2;
    }, LIMIT_MS);
    assert.ok(waits, 'the neighbour has no statements that take long');
    beside += await pages();
    await relieve();
  }
  t.diagnostic(`${alone} pages alone, ${beside} beside the neighbour`);
  assert.ok(beside >= alone / 2, `${beside} of ${alone} pages`);
});
