/** Queues as an operator uses them, by the API and by command: look, replay with a cap and a dry run, pause; all of it audited. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '#engines/cluster/processes.ts';
import { withSession, withTransaction } from '#platform/database/pool.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import type { Handler } from '#platform/messaging/consumer.ts';
import { createMessaging } from '#platform/messaging/messaging.ts';
import { publish } from '#platform/messaging/publish.ts';
import { subscribe } from '#platform/messaging/subscriptions.ts';
import { testApi } from '#tests/calls_api.ts';
import { runCommand } from '#tests/command.ts';
import { FAST, factsOf, jobsOf, type Numbered, numbered } from '#tests/messages.ts';

const LIMIT_MS = 15_000;
const api = await testApi();
const operator = await api.key('operator');
const { pool, url } = api.database;
const environment = { DATABASE_URL: url };

const messagesOf = (topic: ReturnType<typeof jobsOf>, numbers: number | number[], options = {}) =>
  withTransaction(pool, (session) => publish(session, numbered(topic, numbers, options)));

/** Runs a consumer until `over`. */
async function consume(queue: string, handle: Handler<Numbered>, over: () => boolean | Promise<boolean>) {
  const onEvent = () => undefined;
  const messaging = createMessaging({
    ...{ service: 'calls', pool, clock: systemClock, random: Math.random, onEvent },
  });
  messaging.takeWork(jobsOf(queue), handle, FAST);
  const stopping = new AbortController();
  const running = messaging.run(stopping.signal);
  assert.ok(await until(over, LIMIT_MS));
  stopping.abort();
  await running;
}

const queue = async (name: string) => (await api.get(`/queues/${name}`, operator)).body.data;
const trail = async (action: string) => {
  const { rows } = await pool.query(
    'SELECT by_id, subject, detail FROM calls.audit WHERE action = $1 ORDER BY i_audit',
    [action],
  );
  return rows;
};
const run = async (...words: string[]) => {
  const { code, out, err } = await runCommand(['queues', ...words], environment);
  return { code, out, err };
};

await messagesOf(jobsOf('bills'), 5);
await messagesOf(jobsOf('bills'), [5], { expiresAt: new Date(Date.now() + 1_500) });
await consume(
  'bills',
  async ({ body }) => ({ dead: body.n % 2 === 0 ? 'no_account' : 'no_price' }),
  async () => (await queue('bills')).dead === 6,
);
await subscribe(pool, 'usage', ['call.ended'], 'now', systemClock);
await withTransaction(pool, (session) => publish(session, numbered(factsOf('call.ended'), 3)));
await messagesOf(jobsOf('later'), [1, 2], { notBefore: new Date(Date.now() + 3_600_000) });

test('only operators may see or change queues', async () => {
  const iAcme = await api.account('acme');
  for (const key of [await api.key('customer', iAcme), await api.key('support'), await api.key('ingest')]) {
    for (const path of ['/queues', '/queues/bills', '/queues/bills/dead', '/queues/bills/dead/1'])
      assert.equal((await api.get(path, key)).status, 403, path);
    assert.equal((await api.post({ limit: 1 }, key, '/queues/bills/replay')).status, 403);
    for (const action of ['pause', 'resume'])
      assert.equal((await api.send('POST', `/queues/bills/${action}`, bearer(key))).status, 403, action);
  }
  assert.equal((await api.get('/queues', null)).status, 401);
  assert.equal((await queue('bills')).dead, 6);
});

const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

test('the list has what waits, by name, page by page', async () => {
  const { body } = await api.get('/queues?limit=2', operator);
  assert.deepEqual(
    body.data.map((one: { queue: string }) => one.queue),
    ['bills', 'later'],
  );
  const next = await api.get(`/queues?limit=2&after=${body.next_after}`, operator);
  const [usage] = next.body.data;
  const { oldest_ready_s: oldestS, ...rest } = usage;
  assert.ok(oldestS > 0 && oldestS < 60, String(oldestS));
  assert.deepEqual(rest, {
    ...{ queue: 'usage', mode: 'event', ready: 3, leased: 0, delayed: 0, blocked: 0, sent: 0, dead: 0 },
    ...{ dead_by_cause: {}, consumers: 0, paused_at: null, paused_by: null, topics: ['call.ended'] },
  });
  assert.equal(next.body.next_after, null);
  assert.equal((await queue('later')).delayed, 2);
  assert.deepEqual((await queue('bills')).dead_by_cause, { no_account: 3, no_price: 3 });
  assert.equal((await api.get('/queues/none', operator)).status, 404);
  assert.equal((await api.get('/queues?after=', operator)).status, 400);
  assert.equal((await api.get('/queues?x=1', operator)).status, 400);
});

test('a queue has a consumer while a process takes from it', async () => {
  let seen = 0;
  await consume(
    'seen',
    async () => 'done',
    async () => {
      seen = (await queue('seen'))?.consumers ?? 0;
      return seen === 1;
    },
  );
  assert.equal(seen, 1);
  assert.equal((await api.get('/queues/seen', operator)).status, 404, 'it has gone with its consumer');
});

