/** `trunkline serve calls` as a process: it stops as the reference says, whatever is under way. */

import assert from 'node:assert/strict';
import { Agent, type IncomingMessage, request } from 'node:http';
import { after, afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { until } from '#engines/cluster/processes.ts';
import { STOP_STEP_LIMIT_MS } from '#platform/lifecycle/lifetime.ts';
import { importDemo } from '#services/calls/jobs/demo.ts';
import { THE_PROGRAM } from '#services/calls/store/audit.ts';
import { createKey } from '#services/identity/keys.ts';
import { keyPlaces } from '#system';
import { type StartedCommand, startCommand } from '#tests/command.ts';
import { ask, type Got } from '#tests/load.ts';
import { testDatabase } from '#tests/postgres.ts';

const LIMIT_MS = 30_000;
const PAGE = '/cdrs?i_account=1&limit=5';
/** What a shell shows for a process that SIGTERM ended. */
const ENDED_AT_ONCE = 128 + 15;
/** A second, and what two processes' clocks may differ. */
const SAME_SIGNAL_MS = 1_200;
/** Longer than any of these tests. */
const LONG_GRACE = { SHUTDOWN_GRACE_MS: '300000' };
/** Copies of the account's sample, so that an export takes many batches. */
const COPIES = 40;

const database = await testDatabase();
await importDemo(database.pool, Date.now());
const { key } = await createKey(
  keyPlaces(database.pool),
  {
    name: 'test',
    scope: 'operator',
    iAccount: null,
    expiresAt: null,
  },
  THE_PROGRAM,
);
const blocker = new pg.Client({ connectionString: database.url });
blocker.on('error', () => undefined); // the database is dropped below it
await blocker.connect();
after(() => blocker.end());
const block = () => blocker.query('BEGIN; LOCK TABLE calls.cdrs IN ACCESS EXCLUSIVE MODE');
const unblock = () => blocker.query('ROLLBACK');

const started: StartedCommand[] = [];
afterEach(async () => {
  await unblock();
  for (const { child, ended } of started.splice(0)) {
    child.kill('SIGKILL');
    await ended;
  }
});

interface Service extends StartedCommand {
  readonly url: string;
}

async function serve(environment: Record<string, string> = {}): Promise<Service> {
  const command = startCommand(['serve', 'calls'], {
    DATABASE_URL: database.url,
    CALLS_PORT: '0',
    LOG_LEVEL: 'warn',
    ...environment,
  });
  started.push(command);
  const said = await command.said(/ready on http:\S+/);
  return { ...command, url: said.split(' ').at(-1)! };
}

/** Whether a query of the service waits for the lock. */
async function waitsForLock(): Promise<boolean> {
  const { rows } = await database.pool.query(
    `SELECT count(*)::int AS count FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'trunkline-calls' AND wait_event_type = 'Lock'`,
  );
  return rows[0].count > 0;
}

async function connections(): Promise<number> {
  const { rows } = await database.pool.query(
    `SELECT count(*)::int AS count FROM pg_stat_activity
     WHERE datname = current_database() AND application_name LIKE 'trunkline-calls%'`,
  );
  return rows[0].count;
}

async function assertEnded({ ended }: Service, code = 0): Promise<void> {
  const how = await ended;
  assert.equal(how.code, code, how.err);
  assert.ok(await until(async () => (await connections()) === 0, LIMIT_MS), 'it left connections behind');
}

const page = (url: string, agent?: Agent): Promise<Got> => ask({ url, key, path: PAGE }, agent);

/** A long answer, as it begins. */
function begin(url: string, accept: string, path: string): Promise<IncomingMessage> {
  const headers = { authorization: `Bearer ${key}`, accept };
  return new Promise((begun, failed) => {
    request(url + path, { headers, agent: false }, begun)
      .on('error', failed)
      .end();
  });
}

/** Whether an answer came to its proper end; false where its connection broke. */
function complete(answer: IncomingMessage): Promise<boolean> {
  return new Promise((done) => {
    answer.on('end', () => done(true)).on('error', () => done(false));
    answer.resume();
  });
}

test('with nothing under way: events end in good order, exit 0', async () => {
  const service = await serve();
  assert.equal((await page(service.url)).status, 200);
  const events = await begin(service.url, 'text/event-stream', '/monitoring');
  const eventsEnd = complete(events);
  service.child.kill('SIGTERM');
  assert.equal(await eventsEnd, true);
  await assertEnded(service);
  assert.equal((await page(service.url)).status, 0, 'nobody listens any more');
});

test('what runs on beyond the grace is cut off with an answer, and cancelled in PostgreSQL; SIGINT stops as SIGTERM does', async () => {
  const service = await serve();
  await block();
  const asked = page(service.url);
  assert.ok(await until(waitsForLock, LIMIT_MS));
  service.child.kill('SIGINT');
  const { status, body, retryAfter } = await asked;
  assert.deepEqual([status, body.success, body.code, retryAfter], [503, false, 'shutting_down', '1']);
  await assertEnded(service);
});

test('what ends within the grace is answered whole; who comes meanwhile is told that it stops', async () => {
  const service = await serve(LONG_GRACE);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  assert.equal((await page(service.url, agent)).status, 200);
  await block();
  const asked = page(service.url);
  assert.ok(await until(waitsForLock, LIMIT_MS));
  service.child.kill('SIGTERM');
  await service.said(/SIGTERM: stopping/);

  assert.ok(
    await until(async () => (await page(service.url)).status === 0, LIMIT_MS),
    'new connections are taken',
  );
  // One that was open before may still ask.
  const late = await page(service.url, agent);
  assert.ok(late.status === 0 || late.body.code === 'shutting_down', JSON.stringify(late));
  // A grace that is longer than stop steps usually may take is given all the same.
  await sleep(STOP_STEP_LIMIT_MS + 500);
  await unblock();
  const { status, body } = await asked;
  assert.equal(status, 200);
  assert.equal(body.data.length, 5);
  await assertEnded(service);
  agent.destroy();
});

test('a second signal ends it at once; one that comes within a second of the first is the first, handed on', async () => {
  const service = await serve(LONG_GRACE);
  await block();
  const asked = page(service.url);
  assert.ok(await until(waitsForLock, LIMIT_MS));
  service.child.kill('SIGTERM');
  await service.said(/SIGTERM: stopping/);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) service.child.kill(signal);
  await sleep(SAME_SIGNAL_MS);
  assert.equal(service.child.exitCode, null, 'it ended at once');
  service.child.kill('SIGTERM');
  assert.equal((await service.ended).code, ENDED_AT_ONCE);
  assert.equal((await asked).status, 0);
});

