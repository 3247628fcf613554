import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type pg from 'pg';
import { until } from '#engines/cluster/processes.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { createActivityLog } from '#platform/resilience/activity.ts';
import { RefusedError } from '#platform/resilience/refused.ts';
import type { RequestContext } from '#platform/resilience/request_context.ts';
import { createLogger } from '#platform/telemetry/logger.ts';
import { testDatabase } from '#tests/postgres.ts';
import { ASIDE_LIMIT_MS, createGuardedServer, type GuardedServer } from './guarded_server.ts';
import { closePool, createPool, withSession, withTransaction } from './pool.ts';
import type { Session } from './session.ts';
import { createSharedServer } from './shared_server.ts';

const LIMIT_MS = 20_000;
const QUERY_TIMEOUT_MS = 700;
const database = await testDatabase();
let servers = 0;

/** Guards this file's database under an application name of its own. */
function guardedServer(queryTimeoutMs = 30_000): GuardedServer & { readonly applicationName: string } {
  const applicationName = `guarded-${process.pid}-${++servers}`;
  const server = createSharedServer({
    name: 'primary',
    url: database.url,
    applicationName,
    poolSize: 2,
    queryTimeoutMs,
    connectionLifetimeMs: 300_000,
    random: Math.random,
    clock: systemClock,
    logger: createLogger('test', 'silent'),
  });
  after(() => server.close());
  const activity = createActivityLog(systemClock);
  const guarded = createGuardedServer({
    name: 'primary',
    server,
    queueOrder: 'fifo',
    clock: systemClock,
    activity,
  });
  after(guarded.leave);
  return { ...guarded, applicationName };
}

function context(options: { timeoutMs?: number; signal?: AbortSignal } = {}): RequestContext {
  const { timeoutMs = 30_000, signal = new AbortController().signal } = options;
  return { priority: 'customer', tenant: 'a', deadline: systemClock.monotonic() + timeoutMs, signal };
}

/** What PostgreSQL sees of an application: a row for each of its connections. */
async function connections(applicationName: string): Promise<{ pid: number; state: string }[]> {
  const sql = 'SELECT pid, state FROM pg_stat_activity WHERE application_name = $1 ORDER BY pid';
  return (await database.pool.query(sql, [applicationName])).rows;
}

const isBusy = async (applicationName: string) =>
  (await connections(applicationName)).some(({ state }) => state === 'active');
/** PostgreSQL sends its answer a moment before it counts as idle. */
const assertIdle = async (applicationName: string) =>
  assert.ok(await until(async () => !(await isBusy(applicationName)), LIMIT_MS), 'a query goes on');
const pidOf = async ({ client }: Session) =>
  (await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]!.pid;
const sleepLong = ({ client }: Session) => client.query('SELECT pg_sleep(60)');

const wasRefused = (refusal: string) => (error: unknown) =>
  error instanceof RefusedError && error.refusal === refusal;

test('the time limit of a statement is in force in PostgreSQL, on every connection', async () => {
  const server = guardedServer(QUERY_TIMEOUT_MS);
  const show = ({ client }: Session) => client.query('SHOW statement_timeout');
  const both = await Promise.all([server.run(context(), show), server.run(context(), show)]);
  for (const { rows } of both) assert.deepEqual(rows, [{ statement_timeout: `${QUERY_TIMEOUT_MS}ms` }]);

  await assert.rejects(server.run(context(), sleepLong), { code: '57014', message: /statement timeout/ });
  await assertIdle(server.applicationName);
  const { state } = server.breaker;
  assert.equal(state.name === 'CLOSED' && state.consecutiveFailures, 1, 'it counts as a failure');
});

test('a client that hangs up has its query cancelled in PostgreSQL, and its connection serves the next', async () => {
  const server = guardedServer();
  const pid = await server.run(context(), pidOf);
  const client = new AbortController();
  const asked = server.run(context({ signal: client.signal }), sleepLong);
  asked.catch(() => undefined);
  assert.ok(await until(() => isBusy(server.applicationName), LIMIT_MS));
  client.abort();
  await assert.rejects(asked, wasRefused('client_gone'));
  await assertIdle(server.applicationName);
  assert.equal(await server.run(context(), pidOf), pid);
});

