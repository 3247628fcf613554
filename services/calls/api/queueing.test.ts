/** Requests in the queue before PostgreSQL, as their clients meet it: one connection, and a lock that holds it up. */
import assert from 'node:assert/strict';
import { Agent, type ClientRequest, request } from 'node:http';
import { after, afterEach, beforeEach, test } from 'node:test';
import pg from 'pg';
import { until } from '#engines/cluster/processes.ts';
import { KEY_CACHE_MS } from '#platform/access/authenticator.ts';
import { type Clock, systemClock } from '#platform/lifecycle/clock.ts';
import { QUEUE_LIMIT } from '#platform/resilience/request_queue.ts';
import { type Json, testApi } from '#tests/calls_api.ts';
import { ask, type Got } from '#tests/load.ts';
import { testDatabase } from '#tests/postgres.ts';

const LIMIT_MS = 30_000;
/**
 * This file's time stands still but for what a test adds: on a busy machine seconds pass between two lines, keys get old
 * and are looked up anew, and a look-up takes a place among those that wait.
 */
let addedMs = 0;
const startedAt = systemClock.monotonic();
const clock: Clock = { ...systemClock, monotonic: () => startedAt + addedMs };

const database = await testDatabase();
const api = await testApi({ poolSize: 1 }, { clock, database });
const { url } = api.calls;
const [acme, globex] = [await api.account('acme'), await api.account('globex')];
const operator = await api.key('operator');
const keyOf = new Map([
  [acme, await api.key('customer', acme)],
  [globex, await api.key('customer', globex)],
]);
const pageOf = (iAccount: number) => `/cdrs?i_account=${iAccount}&limit=1`;

const blocker = new pg.Client({ connectionString: database.url });
blocker.on('error', () => undefined); // the database is dropped below it
await blocker.connect();
after(() => blocker.end());
const block = () => blocker.query('BEGIN; LOCK TABLE calls.cdrs IN ACCESS EXCLUSIVE MODE');
const unblock = () => blocker.query('ROLLBACK');

/** Keys that the service has just looked up, so that what waits are the requests themselves. */
beforeEach(async () => {
  addedMs += KEY_CACHE_MS + 1;
  for (const [iAccount, key] of keyOf) assert.equal((await api.get(pageOf(iAccount), key)).status, 200);
  assert.equal((await api.get(pageOf(acme), operator)).status, 200);
});
afterEach(unblock);

const primary = async (): Promise<Json> => (await api.get('/monitoring', operator)).body.data.servers[0];
const waiting = (count: number) => until(async () => (await primary()).queue.length === count, LIMIT_MS);

/** Whether a query of the service is held up in PostgreSQL by the lock. */
async function runs(): Promise<boolean> {
  const { rows } = await database.pool.query(
    `SELECT count(*)::int AS count FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'trunkline-calls' AND state = 'active'
       AND wait_event_type = 'Lock'`,
  );
  return rows[0].count > 0;
}

/** The sum of all samples of a metric whose labels hold these words. */
async function metric(name: string, ...words: string[]): Promise<number> {
  const { text } = await api.get('/metrics', null);
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) && words.every((word) => line.includes(`"${word}"`)))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

/** A request whose client may hang up. */
function hangable(iAccount: number): ClientRequest {
  const headers = { authorization: `Bearer ${keyOf.get(iAccount)}` };
  const asked = request(url + pageOf(iAccount), { headers, agent: false });
  asked.on('error', () => undefined);
  asked.end();
  return asked;
}

const get = (iAccount: number, options: { key?: string; timeoutS?: number } = {}): Promise<Got> =>
  ask({ url, path: pageOf(iAccount), key: keyOf.get(iAccount)!, ...options });

test('a client that hangs up while it waits never touches the database', async () => {
  await block();
  const first = get(acme);
  assert.ok(await until(runs, LIMIT_MS));
  const before = await metric('database_work_seconds_count');
  const second = hangable(acme);
  assert.ok(await waiting(1));
  second.destroy();
  assert.ok(await waiting(0));
  await unblock();
  assert.equal((await first).status, 200);
  assert.equal(await metric('database_work_seconds_count'), before + 1);
  assert.equal(await metric('request_queue_refused_total', 'client_gone'), 1);
  assert.ok((await metric('request_queue_wait_seconds_count', 'client_gone', 'customer')) > 0);
});

