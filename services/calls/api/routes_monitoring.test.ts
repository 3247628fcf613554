/** Health, the dashboard's report as JSON and as events, and the breaker by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '#engines/cluster/processes.ts';
import { KEY_CACHE_MS, OLD_KEY_MS } from '#platform/access/authenticator.ts';
import { type Clock, systemClock } from '#platform/lifecycle/clock.ts';
import { EVENT_STREAMS } from '#platform/service/monitoring.ts';
import { createLogger } from '#platform/telemetry/logger.ts';
import { type Json, testApi } from '#tests/calls_api.ts';

const LIMIT_MS = 20_000;
let aheadMs = 0;
const clock: Clock = {
  ...systemClock,
  now: () => systemClock.now() + aheadMs,
  monotonic: () => systemClock.monotonic() + aheadMs,
};
const lines: string[] = [];
const logger = createLogger('calls', 'warn', { write: (line: string) => void lines.push(line) });
const api = await testApi({}, { clock, logger });
const operator = await api.key('operator');
const iAcme = await api.account('acme');
const customer = await api.key('customer', iAcme);
const page = `/cdrs?i_account=${iAcme}`;

const report = async (): Promise<Json> => (await api.get('/monitoring', operator)).body.data;
const order = (action: string, key = operator) =>
  api.post({ server: 'primary', action }, key, '/monitoring/breaker');

test('health in words and figures, for people, for who restarts it, and for who sends it requests', async () => {
  assert.ok(await until(async () => (await report()).servers[0].healthy, LIMIT_MS));
  const { status, body } = await api.get('/health', null);
  assert.equal(status, 200);
  const { uptime_s: uptimeS, consecutiveSuccesses, lastCheck, ...rest } = body;
  assert.deepEqual(rest, {
    success: true,
    status: 'healthy',
    healthy: true,
    consecutiveFailures: 0,
    uptimePercent: 100,
    timeSinceDown: null,
  });
  assert.ok(uptimeS >= 0 && consecutiveSuccesses >= 1 && Date.parse(lastCheck) > 0);
  assert.deepEqual((await api.get('/health/live', null)).body, { success: true, status: 'live' });
  assert.deepEqual((await api.get('/health/ready', null)).body, { success: true, status: 'ready' });
});

test('the report has all that the dashboard shows', async () => {
  await api.get(page, customer);
  const {
    status,
    servers,
    uptime_s: uptimeS,
    last_restart: restart,
    recent_activity: activity,
  } = await report();
  assert.equal(status, 'healthy');
  assert.ok(uptimeS >= 0 && Date.parse(restart) <= clock.now());
  const [primary] = servers;
  assert.equal(servers.length, 1);
  assert.deepEqual(
    [primary.name, primary.role, primary.healthy, primary.uptimePercent, primary.replica_lag_s],
    ['primary', 'primary', true, 100, null],
  );
  assert.equal(primary.circuit.state, 'CLOSED');
  assert.deepEqual(primary.queue, {
    length: 0,
    limit: 200,
    processing: 0,
    slots: 10,
    oldest_wait_ms: 0,
    order: 'fifo',
  });
  const said = activity.map(({ text }: { text: string }) => text);
  assert.ok(
    said.some((text: string) => /^Query executed in \d+ms \(\d+ rows\)$/.test(text)),
    said.join('\n'),
  );
  assert.ok(said.includes('Health check of primary: PASS'), said.join('\n'));
});

test('the report as server-sent events: at once, then each second', async () => {
  const headers = { authorization: `Bearer ${operator}`, accept: 'text/event-stream' };
  const answer = await fetch(`${api.calls.url}/monitoring`, { headers });
  assert.match(answer.headers.get('content-type')!, /^text\/event-stream/);
  assert.equal(answer.headers.get('cache-control'), 'no-store');
  let text = '';
  for await (const part of answer.body!.pipeThrough(new TextDecoderStream())) {
    text += part;
    if (text.split('\n\n').length > 2) break;
  }
  const events = text
    .split('\n\n')
    .slice(0, 2)
    .map((event) => JSON.parse(event.replace(/^data: /, '')));
  for (const event of events) assert.deepEqual(event.servers[0].queue.limit, 200);
  assert.ok(events[1].uptime_s >= events[0].uptime_s);
});

test('a breaker opened by hand holds requests until their deadline, and says who did it', async () => {
  const { status, body } = await order('open');
  assert.equal(status, 200);
  const { state, held_by: heldBy } = body.data.servers[0].circuit;
  assert.deepEqual([state, heldBy], ['HELD_OPEN', 'test operator']);
  const ready = await api.get('/health/ready', null);
  assert.equal(ready.status, 503);
  assert.match(ready.body.error, /answers its health check.*circuit breaker is open/);

  const askedAt = performance.now();
  const held = await api.get(page, customer, { 'request-timeout': '0.3' });
  assert.equal(held.status, 503);
  assert.equal(held.body.code, 'database_down');
  const tookMs = performance.now() - askedAt;
  assert.ok(tookMs >= 299 && held.body.waited_ms <= tookMs, `${held.body.waited_ms} of ${tookMs}`);
  assert.ok(Number(held.headers.get('retry-after')) >= 1);
  const logged = lines.map((line) => JSON.parse(line)).find((line) => line.to === 'HELD_OPEN');
  assert.deepEqual([logged.by, logged.reason, logged.server], ['test operator', 'opened_by_hand', 'primary']);

  const waits = api.get(page, customer);
  // Perhaps with a look-up of its key, where the last one was some seconds ago.
  assert.ok(await until(async () => (await report()).servers[0].queue.length >= 1, LIMIT_MS));
  await order('close');
  assert.equal((await waits).status, 200, 'what waited goes on');
  const { servers, recent_activity: activity } = await report();
  assert.equal(servers[0].circuit.state, 'CLOSED');
  const said = activity.map(({ text }: { text: string }) => text).join('\n');
  assert.match(said, /Circuit of primary: HELD_OPEN to CLOSED \(closed_by_hand: test operator\)/);
});

test('released by hand it finds out by probes', async () => {
  await order('open');
  const { body } = await order('release');
  assert.equal(body.data.servers[0].circuit.state, 'HALF_OPEN');
  assert.equal((await api.get('/health/ready', null)).status, 200, 'or no balancer would send it the probes');
  assert.equal((await api.get('/health', null)).body.status, 'degraded');
  for (let probe = 0; probe < 3; probe++) assert.equal((await api.get(page, customer)).status, 200);
  assert.equal((await api.get('/health', null)).body.status, 'healthy');
  assert.equal((await report()).servers[0].circuit.state, 'CLOSED');
});

test('who opened it can close it, long after the key was last looked up', async () => {
  await order('open');
  aheadMs += KEY_CACHE_MS + 1;
  assert.equal((await order('close')).status, 200);
  aheadMs += OLD_KEY_MS;
  await order('open');
  aheadMs += OLD_KEY_MS;
  assert.equal((await order('close')).body.data.servers[0].circuit.state, 'CLOSED');
});

test('a key that is revoked ends there too, and with it the events that it is being sent', async () => {
  const another = await api.key('operator');
  assert.equal((await api.get('/monitoring', another)).status, 200);
  const headers = { authorization: `Bearer ${another}`, accept: 'text/event-stream' };
  const events = await fetch(`${api.calls.url}/monitoring`, {
    headers,
    signal: AbortSignal.timeout(LIMIT_MS),
  });
  await api.database.pool.query(
    'UPDATE identity.api_keys SET revoked_at = now() WHERE i_key = (SELECT max(i_key) FROM identity.api_keys)',
  );
  aheadMs += KEY_CACHE_MS + 1;
  assert.equal((await api.get('/monitoring', another)).status, 401);
  for await (const _ of events.body!); // ends of itself
});

test('a key has so many streams of events at once; beyond it is told to wait, and when one ends the next begins', async () => {
  const many = await api.key('operator');
  const ends = new AbortController();
  const open = (bearer: string, signal = ends.signal) =>
    fetch(`${api.calls.url}/monitoring`, {
      headers: { authorization: `Bearer ${bearer}`, accept: 'text/event-stream' },
      signal,
    });
  const first = new AbortController();
  const opened = await Promise.all([
    open(many, first.signal),
    ...Array.from({ length: EVENT_STREAMS.perCaller - 1 }, () => open(many)),
  ]);
  assert.deepEqual([...new Set(opened.map(({ status }) => status))], [200]);
  const refused = await open(many);
  assert.equal(refused.status, 429);
  assert.ok(Number(refused.headers.get('retry-after')) >= 1);
  assert.equal(((await refused.json()) as Json).code, 'too_many_at_once');
  assert.equal((await api.get('/monitoring', many)).status, 200, 'a report is no stream');
  assert.equal((await open(operator)).status, 200, 'another key has its own');
  first.abort();
  assert.ok(await until(async () => (await open(many)).status === 200, LIMIT_MS));
  ends.abort();
});

test('orders that make no sense are refused', async () => {
  const unknown = await order('explode');
  assert.equal(unknown.status, 400);
  assert.match(unknown.body.error, /must be one of: open, close, release$/);
  const nowhere = await api.post({ server: 'replica 9', action: 'open' }, operator, '/monitoring/breaker');
  assert.equal(nowhere.status, 404);
  assert.match(nowhere.body.error, /there are: primary/);
  assert.equal((await order('open', customer)).status, 403);
  assert.equal((await report()).servers[0].circuit.state, 'CLOSED');
});