test('an export under way never looks complete', async () => {
  const copied = `i_cdr = i_cdr + n * 1000000, call_id = call_id || '-' || n, source_key = source_key || '-' || n`;
  await database.pool.query(
    `CREATE TABLE copies AS SELECT c.*, n FROM calls.cdrs c, generate_series(1, ${COPIES}) AS n WHERE i_account = 1;
     UPDATE copies SET ${copied};
     ALTER TABLE copies DROP COLUMN n;
     INSERT INTO calls.cdrs SELECT * FROM copies;
     DROP TABLE copies`,
  );
  const service = await serve();
  const exported = await begin(service.url, 'text/csv', '/cdrs?i_account=1');
  assert.equal(exported.statusCode, 200);
  const held = await fetch(`${service.url}/monitoring/breaker`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ server: 'primary', action: 'open' }),
  });
  assert.equal(held.status, 200);
  const wasComplete = complete(exported);
  service.child.kill('SIGTERM');
  assert.equal(await wasComplete, false);
  await assertEnded(service);
});

test('a port that is taken: it says so, and nothing is left behind', async () => {
  const first = await serve();
  const second = startCommand(['serve', 'calls'], {
    DATABASE_URL: database.url,
    CALLS_PORT: new URL(first.url).port,
    LOG_LEVEL: 'warn',
  });
  const { code, err } = await second.ended;
  assert.equal(code, 1);
  assert.match(err, /EADDRINUSE/);
  assert.match(err, /is taken.*: set CALLS_PORT to another one/);
  first.child.kill('SIGTERM');
  await assertEnded(first);
});