test('dead letters are listed without bodies; a look at one is noted', async () => {
  const { body } = await api.get('/queues/bills/dead?cause=no_account&limit=2', operator);
  assert.equal(body.data.length, 2);
  assert.ok(body.data.every((one: object) => !('body' in one) && !('headers' in one)));
  const rest = await api.get(
    `/queues/bills/dead?cause=no_account&limit=2&after=${body.next_after}`,
    operator,
  );
  assert.equal(rest.body.data.length, 1);
  assert.equal(rest.body.next_after, null);
  const [first] = body.data;
  const whole = await api.get(`/queues/bills/dead/${first.i_dead_letter}`, operator);
  assert.deepEqual(whole.body.data.body, { n: 0 });
  const { i_dead_letter: iDeadLetter } = first;
  const looks = await trail('queues.look');
  assert.deepEqual(
    looks.map(({ subject }) => subject),
    [`dead letter ${iDeadLetter} of queue bills`],
  );
  assert.match(looks[0].by_id, /^key:/);
  assert.equal((await api.get(`/queues/usage/dead/${iDeadLetter}`, operator)).status, 404);
  assert.equal((await api.get('/queues/none/dead', operator)).status, 404);
  assert.equal((await trail('queues.look')).length, 1, 'nothing was seen');
});

test('a dry run changes nothing; a replay stops at its cap, and leaves what has expired', async () => {
  const replay = (body: object) => api.post(body, operator, '/queues/bills/replay');
  await until(async () => Date.now() > Date.parse((await letters())[5].published_at) + 2_000, LIMIT_MS);
  const dry = await replay({ limit: 2, dry_run: true });
  assert.deepEqual(dry.body.data, { replayed: 2, left: 3, expired: 1, dry_run: true });
  assert.equal((await queue('bills')).dead, 6);
  assert.deepEqual(await trail('queues.replay'), []);
  const real = await replay({ limit: 2, cause: 'no_account' });
  assert.deepEqual(real.body.data, { replayed: 2, left: 1, expired: 0, dry_run: false });
  const { ready, dead } = await queue('bills');
  assert.deepEqual([ready, dead], [2, 4]);
  const [noted] = await trail('queues.replay');
  assert.deepEqual(noted.detail, { limit: 2, cause: 'no_account', replayed: 2 });
  const { i_dead_letter: one } = (await letters())[0];
  assert.equal((await replay({ limit: 10, ids: [one] })).body.data.replayed, 1);
  assert.equal((await replay({ limit: 10_001 })).status, 400);
  assert.equal((await replay({})).status, 400);
  assert.equal((await api.post({ limit: 1 }, operator, '/queues/none/replay')).status, 404);
});

const letters = async () => (await api.get('/queues/bills/dead', operator)).body.data;

test('pause and resume name who did it, once', async () => {
  const paused = await api.send('POST', '/queues/usage/pause', bearer(operator));
  assert.equal(typeof paused.body.data.paused_at, 'string');
  await api.send('POST', '/queues/usage/pause', bearer(operator));
  assert.equal((await trail('queues.pause')).length, 1);
  const resumed = await api.send('POST', '/queues/usage/resume', bearer(operator));
  assert.deepEqual([resumed.body.data.paused_at, resumed.body.data.paused_by], [null, null]);
  assert.equal((await trail('queues.resume')).length, 1);
  assert.equal((await api.send('POST', '/queues/none/pause', bearer(operator))).status, 404);
});

test('the commands say and do the same', async () => {
  const list = await run('list');
  assert.equal(list.code, 0, list.err);
  assert.match(list.out, /^queue +mode +ready +waiting +taken +oldest +consumers +paused +dead +by cause$/m);
  assert.match(list.out, /^later +work +0 +2 +0 /m);
  assert.equal((await run()).out.split('\n')[0], list.out.split('\n')[0]);
  const shown = JSON.parse((await run('show', 'usage', '--json')).out);
  assert.deepEqual([shown.ready, shown.topics], [3, ['call.ended']]);
  const dead = await run('dead', 'bills', '--limit', '1');
  assert.match(dead.out, /^no_price +\d+$/m);
  assert.match(dead.err, /--after \d+ shows more/);
  const { letters: found } = JSON.parse((await run('dead', 'bills', '--json')).out);
  const { i_dead_letter: iDeadLetter } = found[0];
  const whole = JSON.parse((await run('dead', 'bills', '--look', String(iDeadLetter))).out);
  assert.equal(typeof whole.body.n, 'number');
  const looks = await trail('queues.look');
  assert.match(looks.at(-1).by_id, /^terminal:/);

  const before = (await queue('bills')).dead;
  assert.match(
    (await run('replay', 'bills', '--limit', '1', '--dry-run')).out,
    /^1 dead letters would be put back/,
  );
  assert.equal((await queue('bills')).dead, before);
  assert.match((await run('replay', 'bills', '--limit', '1')).out, /^1 dead letters were put back/);
  assert.equal((await queue('bills')).dead, before - 1);
  assert.match((await run('pause', 'bills')).out, /^bills is paused by /);
  assert.equal((await run('resume', 'bills')).out, 'bills is not paused\n');
  for (const words of [['show'], ['dead'], ['replay', '--limit', '1'], ['pause'], ['resume']]) {
    const { code, err } = await run(words[0]!, 'none', ...words.slice(1));
    assert.equal(code, 1);
    assert.match(err, /there is no queue none; trunkline queues shows them/);
  }
  const refused = await run('replay', 'bills', '--limit', '10001');
  assert.deepEqual([refused.code, /10000 at most/.test(refused.err)], [1, true]);
  const actions = JSON.parse((await runCommand(['audit', 'list', '--json'], environment)).out);
  for (const action of ['queues.look', 'queues.replay', 'queues.pause', 'queues.resume'])
    assert.ok(
      actions.some((row: { action: string }) => row.action === action),
      action,
    );
});

test('a queue that is known by nothing but its name has no oldest message', async () => {
  await withSession(pool, (session) =>
    session.client.query("INSERT INTO messaging.queues (queue) VALUES ('bare')"),
  );
  const bare = await queue('bare');
  assert.deepEqual([bare.mode, bare.ready, bare.oldest_ready_s], ['work', 0, null]);
});