test('at its deadline a query is cancelled in PostgreSQL; work of several statements begins no other', async () => {
  const server = guardedServer();
  let begun = 0;
  const asked = server.run(context({ timeoutMs: 300 }), async (session) => {
    for (; ; begun++) await session.client.query('SELECT pg_sleep(0.05)');
  });
  await assert.rejects(asked, wasRefused('deadline'));
  const { length } = await connections(server.applicationName);
  const atTheEnd = begun;
  await server.run(context(), pidOf);
  assert.equal(begun, atTheEnd);
  assert.ok(length <= 2);
  assert.equal(server.guard.queue.status.running, 0);
});

test('work that opens its own transactions is cut off at its deadline and undone, not when its client hangs up', async () => {
  await database.pool.query('CREATE TABLE written (what text)');
  const server = guardedServer();
  const write = (what: string, seconds: number) => (pool: pg.Pool, signal: AbortSignal) =>
    withTransaction(
      pool,
      async ({ client }) => {
        await client.query('INSERT INTO written VALUES ($1)', [what]);
        await client.query('SELECT pg_sleep($1)', [seconds]);
      },
      { signal },
    );
  await assert.rejects(server.hold(context({ timeoutMs: 300 }), write('late', 60)), wasRefused('deadline'));
  await server.hold(context(), write('in time', 0));
  assert.deepEqual((await database.pool.query('SELECT what FROM written')).rows, [{ what: 'in time' }]);
  const { state } = server.breaker;
  assert.equal(
    state.name === 'CLOSED' && state.consecutiveFailures,
    0,
    "a client's short time is no failure",
  );
});

test('an error of our own, or one that PostgreSQL answers with, costs no connection; a fatal one does', async () => {
  const server = guardedServer();
  const pid = await server.run(context(), pidOf);
  const own = async (session: Session) => {
    await pidOf(session);
    throw new Error('there is no account 7');
  };
  await assert.rejects(server.run(context(), own), /account 7/);
  await assert.rejects(
    server.run(context(), ({ client }) => client.query('SELECT 1 / 0')),
    { code: '22012' },
  );
  assert.equal(await server.run(context(), pidOf), pid);

  let last = pid;
  for (const end of ['SELECT 1', 'SELECT 1 / 0']) {
    const leftOpen = async ({ client }: Session) => {
      await client.query('BEGIN');
      await client.query(end);
    };
    await server.run(context(), leftOpen).catch(() => undefined);
    const another = await server.run(context(), pidOf);
    assert.notEqual(another, last, 'a connection in a transaction is not handed on');
    last = another;
  }

  const terminated = ({ client }: Session) => client.query('SELECT pg_terminate_backend(pg_backend_pid())');
  await assert.rejects(server.run(context(), terminated), { code: '57P01' });
  assert.notEqual(await server.run(context(), pidOf), last);
});

test('a read that bypasses the queue goes past a breaker that is open and slots that are taken, with little time', async () => {
  const server = guardedServer();
  const clients = new AbortController();
  const held = [1, 2].map(() =>
    server.run(context({ signal: clients.signal }), sleepLong).catch(() => undefined),
  );
  server.breaker.openByHand('Ann');
  assert.ok((await server.runBypassingQueue('a', pidOf)) > 0);

  const from = systemClock.monotonic();
  await assert.rejects(server.runBypassingQueue('a', sleepLong));
  assert.ok(systemClock.monotonic() - from >= ASIDE_LIMIT_MS - 1);
  assert.ok((await server.runBypassingQueue('a', pidOf)) > 0, 'the next one has its turn');
  clients.abort();
  await Promise.all(held);
});

test('it closes whatever is under way, and nothing is left connected', async () => {
  const applicationName = `closing-${process.pid}`;
  const pool = createPool({ url: database.url, applicationName, size: 2, onIdleError: () => undefined });
  await withSession(pool, pidOf);
  const asked = withSession(pool, sleepLong);
  asked.catch(() => undefined);
  assert.ok(await until(() => isBusy(applicationName), LIMIT_MS));
  await closePool(pool);
  await assert.rejects(asked);
  await database.pool.query(
    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND state = 'active'",
    [applicationName],
  );
  assert.ok(await until(async () => (await connections(applicationName)).length === 0, LIMIT_MS));
});
