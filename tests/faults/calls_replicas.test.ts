/** The calls service on streaming replicas: one lost, all lost, one lagging, all lagging; all under load. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import pg from 'pg';
import { until } from '#engines/cluster/processes.ts';
import { callsUnderLoad, PAGE } from '#tests/calls_under_load.ts';
import { assertWhole, type Load, summary } from '#tests/load.ts';
import { type OwnPostgres, ownDatabase, ownPostgresSkip, ownReplicas } from '#tests/own_postgres.ts';

const PER_SECOND = 40;
const TIMEOUT_S = 1;
const MAX_LAG_S = 5;
const SEEN_LIMIT_MS = 40_000;
const NORMAL_LIMIT_MS = 60_000;

suite('replicas', { skip: ownPostgresSkip, timeout: 240_000 }, async () => {
  const database = await ownDatabase({ log_statement: 'all' });
  const replicas = (await ownReplicas(database, 2)) as [OwnPostgres, OwnPostgres];
  const [first, second] = replicas;
  const calls = await callsUnderLoad(
    database,
    { maxReplicaLagS: MAX_LAG_S },
    { replicaUrls: replicas.map(({ url }) => url) },
  );
  const ingest = await calls.api.key('ingest');

  const report = async () => (await calls.api.get('/monitoring', calls.operator)).body.data;
  const server = async (name: string) =>
    (await report()).servers.find((one: { name: string }) => one.name === name);

  async function normalLoad(): Promise<Load> {
    const load = calls.load(PER_SECOND, TIMEOUT_S);
    await load.normalAgain(NORMAL_LIMIT_MS);
    return load;
  }

  /** Requests that a server has served, by what the service exports. */
  async function servedBy(name: string): Promise<number> {
    const { text } = await calls.api.get('/metrics', null);
    const line = text
      .split('\n')
      .find(
        (one) =>
          one.startsWith('database_work_seconds_count') &&
          one.includes(`"${name}"`) &&
          one.includes('"success"'),
      );
    return Number(line?.split(' ').at(-1) ?? 0);
  }

  /** The lag of replica 1 that is exported; undefined where none is. */
  async function exportedLag(): Promise<number | undefined> {
    const { text } = await calls.api.get('/metrics', null);
    const figure = /^replica_lag_seconds\{.*"replica 1".*\} (\S+)$/m.exec(text)?.[1];
    return figure === undefined ? undefined : Number(figure);
  }

  /** Which replicas serve the requests that come now. */
  async function servingNow(load: Load): Promise<boolean[]> {
    const before = [await servedBy('replica 1'), await servedBy('replica 2')];
    const answered = load.got.length;
    await until(() => load.got.length >= answered + 20, SEEN_LIMIT_MS);
    return [(await servedBy('replica 1')) > before[0]!, (await servedBy('replica 2')) > before[1]!];
  }

  /** Pages of calls that the primary has been asked for, by its own log. */
  async function readsOnPrimary(): Promise<number> {
    const log = await readFile(join(database.folder, 'postgres.log'), 'utf8');
    return log.split('FROM calls.cdrs c').length - 1;
  }

  async function assertBack(t: TestContext, what: string, load: Load): Promise<void> {
    const normalMs = await load.normalAgain(NORMAL_LIMIT_MS);
    t.diagnostic(`${what}: normal ${Math.round(normalMs)} ms later`);
  }

  async function query(postgres: OwnPostgres, sql: string): Promise<void> {
    const client = new pg.Client({ connectionString: postgres.url });
    await client.connect();
    await client.query(sql);
    await client.end();
  }

  test('reads go to both replicas, and none to the primary; answers have the lag of the replica', async () => {
    const load = await normalLoad();
    const before = await readsOnPrimary();
    assert.deepEqual(await servingNow(load), [true, true]);
    await load.stop();
    const { status, body } = await calls.api.get(PAGE, calls.customer);
    assert.equal(status, 200);
    const one = await calls.api.get(`/cdrs/${body.data[0].i_cdr}`, calls.customer);
    const consumption = await calls.api.get('/consumption', calls.customer);
    const file = await calls.api.get('/cdrs', calls.customer, { accept: 'text/csv' });
    const ofFile = {
      replica_lag_s: Number(file.headers.get('x-replica-lag-s') ?? Number.NaN),
      data_complete_to: file.headers.get('x-data-complete-to'),
    };
    for (const said of [body, one.body, consumption.body, ofFile]) {
      assert.ok(said.replica_lag_s >= 0 && said.replica_lag_s <= MAX_LAG_S, `lag ${said.replica_lag_s}`);
      assert.ok(Date.parse(said.data_complete_to) > 0);
    }
    assert.equal(await readsOnPrimary(), before);
  });

  test('one replica is lost: the other serves all reads, the primary none; the first is used again when it is back', async (t) => {
    const load = await normalLoad();
    const before = await readsOnPrimary();
    await first.kill();
    await assertBack(t, 'lost', load);
    assert.deepEqual(await servingNow(load), [false, true]);
    assert.equal((await report()).status, 'degraded');
    assert.equal((await calls.api.get('/health/ready', null)).status, 200);
    // How far behind it is nobody knows: no figure is shown, least of all the last one.
    assert.ok(await until(async () => (await exportedLag()) === undefined, SEEN_LIMIT_MS));
    assert.equal((await server('replica 1')).replica_lag_s, null);

    await first.start();
    const used = await until(async () => (await servingNow(load))[0]!, SEEN_LIMIT_MS);
    assert.ok(used, JSON.stringify(await server('replica 1')));
    assert.notEqual(await exportedLag(), undefined);
    const got = await load.stop();
    t.diagnostic(summary(got));
    assertWhole(got, ['unavailable', 'database_down', 'deadline_exceeded']);
    assert.equal(await readsOnPrimary(), before);
  });

  test('one replica is frozen: waiting reads go to the other', async (t) => {
    const load = await normalLoad();
    first.freeze();
    const open = await until(async () => (await server('replica 1')).circuit.state === 'OPEN', SEEN_LIMIT_MS);
    assert.ok(open);
    await assertBack(t, 'seen', load);
    assert.deepEqual(await servingNow(load), [false, true]);
    first.thaw();
    assert.ok(await until(async () => (await servingNow(load))[0]!, SEEN_LIMIT_MS));
    const got = await load.stop();
    t.diagnostic(summary(got));
    assertWhole(got, ['unavailable', 'database_down', 'deadline_exceeded']);
  });

  test('all replicas are lost: the primary serves no read, and the switch can still post', async (t) => {
    const load = await normalLoad();
    const before = await readsOnPrimary();
    await first.kill();
    await second.kill();
    assert.ok(await until(async () => (await report()).status === 'down', SEEN_LIMIT_MS));
    const answered = load.got.length;
    await until(() => load.got.length >= answered + 50, SEEN_LIMIT_MS);
    assert.deepEqual([...new Set(load.got.slice(answered + 20).map(({ status }) => status))], [503]);
    assert.equal(await readsOnPrimary(), before);

    const start = new Date(Date.now() - 60_000).toISOString();
    const posted = await calls.api.post(
      [
        {
          account: 'acme',
          call_id: 'posted',
          cli: '+493023125001',
          cld: '+442079460001',
          start_time: start,
          duration_s: 5,
          result: 'busy',
        },
      ],
      ingest,
    );
    assert.deepEqual([posted.status, posted.body.stored], [200, 1], posted.text);
    const newcomer = await calls.api.key('operator');
    assert.equal(
      (await calls.api.get('/monitoring', newcomer)).status,
      200,
      'the dashboard needs no replica',
    );

    await first.start();
    await second.start();
    await assertBack(t, 'back', load);
    const got = await load.stop();
    t.diagnostic(summary(got));
    assertWhole(got, ['unavailable', 'database_down', 'deadline_exceeded']);
  });

  test('one replica lags: the other serves; both lag: both serve, and answers have their lag', async (t) => {
    const load = await normalLoad();
    assert.ok(await until(async () => (await servingNow(load)).every(Boolean), SEEN_LIMIT_MS));
    await query(first, 'SELECT pg_wal_replay_pause()');
    const seen = await until(
      async () => (await server('replica 1')).replica_lag_s > MAX_LAG_S,
      SEEN_LIMIT_MS,
    );
    assert.ok(seen, 'the lag is shown');
    const exported = await exportedLag();
    assert.ok(exported! > MAX_LAG_S, `exported: ${exported}`);
    const from = performance.now();
    assert.deepEqual(await servingNow(load), [false, true]);
    for (const { body, askedAt } of load.got.filter(({ status }) => status === 200)) {
      if (askedAt > from)
        assert.ok(body.replica_lag_s <= MAX_LAG_S, `served with a lag of ${body.replica_lag_s} s`);
    }

    await query(second, 'SELECT pg_wal_replay_pause()');
    await until(async () => (await server('replica 2')).replica_lag_s > MAX_LAG_S, SEEN_LIMIT_MS);
    await assertBack(t, 'both paused', load);
    assert.ok(load.got.at(-1)!.body.replica_lag_s > MAX_LAG_S);

    for (const replica of replicas) await query(replica, 'SELECT pg_wal_replay_resume()');
    const fresh = await until(
      async () => (await servingNow(load)).every(Boolean) && load.got.at(-1)!.body.replica_lag_s <= MAX_LAG_S,
      SEEN_LIMIT_MS,
    );
    assert.ok(fresh);
    const got = await load.stop();
    t.diagnostic(summary(got));
    assert.ok(
      got.every(({ status }) => status === 200),
      'lag costs nobody an answer',
    );
  });

  test('nothing is left behind', () => calls.assertNothingLeft());
});
