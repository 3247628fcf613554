import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withSession } from '#platform/database/pool.ts';
import { testDatabase } from '#tests/postgres.ts';
import { listAudit } from '../store/audit.ts';
import { changeAccount, codesAlike, createAccount } from './accounts.ts';

const { pool } = await testDatabase();
const BY = { id: 'terminal:test', name: 'test' };
const fields = { name: 'A', currency: 'EUR', timeZone: 'UTC', country: null };

test('a code is taken once, and a parent must exist', async () => {
  await createAccount(pool, { ...fields, code: 'a' }, null, BY);
  await assert.rejects(createAccount(pool, { ...fields, code: 'a' }, null, BY), /"a" already/);
  await assert.rejects(
    createAccount(pool, { ...fields, code: 'b' }, 'nobody', BY),
    /no account has the code "nobody"/,
  );
  const b = await createAccount(pool, { ...fields, code: 'b' }, 'a', BY);
  assert.equal(b.parent, 'a');
});

test('a code is neither blank nor longer than a record may name it', async () => {
  for (const code of ['', ' ', 'x'.repeat(201)]) {
    await assert.rejects(createAccount(pool, { ...fields, code }, null, BY), /1 to 200/);
  }
  assert.equal((await createAccount(pool, { ...fields, code: 'x'.repeat(200) }, null, BY)).code.length, 200);
});

test('codes that differ in case alone are told of', async () => {
  for (const code of ['Case', 'CASE', 'cases']) await createAccount(pool, { ...fields, code }, null, BY);
  const alike = await withSession(pool, (session) => codesAlike(session, 'Case'));
  assert.deepEqual(alike, ['CASE']);
});

test('an account cannot come to stand below itself', async () => {
  await createAccount(pool, { ...fields, code: 'c' }, 'b', BY);
  await assert.rejects(changeAccount(pool, 'a', { parent: 'c' }, BY), /stands below it/);
  await assert.rejects(changeAccount(pool, 'a', { parent: 'a' }, BY), /stands below it/);
  assert.equal((await changeAccount(pool, 'c', { parent: null }, BY)).parent, null);
});

test('another time zone sums the days anew; what is not named stays', async () => {
  const { i_account: id } = await createAccount(pool, { ...fields, code: 'z', country: 'DE' }, 'a', BY);
  await pool.query(
    `INSERT INTO calls.usage_quarters
     SELECT $1, q, 'outbound', '', 'EUR', 1, 1, 1, 0, 60, 60, NULL
     FROM unnest('{2026-03-01 17:00Z, 2026-03-01 18:30Z}'::timestamptz[]) q`,
    [id],
  );
  const changed = await changeAccount(pool, 'z', { timeZone: 'Asia/Kathmandu' }, BY);
  assert.deepEqual([changed.country, changed.parent, changed.name], ['DE', 'a', 'A']);
  const days = await pool.query(
    'SELECT day, calls, cost FROM calls.usage_days WHERE i_account = $1 ORDER BY 1',
    [id],
  );
  assert.deepEqual(days.rows, [
    { day: '2026-03-01', calls: 1, cost: null },
    { day: '2026-03-02', calls: 1, cost: null },
  ]);
});

test('the audit trail has who made an account and who changed what of it, without its name; what changes nothing is not noted', async () => {
  const { i_account: iTop } = await createAccount(pool, { ...fields, code: 'noted' }, null, BY);
  const made = await createAccount(pool, { ...fields, code: 'noted below', country: 'DE' }, 'noted', BY);
  const subject = `account ${made.i_account}`;
  await changeAccount(pool, made.code, { name: 'Jane', timeZone: 'Europe/Berlin', currency: 'EUR' }, BY);
  await changeAccount(pool, made.code, { country: null, parent: null }, BY);
  await changeAccount(pool, made.code, { name: 'Jane', country: null, parent: null }, BY);
  await assert.rejects(changeAccount(pool, made.code, { parent: 'nobody' }, BY));
  const noted = await withSession(pool, (session) => session.rows(listAudit({ subject }, 10)));
  assert.deepEqual(
    noted.map(({ by_id, action, detail }) => ({ by_id, action, detail })),
    [
      { by_id: BY.id, action: 'accounts.set', detail: { country: null, i_parent: null } },
      { by_id: BY.id, action: 'accounts.set', detail: { time_zone: 'Europe/Berlin', name: 'changed' } },
      {
        by_id: BY.id,
        action: 'accounts.create',
        detail: { currency: 'EUR', time_zone: 'UTC', country: 'DE', i_parent: iTop },
      },
    ],
  );
});
