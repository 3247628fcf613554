/** Reading one's own writes from streaming replicas that are behind: one of them, all of them, and lost ones. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import pg from 'pg';
import { until } from '#engines/cluster/processes.ts';
import { READ_AFTER_WAIT_MS } from '#platform/database/read_after.ts';
import { importDemo } from '#services/calls/jobs/demo.ts';
import { testApi } from '#tests/calls_api.ts';
import { assertIdle, assertNoMoreResources, openResources } from '#tests/leftovers.ts';
import { type OwnPostgres, ownDatabase, ownPostgresSkip, ownReplicas } from '#tests/own_postgres.ts';

const LIMIT_MS = 40_000;
const MAX_LAG_S = 20;
const POOL_SIZE = 10;

suite('reads after writes', { skip: ownPostgresSkip, timeout: 240_000 }, async () => {
  const database = await ownDatabase();
  const replicas = (await ownReplicas(database, 2)) as [OwnPostgres, OwnPostgres];
  await importDemo(database.pool, Date.now());
  const options = { database, replicaUrls: replicas.map(({ url }) => url) };
  const settings = { maxReplicaLagS: MAX_LAG_S, poolSize: POOL_SIZE };
  const openBefore = openResources();
  const [here, there] = [await testApi(settings, options), await testApi(settings, options)];
  const switchKey = await here.key('ingest');
  const operator = await here.key('operator');
  const customer = await here.key('customer', 1);
  for (const api of [here, there]) {
    for (const key of [operator, customer]) {
      assert.ok(await until(async () => (await api.get('/cdrs?i_account=1', key)).status === 200, LIMIT_MS));
    }
  }

  async function query(postgres: OwnPostgres, sql: string): Promise<void> {
    const client = new pg.Client({ connectionString: postgres.url });
    await client.connect();
    await client.query(sql);
    await client.end();
  }
  const pause = (replica: OwnPostgres) => query(replica, 'SELECT pg_wal_replay_pause()');
  const resume = (replica: OwnPostgres) => query(replica, 'SELECT pg_wal_replay_resume()');

  let posted = 0;
  /** Posts a call of account 1; gives its call_id, its number and the header. */
  async function post(key: string) {
    const callId = `posted ${++posted}`;
    const start = new Date(Date.now() - 60_000).toISOString();
    const call = { call_id: callId, cli: '+493023125001', cld: '+442079460001', start_time: start };
    const { status, body, headers, text } = await here.post(
      [{ ...call, i_account: 1, duration_s: 5, result: 'busy' }],
      key,
    );
    assert.deepEqual([status, body.stored], [200, 1], text);
    return { callId, iCdr: body.data[0].i_cdr as number, header: headers.get('read-after')! };
  }

  /** How many calls of this id a caller is shown, and how far behind that was. */
  async function shown(api: typeof here, key: string, callId: string, header?: string) {
    const path = `/cdrs?i_account=1&call_id=${encodeURIComponent(callId)}`;
    const { status, body, text } = await api.get(path, key, header ? { 'read-after': header } : {});
    assert.equal(status, 200, text);
    return {
      calls: body.data.length as number,
      lagS: body.replica_lag_s as number | null,
      ms: body.duration_ms as number,
    };
  }

  async function answer(...asked: Parameters<typeof shown>) {
    const { calls, lagS } = await shown(...asked);
    return { calls, lagS };
  }

  /**
   * A read that is to see a write does. The primary answers it (true) only where the replicas were given their time:
   * on a busy machine they may need more.
   */
  async function seenBy(key: string, callId: string, header?: string): Promise<boolean> {
    const { calls, lagS, ms } = await shown(here, key, callId, header);
    assert.equal(calls, 1, callId);
    if (lagS === null) assert.ok(ms >= READ_AFTER_WAIT_MS, `the primary answered after ${ms} ms`);
    return lagS === null;
  }

  /** Reads that had to see a write, by who answered. */
  async function answeredBy(who: string): Promise<number> {
    const { text } = await here.get('/metrics', null);
    const line = text
      .split('\n')
      .find((one) => one.startsWith('database_reads_after_write_total') && one.includes(`"${who}"`));
    return Number(line?.split(' ').at(-1) ?? 0);
  }

  test('replicas without lag serve a hundred callers that read right after they wrote', async (t) => {
    const before = await answeredBy('primary');
    let byPrimary = 0;
    for (let n = 0; n < 100; n++) {
      const { callId } = await post(operator);
      if (await seenBy(operator, callId)) byPrimary++;
    }
    t.diagnostic(`at once ${await answeredBy('replica')}, waited ${await answeredBy('replica_waited')}`);
    assert.equal(await answeredBy('primary'), before + byPrimary);
    assert.ok(byPrimary < 100, 'a replica answered');
  });

  test('one replica is behind: the other replica serves a caller that has just written', async () => {
    await pause(replicas[0]);
    const before = await answeredBy('primary');
    const { callId, header } = await post(switchKey);
    let byPrimary = 0;
    for (let n = 0; n < 6; n++) if (await seenBy(customer, callId, header)) byPrimary++;
    assert.equal(await answeredBy('primary'), before + byPrimary);
    await resume(replicas[0]);
  });

  test('all replicas are behind: the primary serves a caller that has just written, with any key and process; replicas serve the others', async () => {
    for (const replica of replicas) await pause(replica);
    const { callId, iCdr, header } = await post(operator);
    assert.deepEqual(await answer(here, operator, callId), { calls: 1, lagS: null }, 'the same key');
    assert.equal((await shown(here, customer, callId)).calls, 0, 'another key');
    assert.deepEqual(
      await answer(here, customer, callId, header),
      { calls: 1, lagS: null },
      'with the header',
    );
    assert.equal((await shown(there, operator, callId)).calls, 0, 'another process');
    assert.deepEqual(await answer(there, customer, callId, header), { calls: 1, lagS: null });

    const read = { 'read-after': header };
    assert.equal((await there.get(`/cdrs/${iCdr}`, customer)).status, 404);
    assert.equal((await there.get(`/cdrs/${iCdr}`, customer, read)).status, 200);
    const asCsv = { accept: 'text/csv' };
    const file = await there.get('/cdrs', customer, { ...read, ...asCsv });
    assert.ok(file.text.includes(callId));
    assert.ok(!(await there.get('/cdrs', customer, asCsv)).text.includes(callId));
    const calls = async (headers: Record<string, string>) =>
      (await there.get('/consumption', customer, headers)).body.totals.calls as number;
    assert.ok((await calls(read)) > (await calls({})));
    for (const replica of replicas) await resume(replica);
  });

  test('all replicas are lost: the primary serves no read', async () => {
    const { header } = await post(operator);
    const before = await answeredBy('primary');
    for (const replica of replicas) await replica.kill();
    for (const [key, headers] of [
      [operator, {}],
      [customer, { 'read-after': header }],
    ] as const) {
      const { status } = await here.get('/cdrs?i_account=1', key, { ...headers, 'request-timeout': '2' });
      assert.equal(status, 503);
    }
    assert.equal(await answeredBy('primary'), before);
    for (const replica of replicas) await replica.start();
  });

  test('all replicas are behind and the primary is lost: a replica serves a caller that has written, unless the header demands the write', async () => {
    for (const api of [here, there])
      assert.ok(
        await until(async () => (await api.get('/cdrs?i_account=1', customer)).status === 200, LIMIT_MS),
      );
    for (const replica of replicas) await pause(replica);
    const { callId, header } = await post(operator);
    const before = await answeredBy('replica_behind');
    await database.kill();
    const { calls, lagS } = await shown(here, operator, callId);
    assert.equal(calls, 0);
    assert.ok(lagS !== null, 'the answer tells how far behind it is');
    assert.equal(await answeredBy('replica_behind'), before + 1);
    const demanding = { 'read-after': header, 'request-timeout': '2' };
    assert.equal((await here.get('/cdrs?i_account=1', customer, demanding)).status, 503);
    await database.start();
    for (const replica of replicas) await resume(replica);
    assert.ok(
      await until(
        async () => (await here.get('/cdrs?i_account=1', customer, demanding)).status === 200,
        LIMIT_MS,
      ),
    );
  });

  test('a header that the service did not seal is refused by name', async () => {
    const { status, body } = await here.get('/cdrs?i_account=1', customer, { 'read-after': '0/10' });
    assert.deepEqual([status, body.fields], [400, ['read-after']]);
  });

  test('nothing is left behind', async () => {
    await there.stop();
    await assertIdle(here, operator, database.pool, POOL_SIZE);
    await here.stop();
    await assertNoMoreResources(openBefore);
  });
});
