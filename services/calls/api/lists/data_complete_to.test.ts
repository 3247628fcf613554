/** Up to when an account's calls are told: by the sources that bring its calls, and by no others. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { beforeEach, test } from 'node:test';
import { callRow, testImportSource } from '#tests/calls.ts';
import { testApi } from '#tests/calls_api.ts';
import { takeIn } from '../../intake/intake.ts';
import { calls } from '../../service.ts';

const api = await testApi();
const { pool } = api.database;
const operator = await api.key('operator');
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

beforeEach(() => pool.query('TRUNCATE calls.watermarks, calls.account_sources'));

let accounts = 0;
async function newAccount(): Promise<{ code: string; iAccount: number }> {
  const code = `account-${++accounts}`;
  return { code, iAccount: await api.account(code) };
}

async function shown(iAccount: number): Promise<string | null> {
  const page = await api.get(`/cdrs?i_account=${iAccount}&limit=1`, operator);
  assert.equal(page.status, 200, page.text);
  const consumption = await api.get(`/consumption?i_account=${iAccount}&granularity=total`, operator);
  assert.equal(consumption.body.data_complete_to, page.body.data_complete_to);
  return page.body.data_complete_to;
}

/** What a source brought to an account: how far it told, and when, in hours ago or as an instant. */
async function tell(iAccount: number, source: string, told: number | string, at: number): Promise<void> {
  const instant = (when: number | string) =>
    typeof when === 'string' ? when : new Date(Date.now() - when * HOUR_MS).toISOString();
  await pool.query(
    `WITH mark AS (INSERT INTO calls.watermarks VALUES ($2, $3, $4)
       ON CONFLICT (source) DO UPDATE SET last_disconnect = excluded.last_disconnect, updated_at = excluded.updated_at),
     import AS (INSERT INTO calls.imports (file, format, source, options, told_to, told_at)
       VALUES ('f', 'mapped', $2, '{}', $3, $4) RETURNING i_import)
     INSERT INTO calls.account_sources SELECT $1, $2, i_import FROM import
     ON CONFLICT (i_account, source) DO UPDATE SET i_import = excluded.i_import`,
    [iAccount, source, instant(told), instant(at)],
  );
}

async function assertHoursAgo(iAccount: number, expected: number): Promise<void> {
  const hours = (Date.now() - Date.parse((await shown(iAccount))!)) / HOUR_MS;
  assert.ok(Math.abs(hours - expected) < 0.1, String(hours));
}

test('it is the earliest of the sources that still speak, and not in the future', async () => {
  const { iAccount, code } = await newAccount();
  assert.equal(await shown(iAccount), null);
  await tell(iAccount, 'one', 2, 1);
  await tell(iAccount, 'two', 20, 0);
  await tell(iAccount, 'retired', 26, 26);
  await assertHoursAgo(iAccount, 20);
  // An archive of another switch, and one of a switch that was heard from before, are history.
  await tell(iAccount, 'archive', '2020-01-01T00:00:00Z', 0);
  await assertHoursAgo(iAccount, 20);
  const startTime = Date.parse('2019-06-01T00:00:00Z');
  await takeIn(pool, await testImportSource(pool, { source: 'retired' }), [
    callRow({ accountCode: code, startTime }),
  ]);
  await assertHoursAgo(iAccount, 20);
  // A night's file that comes in the morning is news, and holds until the next one.
  await tell(iAccount, 'two', 23, 20);
  await assertHoursAgo(iAccount, 23);
  await pool.query(`UPDATE calls.watermarks SET last_disconnect = now() + interval '1 day'`);
  const { body } = await api.get(`/cdrs?i_account=${iAccount}`, operator);
  assert.ok(Date.parse(body.data_complete_to) <= Date.now() + 1_000);
});

test('while the only switch is silent, an archive makes no data complete to another time', async () => {
  const { iAccount } = await newAccount();
  await tell(iAccount, 'archive', '2020-01-01T00:00:00Z', 0);
  await tell(iAccount, 'alone', 60, 60);
  await assertHoursAgo(iAccount, 60);
});

test('where files of the past are all there is, the newest of them count', async () => {
  const { iAccount } = await newAccount();
  await tell(iAccount, 'old', '2020-01-01T00:00:00Z', 0);
  await tell(iAccount, 'one', '2026-01-31T23:00:00Z', 0);
  await tell(iAccount, 'two', '2026-01-31T20:00:00Z', 0);
  assert.equal(await shown(iAccount), '2026-01-31T20:00:00Z');
});

/** Takes calls in as one import; each is told by the account's code and the end of the call. */
async function importCalls(source: string, ...calls: [code: string, endMs: number][]): Promise<void> {
  const importSource = await testImportSource(pool, { source });
  for (const [accountCode, disconnectTime] of calls) {
    const row = callRow({ accountCode, startTime: disconnectTime - 65_000, disconnectTime });
    assert.equal((await takeIn(pool, importSource, [row]))[0]!.kind, 'stored');
  }
}

const iso = (ms: number) => new Date(ms).toISOString().replace('.000Z', 'Z');
const secondsAgo = (s: number) => Math.floor(Date.now() / 1_000) * 1_000 - s * 1_000;
const LONG_AGO = Date.parse('2026-01-31T23:00:00Z');

