/** A switch that fails is seen: what it posts amiss, and what is refused, stands in the list, the figures and the dashboard. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { withSession } from '#platform/database/pool.ts';
import { type Json, testApi } from '#tests/calls_api.ts';
import { activityOf } from '../../source_activity.ts';
import { discardRejected, listRejected, takeRejected } from '../../store/rejected.ts';
import { listSourceHours } from '../../store/source_hours.ts';

const api = await testApi();
const { pool } = api.database;
const operator = await api.key('operator');
const ingest = await api.key('ingest');
const customer = await api.key('customer', await api.account('acme'));
const WRONG = `tl_${'x'.repeat(43)}`;
const now = Date.now();
const record = (n: number) => ({
  account: 'acme',
  call_id: `c${n}`,
  cld: '+442079460001',
  start_time: new Date(now - 3_600_000 + n).toISOString(),
  duration_s: 60,
});

const sources = async (): Promise<Json[]> => (await api.get('/sources', operator)).body.data;
const sourceNamed = async (name: string): Promise<Json> =>
  (await sources()).find(({ source }) => source === name);
async function until(met: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await met()); tries++) {
    assert.ok(tries < 150, 'it did not come');
    await sleep(100);
  }
}

test('posts with a bad record each, and with a wrong key, are told by the switch that sent them', async () => {
  for (let n = 0; n < 3; n++) {
    const posted = await api.post(
      [record(n), { ...record(n), account: undefined }],
      ingest,
      '/cdrs?source=switch%201',
    );
    assert.equal(posted.status, 200, posted.text);
  }
  await until(async () =>
    /source_rows_per_minute\{[^}]*source="switch 1"/.test((await api.get('/metrics', null)).text),
  );
  for (let n = 0; n < 6; n++)
    assert.equal((await api.post([record(n)], WRONG, '/cdrs?source=switch%201')).status, 401);
  assert.equal((await api.post([record(0)], customer, '/cdrs?source=switch%201')).status, 403);
  assert.equal((await api.post([record(0)], WRONG, `/cdrs?source=${'x'.repeat(100)}`)).status, 401);
  const stranger = 'unknown (tl_xxxxx…, 127.0.0.1)';
  await until(async () => (await sourceNamed(stranger)) !== undefined);
  const told = await sourceNamed('switch 1');
  assert.deepEqual(
    [told.set_aside_today, told.refused_today, told.last_file, told.silence_limit_s],
    [3, 7, 'POST /cdrs', null],
  );
  assert.ok(told.rows_per_minute > 0 && told.silent_s < 600);
  assert.equal(
    told.last_call_at,
    new Date(now - 3_600_000 + 2 + 60_000)
      .toISOString()
      .replace(/0Z$/, 'Z')
      .replace(/\.00Z$/, 'Z'),
  );
  assert.ok(told.lag_s > 3_500 && told.lag_s < 3_600);
  assert.equal((await sourceNamed(stranger)).refused_today, 1);
  assert.equal((await sourceNamed(stranger)).lag_s, null, 'who has sent no call has no lag');
  assert.equal((await api.post([record(0)], null, '/cdrs')).status, 401);
  assert.equal((await api.post([record(0)], customer, '/cdrs')).status, 403);
  await until(async () => (await sourceNamed('unknown (127.0.0.1)')) !== undefined);
  const named = (await sources())
    .map(({ source }) => source)
    .filter((source) => /^unknown \(key \d+, 127/.test(source));
  assert.equal(named.length, 1, 'a key that may not post, by its number');
  await until(async () =>
    /source_refused_recent\{[^}]*source="unknown"[^}]*\} 3/.test((await api.get('/metrics', null)).text),
  );
  const { text } = await api.get('/metrics', null);
  assert.match(text, /source_set_aside_recent\{[^}]*source="switch 1"[^}]*\} 3/);
  assert.match(text, /source_refused_recent\{[^}]*source="switch 1"[^}]*\} 7/);
  assert.doesNotMatch(text, /xxxxx/, 'what strangers send is no label');
  const { switches } = (await api.get('/monitoring', operator)).body.data;
  assert.equal(switches.find(({ source }: Json) => source === 'switch 1').refused_today, 7);
});

test('what was mended or discarded is no longer told as set aside, in figures of switches and of imports', async () => {
  const bad = { ...record(50), account: undefined, call_id: 'mended' };
  const waits = async () => {
    const { set_aside_today, source } = await sourceNamed('switch 3');
    const { data } = (await api.get(`/imports?source=${encodeURIComponent(source)}`, operator)).body;
    return [set_aside_today, data[0].waiting, data[0].set_aside];
  };
  const post = () => api.post([bad, { ...bad, call_id: 'other' }], ingest, '/cdrs?source=switch%203');
  await post();
  assert.deepEqual(await waits(), [2, 2, 2]);
  // One that comes each minute is told as long as it comes, however long ago it came first.
  await pool.query(
    `UPDATE calls.rejected_cdrs SET created_at = now() - interval '3 days' WHERE source = 'switch 3'`,
  );
  assert.deepEqual(await waits(), [0, 2, 2]);
  await post();
  assert.deepEqual(await waits(), [2, 2, 4]);
  const [first] = await withSession(pool, (session) =>
    session.rows(listRejected({ file: 'POST /cdrs' }, 0, 100)),
  ).then((rows) => rows.filter(({ source }) => source === 'switch 3'));
  await withSession(pool, (session) => session.run(takeRejected(1, [first!.i_rejected])));
  assert.deepEqual(await waits(), [1, 1, 4]);
  await withSession(pool, (session) => session.run(discardRejected({})));
  assert.deepEqual(await waits(), [0, 0, 4]);
  await post();
  assert.deepEqual(await waits(), [0, 0, 6], 'they are known');
});

test('the rate of a switch goes by the time for which it is known, two hours at most', async () => {
  const rateOf = async (source: string) => (await sourceNamed(source)).rows_per_minute;
  const heard = (source: string, rows: number, minutesAgo: number, hoursBefore = 0) =>
    pool.query(
      `INSERT INTO calls.source_hours (source, hour, rows, last_at, last_file, since)
       SELECT $1, date_trunc('hour', since) - $4 * interval '1 hour', $2, now(), 'POST /cdrs', since
       FROM (SELECT now() - $3 * interval '1 minute' AS since) AS s`,
      [source, rows, minutesAgo, hoursBefore],
    );
  await heard('new', 120, 12);
  assert.equal(Math.round(await rateOf('new')), 10, 'all of its rows in all of its minutes');
  await heard('newest', 30, 0);
  assert.equal(Math.round(await rateOf('newest')), 30, 'and at least one minute');
  const [{ minutes }] = (
    await pool.query(`SELECT extract(epoch FROM now() - date_trunc('hour', now())) / 60 + 60 AS minutes`)
  ).rows;
  await heard('known', 600, 0);
  await heard('known', 600, 0, 5);
  await pool.query(`UPDATE calls.source_hours SET since = NULL WHERE source = 'known'`);
  assert.ok(Math.abs((await rateOf('known')) - 600 / minutes) < 0.5, 'by this hour and the one before');
});

test('only operators see switches', async () => {
  for (const key of [ingest, customer, await api.key('support')])
    assert.equal((await api.get('/sources', key)).status, 403);
});

test('from its second week on a silence that is longer than usual at that hour is told', async () => {
  // Each hour of four weeks but two, around this hour of the week.
  await pool.query(`
    INSERT INTO calls.source_hours (source, hour, rows, last_at, last_file)
    SELECT 'old', h, 5, h + interval '59 min', 'POST /cdrs'
    FROM generate_series(date_trunc('hour', now()) - interval '27 days', date_trunc('hour', now()) - interval '9 hours', '1 hour') h
    WHERE h NOT IN (SELECT date_trunc('hour', now()) - w * interval '7 days' + o * interval '1 hour'
                    FROM generate_series(1, 3) w, generate_series(0, 1) o)`);
  const row = (await withSession(pool, (session) => session.rows(listSourceHours()))).find(
    ({ source }) => source === 'old',
  )!;
  assert.equal(row.longest_gap_s, 2 * 3_600);
  const { silent_s: silentS, silence_limit_s: limitS } = activityOf(row, now);
  assert.equal(limitS, 3 * 2 * 3_600);
  assert.ok(silentS! > limitS!);
});
