/** The calls service while its PostgreSQL is killed, loses one process, or is restarted; all under load. */
import assert from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { signal } from '#engines/cluster/processes.ts';
import { freePort } from '#engines/postgres.ts';
import { callsUnderLoad, PAGE } from '#tests/calls_under_load.ts';
import { startCommand } from '#tests/command.ts';
import { ask, assertWhole, type Load, summary } from '#tests/load.ts';
import { ownDatabase, ownPostgresSkip } from '#tests/own_postgres.ts';

const PER_SECOND = 50;
const TIMEOUT_S = 1;
const OUTAGE_MS = 2_500;
const NORMAL_LIMIT_MS = 60_000;

suite('PostgreSQL goes away and comes back', { skip: ownPostgresSkip, timeout: 180_000 }, async () => {
  const database = await ownDatabase();
  const calls = await callsUnderLoad(database);

  async function normalLoad(): Promise<Load> {
    const load = calls.load(PER_SECOND, TIMEOUT_S);
    await load.normalAgain(NORMAL_LIMIT_MS);
    return load;
  }

  async function assertBack(t: TestContext, load: Load): Promise<void> {
    const normalMs = await load.normalAgain(NORMAL_LIMIT_MS);
    const got = await load.stop();
    t.diagnostic(`normal ${Math.round(normalMs)} ms after it was back; ${summary(got)}`);
    assertWhole(got, ['unavailable', 'database_down', 'deadline_exceeded']);
  }

  const report = async () => (await calls.api.get('/monitoring', calls.operator)).body.data;

  test('kill -9', async (t) => {
    const load = await normalLoad();
    await database.kill();
    await sleep(OUTAGE_MS);

    const { status, servers } = await report();
    assert.equal(status, 'down');
    assert.equal(servers[0].healthy, false);
    assert.equal(servers[0].circuit.state, 'OPEN');
    assert.ok(servers[0].timeSinceDown >= 0 && servers[0].lastError !== null);
    const ready = await calls.api.get('/health/ready', null);
    assert.deepEqual([ready.status, ready.body.code], [503, 'unavailable']);
    assert.equal((await calls.api.get('/health/live', null)).status, 200);
    const health = await calls.api.get('/health', null);
    assert.deepEqual([health.status, health.body.success, health.body.healthy], [503, false, false]);
    assert.ok(health.body.consecutiveFailures > 0 && health.body.uptimePercent < 100);

    await database.start();
    await assertBack(t, load);
    const down = load.got.filter(({ body }) => body?.code === 'database_down');
    assert.ok(down.length > 0);
    assert.ok(
      down.some(({ body }) => Date.parse(body.next_probe) > 0),
      'who waits for an open breaker is told when it is probed',
    );
  });

  test('one process of PostgreSQL is killed: PostgreSQL ends all others and recovers', async (t) => {
    const load = await normalLoad();
    const { rows } = await database.pool.query(
      "SELECT pid FROM pg_stat_activity WHERE application_name = 'trunkline-calls' LIMIT 1",
    );
    signal(rows[0].pid, 'SIGKILL');
    await assertBack(t, load);
    const startedAgo = 'SELECT extract(epoch FROM now() - pg_postmaster_start_time()) AS s';
    assert.ok((await database.pool.query(startedAgo)).rows[0].s > 1, 'the postmaster is still the same');
  });

  test('restart', async (t) => {
    const load = await normalLoad();
    await database.stop();
    await database.start();
    await assertBack(t, load);
    assert.ok(load.got.some(({ status }) => status !== 200));
  });

  test('a program that starts before PostgreSQL waits for PostgreSQL before it listens', async () => {
    await database.stop();
    const port = await freePort();
    const environment = { DATABASE_URL: database.url, CALLS_PORT: String(port) };
    const waiting = startCommand(['serve', 'calls'], environment);
    await waiting.said(/PostgreSQL does not answer yet/);
    const url = `http://127.0.0.1:${port}`;
    const asking = { url, key: calls.customer, path: PAGE };
    assert.equal((await ask(asking)).status, 0, 'it listens');
    await database.start();
    await waiting.said(`ready on ${url}`);
    assert.equal((await ask(asking)).status, 200);
    waiting.child.kill('SIGTERM');
    assert.equal((await waiting.ended).code, 0);
  });

  test('a program that waits for PostgreSQL stops on a signal', async () => {
    await database.stop();
    const waiting = startCommand(['serve', 'calls'], { DATABASE_URL: database.url, CALLS_PORT: '0' });
    await waiting.said(/PostgreSQL does not answer yet/);
    waiting.child.kill('SIGTERM');
    assert.equal((await waiting.ended).code, 0);
    await database.start();
  });

  test('nothing is left behind', () => calls.assertNothingLeft());
});