test("a file of one customer's past moves no other customer, whichever source it is said to be of", async () => {
  for (const archive of ['another switch', 'switch']) {
    await pool.query('TRUNCATE calls.watermarks, calls.account_sources');
    const [live, past] = [await newAccount(), await newAccount()];
    const end = secondsAgo(90);
    await importCalls('switch', [live.code, end]);
    await importCalls(archive, [past.code, LONG_AGO]);
    assert.equal(await shown(live.iAccount), iso(end));
    assert.equal(await shown(past.iAccount), iso(LONG_AGO));
    const customer = await api.key('customer', live.iAccount);
    const { body } = await api.get('/cdrs?limit=1', customer);
    assert.equal(body.data_complete_to, iso(end));
  }
});

test('who has not called for weeks is complete as far as the switch tells', async () => {
  const [quiet, busy] = [await newAccount(), await newAccount()];
  await importCalls('switch', [quiet.code, secondsAgo(7_000)], [busy.code, secondsAgo(6_000)]);
  await pool.query(
    "UPDATE calls.imports SET told_to = told_to - interval '20 days', told_at = told_at - interval '20 days'",
  );
  const end = secondsAgo(60);
  await importCalls('switch', [busy.code, end]);
  assert.equal(await shown(quiet.iAccount), iso(end));
});

test('a file tells of all whose calls it has up to its end', async () => {
  const [early, late] = [await newAccount(), await newAccount()];
  await importCalls('file', [early.code, LONG_AGO - 20 * DAY_MS], [late.code, LONG_AGO]);
  assert.equal(await shown(early.iAccount), iso(LONG_AGO));
  assert.equal(await shown(late.iAccount), iso(LONG_AGO));
});

test('an older file of the same source takes nothing back, and a newer one goes on', async () => {
  const { code, iAccount } = await newAccount();
  await importCalls('file', [code, LONG_AGO]);
  await importCalls('file', [code, LONG_AGO - 40 * DAY_MS]);
  assert.equal(await shown(iAccount), iso(LONG_AGO));
  await importCalls('file', [code, LONG_AGO + DAY_MS]);
  assert.equal(await shown(iAccount), iso(LONG_AGO + DAY_MS));
});

test('a switch that brings none of its calls holds no customer back, nor lets it ahead', async () => {
  const [one, two] = [await newAccount(), await newAccount()];
  await tell(one.iAccount, 'lags', 20, 0);
  await tell(two.iAccount, 'prompt', 1, 0);
  await assertHoursAgo(one.iAccount, 20);
  await assertHoursAgo(two.iAccount, 1);
  const none = await newAccount();
  assert.equal(await shown(none.iAccount), null);
});

test('what an earlier version stored is known by the same sources after the migration', async () => {
  const [live, past] = [await newAccount(), await newAccount()];
  const end = secondsAgo(90);
  await importCalls('switch', [live.code, end - DAY_MS], [live.code, end]);
  await importCalls('archive', [past.code, LONG_AGO], [past.code, LONG_AGO - DAY_MS]);
  const before = await pool.query('SELECT * FROM calls.account_sources ORDER BY i_account');
  await pool.query(`DROP TABLE calls.account_sources;
    ALTER TABLE calls.imports DROP COLUMN told_to, DROP COLUMN told_at`);
  await pool.query(await readFile(`${calls.migrations.folder}/0009_sources_of_accounts.sql`, 'utf8'));
  const after = await pool.query(
    'SELECT * FROM calls.account_sources WHERE i_account = ANY($1) ORDER BY i_account',
    [[live.iAccount, past.iAccount]],
  );
  assert.deepEqual(after.rows, before.rows);
  assert.equal(await shown(live.iAccount), iso(end));
  assert.equal(await shown(past.iAccount), iso(LONG_AGO));
});

test('an account with all below it is told as far as the least of their sources, and everybody as far as the least of all', async () => {
  const top = await newAccount();
  const iBelow = await api.account('below', { parent: top.iAccount });
  const iArchived = await api.account('archived', { parent: iBelow });
  await tell(top.iAccount, 'one', 2, 1);
  await tell(iBelow, 'two', 5, 1);
  await tell((await newAccount()).iAccount, 'of another', 9, 1);
  const hoursAgo = async (path: string) => {
    const { body, text } = await api.get(path, operator);
    assert.ok(body.success, text);
    return Math.round((Date.now() - Date.parse(body.data_complete_to)) / HOUR_MS);
  };
  for (const path of ['/cdrs', '/consumption']) {
    assert.equal(await hoursAgo(`${path}?i_account=${top.iAccount}`), 2);
    assert.equal(await hoursAgo(`${path}?i_account=${top.iAccount}&include=children`), 5);
  }
  assert.equal(await hoursAgo('/cdrs?call_id=nobody'), 9);
  // What is of the past alone holds nobody back.
  await tell(iArchived, 'archive', '2020-01-01T00:00:00Z', 0);
  assert.equal(await hoursAgo(`/cdrs?i_account=${top.iAccount}&include=children`), 5);
  assert.equal(await hoursAgo('/cdrs?call_id=nobody'), 9);
});
