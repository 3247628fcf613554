/**
 * The calls service while its PostgreSQL is frozen: connections stay open and new ones are taken by the kernel, but
 * nobody answers. Only time limits see it.
 */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '#engines/cluster/processes.ts';
import { createGuardedServer } from '#platform/database/guarded_server.ts';
import type { Session } from '#platform/database/session.ts';
import { createSharedServer } from '#platform/database/shared_server.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { createActivityLog } from '#platform/resilience/activity.ts';
import { createLogger } from '#platform/telemetry/logger.ts';
import { callsUnderLoad, PAGE, POOL_SIZE } from '#tests/calls_under_load.ts';
import { startCommand } from '#tests/command.ts';
import { connectionsOf } from '#tests/leftovers.ts';
import { ask, assertWhole, summary } from '#tests/load.ts';
import { ownDatabase, ownPostgresSkip } from '#tests/own_postgres.ts';

const PER_SECOND = 40;
const TIMEOUT_S = 3;
/** What is cut off at its deadline has a second to end; then the machine may be slow. */
const ANSWER_LIMIT_MS = TIMEOUT_S * 1000 + 5_000;
const QUERY_TIMEOUT_MS = 300;
const SEEN_LIMIT_MS = 30_000;
const NORMAL_LIMIT_MS = 60_000;

suite('PostgreSQL is frozen', { skip: ownPostgresSkip, timeout: 180_000 }, async () => {
  const database = await ownDatabase();
  const calls = await callsUnderLoad(database);
  const report = async () => (await calls.api.get('/monitoring', calls.operator)).body.data;

  test('the service detects the freeze within seconds, answers every request in time, and recovers when PostgreSQL continues', async (t) => {
    const load = calls.load(PER_SECOND, TIMEOUT_S);
    await load.normalAgain(NORMAL_LIMIT_MS);
    const frozenAt = performance.now();
    database.freeze();
    let circuit = '';
    await until(async () => {
      const [primary] = (await report()).servers;
      assert.ok(primary.queue.processing <= POOL_SIZE);
      circuit = primary.circuit.state;
      return circuit === 'OPEN';
    }, SEEN_LIMIT_MS);
    const seenMs = performance.now() - frozenAt;
    assert.equal(circuit, 'OPEN');
    const running = await until(
      async () => (await report()).servers[0].queue.processing === 0,
      ANSWER_LIMIT_MS,
    );
    assert.ok(running, 'a frozen server holds a slot');

    database.thaw();
    const normalMs = await load.normalAgain(NORMAL_LIMIT_MS);
    const got = await load.stop();
    t.diagnostic(
      `seen after ${Math.round(seenMs)} ms, normal ${Math.round(normalMs)} ms after it went on; ${summary(got)}`,
    );
    assertWhole(got, ['deadline_exceeded', 'database_down', 'unavailable', 'queue_overload']);
    for (const { ms } of got) assert.ok(ms < ANSWER_LIMIT_MS, `answered after ${ms} ms`);
  });

  test('the client ends a query that PostgreSQL does not end, and frees the slot', async (t) => {
    const shared = createSharedServer({
      name: 'primary',
      url: database.url,
      applicationName: 'guarded',
      poolSize: 1,
      queryTimeoutMs: QUERY_TIMEOUT_MS,
      connectionLifetimeMs: 300_000,
      random: Math.random,
      clock: systemClock,
      logger: createLogger('test', 'silent'),
    });
    const activity = createActivityLog(systemClock);
    const server = createGuardedServer({
      name: 'primary',
      server: shared,
      queueOrder: 'fifo',
      clock: systemClock,
      activity,
    });
    const signal = new AbortController().signal;
    const context = {
      priority: 'customer',
      tenant: 'a',
      deadline: systemClock.monotonic() + 60_000,
      signal,
    } as const;
    const one = ({ client }: Session) => client.query('SELECT 1');
    await server.run(context, one);
    database.freeze();
    const from = performance.now();
    await assert.rejects(server.run(context, one), /Query read timeout/);
    t.diagnostic(`given up after ${Math.round(performance.now() - from)} ms`);
    assert.equal(server.guard.queue.status.running, 0);
    const { state } = server.breaker;
    assert.equal(state.name === 'CLOSED' && state.consecutiveFailures, 1);
    database.thaw();
    await server.run(context, one);
    database.freeze();
    server.leave();
    await shared.close();
    database.thaw();
    const gone = await until(async () => !(await connectionsOf(database.pool)).guarded, SEEN_LIMIT_MS);
    assert.ok(gone, 'it left connections behind');
  });

  test('a program stops on a frozen PostgreSQL, with exit 0', async (t) => {
    const service = startCommand(['serve', 'calls'], { DATABASE_URL: database.url, CALLS_PORT: '0' });
    const url = (await service.said(/ready on http:\S+/)).split(' ').at(-1)!;
    const asking = { url, key: calls.customer, path: PAGE };
    assert.equal((await ask(asking)).status, 200);
    database.freeze();
    const asked = ask(asking);
    const from = performance.now();
    await sleep(100);
    service.child.kill('SIGTERM');
    assertWhole([await asked], ['shutting_down']);
    const { code, err } = await service.ended;
    t.diagnostic(`ended after ${Math.round(performance.now() - from)} ms`);
    assert.equal(code, 0, err);
    database.thaw();
  });

  test('nothing is left behind', () => calls.assertNothingLeft());
});