test('a client that hangs up while its query runs has it cancelled in PostgreSQL', async () => {
  await block();
  const asked = hangable(acme);
  assert.ok(await until(runs, LIMIT_MS));
  asked.destroy();
  assert.ok(await until(async () => !(await runs()), LIMIT_MS), 'the query goes on');
  assert.ok(await until(async () => (await primary()).queue.processing === 0, LIMIT_MS));
  await unblock();
  assert.equal((await get(acme)).status, 200);
  const { circuit } = await primary();
  assert.equal(circuit.state, 'CLOSED');
});

test('Request-Timeout: who runs and who waits is told when it is over, and nothing goes on for nobody', async () => {
  await block();
  const running = get(acme, { timeoutS: 0.5 });
  assert.ok(await until(runs, LIMIT_MS));
  const before = await metric('database_work_seconds_count');
  const queued = get(globex, { timeoutS: 0.3 });
  assert.ok(await waiting(1));
  addedMs += 500;
  for (const { status, body, retryAfter } of await Promise.all([running, queued])) {
    assert.equal(status, 503);
    const { request_id: id, waited_ms: waitedMs, error, ...rest } = body;
    assert.deepEqual(rest, { success: false, code: 'deadline_exceeded' });
    assert.ok(id.length > 0 && waitedMs >= 0 && error.length > 0);
    assert.ok(Number(retryAfter) >= 1);
  }
  assert.ok(await until(async () => !(await runs()), LIMIT_MS), 'the query goes on');
  assert.equal(await metric('database_work_seconds_count'), before + 1, 'who only waited did no work');
});

test('more than may wait: the reference’s answer, at once; accounts and operators keep their places and turns', async () => {
  await block();
  const order: string[] = [];
  const note = async (who: string, got: Promise<Got>) => {
    const answer = await got;
    order.push(`${who} ${answer.status}`);
    return answer;
  };
  const running = note('first', get(acme));
  assert.ok(await until(runs, LIMIT_MS));
  const crowd = Array.from({ length: QUEUE_LIMIT }, () => note('acme', get(acme)));
  assert.ok(await waiting(QUEUE_LIMIT));

  const refused = await get(acme);
  assert.equal(refused.status, 503);
  const { request_id: id, ...body } = refused.body;
  assert.deepEqual(body, {
    success: false,
    error: 'Queue overloaded',
    code: 'queue_overload',
    waited_ms: 0,
    queue_overload: true,
  });
  assert.ok(id.length > 0);
  assert.equal(refused.retryAfter, '1');

  // The other account and the operator, whose key has to be looked up anew, push out two of the crowd.
  const other = note('globex', get(globex));
  assert.ok(await until(() => order.length === 1, LIMIT_MS));
  addedMs += KEY_CACHE_MS + 1;
  const own = note('operator', get(acme, { key: operator }));
  assert.ok(await until(() => order.length === 2, LIMIT_MS));
  assert.deepEqual(order.splice(0), ['acme 503', 'acme 503']);
  assert.equal((await primary()).queue.length, QUEUE_LIMIT, 'the dashboard needs no place');

  await unblock();
  const answers = await Promise.all([running, other, own, ...crowd]);
  assert.ok(order.indexOf('globex 200') <= 12, `globex had to wait for ${order.indexOf('globex 200')}`);
  // Two turns, for its key and for its calls, each after three customers.
  assert.ok(
    order.indexOf('operator 200') <= 12,
    `the operator had to wait for ${order.indexOf('operator 200')}`,
  );
  const statuses = answers.map(({ status }) => status);
  assert.equal(statuses.filter((status) => status === 200).length, QUEUE_LIMIT + 3 - 2);
  assert.equal(statuses.filter((status) => status === 503).length, 2);
});

test('as many run at once as there are connections, and the wait is exported', async () => {
  const before = await metric('request_queue_wait_seconds_count', 'dispatched');
  const agent = new Agent({ keepAlive: true });
  const all = await Promise.all(
    Array.from({ length: 50 }, () => ask({ url, path: pageOf(acme), key: keyOf.get(acme)! }, agent)),
  );
  agent.destroy();
  assert.ok(all.every(({ status }) => status === 200));
  assert.equal(await metric('request_queue_wait_seconds_count', 'dispatched'), before + 50);
  const { queue } = await primary();
  assert.deepEqual([queue.length, queue.limit, queue.processing, queue.slots], [0, QUEUE_LIMIT, 0, 1]);
});
