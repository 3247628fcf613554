/** That the service works through a PgBouncer that knows no prepared statements: it leaves no named one on any server. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import pg from 'pg';
import { until } from '#engines/cluster/processes.ts';
import { testApi } from '#tests/calls_api.ts';
import { findPgBouncer, startPgBouncer } from '#tests/pgbouncer.ts';
import { testDatabase } from '#tests/postgres.ts';
import { importDemo } from '../jobs/demo.ts';

const LIMIT_MS = 20_000;
const skip = findPgBouncer() ? false : 'PgBouncer is not installed';

describe('no named statements', { skip }, async () => {
  if (skip) return;
  const direct = await testDatabase();
  // All share one connection to PostgreSQL, so that whatever any of them leaves on it is seen from there.
  const bouncer = await startPgBouncer({ url: direct.url, poolSize: 1 });
  const api = await testApi(
    {},
    { database: { url: bouncer.url, pool: direct.pool }, replicaUrls: [bouncer.url] },
  );
  const observer = new pg.Client({ connectionString: bouncer.url });
  await observer.connect();
  after(async () => {
    await observer.end();
    await api.stop();
    await bouncer.stop();
  });

  /** The process of PostgreSQL behind the bouncer, and the named statements that it knows. */
  async function server(): Promise<{ pid: number; statements: string[] }> {
    const { rows } = await observer.query(
      'SELECT pg_backend_pid() AS pid, array(SELECT statement FROM pg_prepared_statements) AS statements',
    );
    return rows[0];
  }

  test('an import and every route leave none on the server', async () => {
    const { pid } = await server();
    assert.ok((await importDemo(api.calls.pool, Date.now())) > 0);
    const operator = await api.key('operator');
    const ingest = await api.key('ingest');
    // Reads go to the replica, which nothing is read from before its health is known.
    assert.ok(await until(async () => (await api.get('/health', null)).status === 200, LIMIT_MS));

    const called = new Set<string>();
    const get = async (route: string, path = route, headers: Record<string, string> = {}) => {
      called.add(`GET ${route}`);
      const answer = await api.get(path, operator, headers);
      assert.equal(answer.status, 200, `${path}: ${answer.text}`);
      return answer;
    };
    const post = async (path: string, body: unknown, key: string) => {
      called.add(`POST ${path}`);
      const answer = await api.post(body, key, path);
      assert.equal(answer.status, 200, `${path}: ${answer.text}`);
      return answer;
    };
    for (const path of ['/health', '/health/live', '/health/ready', '/monitoring']) await get(path);
    await get('/accounts');
    const { data: imports } = (await get('/imports')).body;
    await get('/imports/{i_import}', `/imports/${imports[0].i_import}`);
    await get('/sources');
    called.add('POST /imports/{i_import}/undo');
    const undone = await api.post({ dry_run: true }, operator, `/imports/${imports[0].i_import}/undo`);
    assert.equal(undone.status, 200, undone.text);
    const page = await get('/cdrs', '/cdrs?i_account=1&limit=20');
    await get('/cdrs', `/cdrs?i_account=1&limit=20&cursor=${page.body.next_cursor}`);
    await get('/cdrs', '/cdrs?i_account=1&limit=20&type=answered&cld=%2B44*&order=asc');
    assert.ok((await get('/cdrs', '/cdrs?i_account=1', { accept: 'text/csv' })).text.length > 10_000);
    await get('/cdrs/{i_cdr}', `/cdrs/${page.body.data[0].i_cdr}`);
    await get('/cdrs/{i_cdr}/legs', `/cdrs/${page.body.data[0].i_cdr}/legs`);
    await get('/cdrs', '/cdrs?i_account=1&view=calls');
    await get('/consumption', '/consumption?i_account=1&view=calls');
    for (const by of ['hour', 'day', 'month'])
      await get('/consumption', `/consumption?i_account=1&granularity=${by}`);
    const record = {
      account: 'acme',
      call_id: 'posted',
      start_time: '2026-11-21T10:00:00+01:00',
      connect_time: '2026-11-21T10:00:05+01:00',
      disconnect_time: '2026-11-21T10:01:05+01:00',
      cli: '+493023125001',
      cld: '+442079460001',
      billed_duration_s: 60,
    };
    const { body } = await post('/cdrs', [record, record, 7], ingest);
    assert.deepEqual([body.stored, body.duplicates, body.set_aside], [1, 1, 1]);
    await post('/monitoring/breaker', { server: 'primary', action: 'close' }, operator);
    await api.database.pool.query(
      `INSERT INTO messaging.dead_letters (queue, cause, id, topic, version, priority, attempt, published_at, body)
       VALUES ('q', 'broken', gen_random_uuid(), 'q', 1, 0, 1, now(), '{}')`,
    );
    await get('/queues');
    await get('/queues/{queue}', '/queues/q');
    const { data: dead } = (await get('/queues/{queue}/dead', '/queues/q/dead')).body;
    await get('/queues/{queue}/dead/{i_dead_letter}', `/queues/q/dead/${dead[0].i_dead_letter}`);
    for (const [action, sent] of Object.entries({ replay: { limit: 1 }, pause: {}, resume: {} })) {
      called.add(`POST /queues/{queue}/${action}`);
      assert.equal((await api.post(sent, operator, `/queues/q/${action}`)).status, 200, action);
    }

    const { paths } = (await api.get('/openapi.json', null)).body as { paths: Record<string, object> };
    const routes = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    assert.deepEqual([...called].sort(), routes.sort());
    // The same process as at first: a new one would know nothing of what another was left with.
    assert.deepEqual(await server(), { pid, statements: [] });
  });

  test('one that is named would be seen there', async () => {
    const { pid } = await server();
    const client = new pg.Client({ connectionString: bouncer.url });
    await client.connect();
    await client.query({ name: 'named', text: 'SELECT 1 AS control' });
    await client.end();
    assert.deepEqual(await server(), { pid, statements: ['SELECT 1 AS control'] });
  });
});
