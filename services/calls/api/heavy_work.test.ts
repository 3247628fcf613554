/** Much at once of one caller: what it may have, and what the others feel of it. */
import assert from 'node:assert/strict';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { test } from 'node:test';
import { until } from '#engines/cluster/processes.ts';
import { testApi } from '../../../tests/calls_api.ts';
import { EXPORTS } from './lists/routes_cdrs.ts';
import { LARGE_POSTS } from './posts/routes_ingest.ts';

const HEAVY_SLOTS = 2;
const api = await testApi({ heavySlots: HEAVY_SLOTS });
const acme = await api.account('acme');
const other = await api.account('other');
const key = await api.key('customer', acme);
const ingest = await api.key('ingest');
const CALLS = 40_000;
const records = (count: number, account = 'acme', prefix = 'c') =>
  Array.from({ length: count }, (_, n) => ({
    account,
    call_id: `${prefix}${n}`,
    start_time: new Date(Date.UTC(2026, 2, 1) + n * 1_000).toISOString(),
    cli: '+493023125001',
    cld: '+442079460001',
    duration_s: 60,
    result: 'no_answer',
  }));
for (let n = 0; n < CALLS / 10_000; n++)
  assert.equal((await api.post(records(10_000, 'acme', `${n}-`), ingest)).status, 200);
await api.post(records(10, 'other'), ingest);

/** An export whose client takes its head and no more. */
function stalledExport(bearer: string, iAccount: number): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${bearer}`, accept: 'text/csv' };
    const asked = request(`${api.calls.url}/cdrs?i_account=${iAccount}`, { headers, agent: false }, resolve);
    asked.on('error', reject).end();
  });
}

/** A large post of which no more than its head comes, once the service has begun to wait for the rest. */
function begunPost(bearer: string): Promise<ClientRequest> {
  const headers = {
    authorization: `Bearer ${bearer}`,
    'content-type': 'application/json',
    'content-length': 10_000_000,
    expect: '100-continue',
  };
  const sent = request(`${api.calls.url}/cdrs`, { method: 'POST', headers, agent: false });
  sent.on('error', () => undefined);
  return new Promise((begun) => sent.once('continue', () => begun(sent)).flushHeaders());
}

test('an account has so many exports at once, whatever its keys; others are not held up, and when one is over the next begins', async () => {
  const second = await api.key('customer', acme);
  const open = await Promise.all(
    Array.from({ length: EXPORTS.perCaller }, (_, n) => stalledExport(n % 2 ? key : second, acme)),
  );
  assert.deepEqual([...new Set(open.map(({ statusCode }) => statusCode))], [200]);
  const csv = { accept: 'text/csv' };
  const refused = await api.get(`/cdrs?i_account=${acme}`, key, csv);
  assert.equal(refused.status, 429);
  assert.equal(refused.body.code, 'too_many_at_once');
  assert.ok(Number(refused.headers.get('retry-after')) >= 1);
  assert.equal((await api.get(`/cdrs?i_account=${acme}`, key)).status, 200, 'pages are not exports');
  assert.equal((await api.get(`/cdrs?i_account=${acme}`, await api.key('operator'), csv)).status, 200);
  assert.equal(
    (await api.get(`/cdrs?i_account=${other}`, await api.key('customer', other), csv)).status,
    200,
  );
  open[0]!.destroy();
  const begins = async () => (await api.get(`/cdrs?i_account=${acme}`, key, csv)).status === 200;
  assert.ok(await until(begins, 5_000));
  for (const one of open) one.destroy();
});

test('a key has so many large posts at once: beyond it is turned away before its body is read; small ones go in', async () => {
  const open = await Promise.all(Array.from({ length: LARGE_POSTS.perCaller }, () => begunPost(ingest)));
  const large = records(2_000, 'acme', 'large');
  const isRefused = async () => (await api.post(large, ingest)).status === 429;
  assert.ok(await until(isRefused, 5_000));
  const refused = await api.post(large, ingest);
  assert.equal(refused.body.code, 'too_many_at_once');
  assert.ok(Number(refused.headers.get('retry-after')) >= 1);
  assert.equal((await api.post(records(1), ingest)).status, 200);
  assert.equal((await api.post(large, await api.key('ingest'))).status, 200);
  for (const one of open) one.destroy();
  assert.ok(await until(async () => (await api.post(large, ingest)).status === 200, 5_000));
});

/** Each of them, asked for by many at once, is at work on few connections only. */
const HEAVY = {
  'a page of 1,000': `/cdrs?i_account=${acme}&limit=1000`,
  'a count': `/cdrs?i_account=${acme}&type=answered&with_total=true&min_duration_s=1`,
  'a filter that walks': `/cdrs?i_account=${acme}&direction=inbound`,
  'numbers by their beginning': `/cdrs?i_account=${acme}&cli=%2B49*`,
  'a year of hours': '/consumption?granularity=hour&from=2026-01-01&to=2026-12-31',
  'years of days': '/consumption?granularity=day&from=2010-01-01&to=2026-12-31',
  'months by another clock':
    '/consumption?granularity=month&from=2025-01-01&to=2026-12-31&time_zone=Asia/Kathmandu',
};
const LIGHT = {
  'a page': `/cdrs?i_account=${acme}`,
  'a page of errors': `/cdrs?i_account=${acme}&type=errors`,
  'calls of a number': `/cdrs?i_account=${acme}&cli=%2B493023125001&direction=inbound`,
  'a call by its id': `/cdrs?i_account=${acme}&call_id=0-1`,
};

/** Runs `work` while heavy work of two accounts waits for a table: it has all the places, which one account never has. */
async function whileHeavyIsFull(work: () => Promise<void>): Promise<void> {
  const holding = await api.database.pool.connect();
  await holding.query('BEGIN; LOCK TABLE calls.usage_days IN ACCESS EXCLUSIVE MODE');
  const years = '/consumption?granularity=day&from=2010-01-01&to=2026-12-31';
  const stuck = [key, await api.key('customer', other)].map((bearer) => api.get(years, bearer));
  const bothWait = async () => {
    const { rows } = await api.database.pool.query(
      `SELECT count(*)::int AS waiting FROM pg_stat_activity
       WHERE wait_event_type = 'Lock' AND query LIKE '%usage_days%' AND datname = current_database()`,
    );
    return rows[0].waiting === HEAVY_SLOTS;
  };
  assert.ok(await until(bothWait, 10_000));
  try {
    await work();
  } finally {
    await holding.query('ROLLBACK');
    holding.release();
  }
  for (const { status } of await Promise.all(stuck)) assert.equal(status, 200);
}

test('while heavy work has all its places, more of it waits until its time is up, and light work is answered', async () => {
  await whileHeavyIsFull(async () => {
    for (const [what, path] of Object.entries(HEAVY)) {
      const { status, body } = await api.get(path, key, { 'request-timeout': '0.2' });
      assert.equal(status, 503, what);
      assert.equal(body.code, 'deadline_exceeded', what);
    }
    for (const [what, path] of Object.entries(LIGHT)) {
      // A total by itself is a sum of the table that is held.
      const { status } = await api.get(`${path}&with_total=false`, key, { 'request-timeout': '5' });
      assert.equal(status, 200, what);
    }
  });
});
