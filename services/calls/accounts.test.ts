import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withSession } from '#platform/database/pool.ts';
import { testDatabase } from '#tests/postgres.ts';
import { changeAccount, codesAlike, createAccount } from './accounts.ts';

const { pool } = await testDatabase();
const fields = { name: 'A', currency: 'EUR', timeZone: 'UTC', country: null };

test('a code is taken once, and a parent must exist', async () => {
  await createAccount(pool, { ...fields, code: 'a' }, null);
  await assert.rejects(createAccount(pool, { ...fields, code: 'a' }, null), /"a" already/);
  await assert.rejects(
    createAccount(pool, { ...fields, code: 'b' }, 'nobody'),
    /no account has the code "nobody"/,
  );
  const b = await createAccount(pool, { ...fields, code: 'b' }, 'a');
  assert.equal(b.parent, 'a');
});

test('a code is neither blank nor longer than a record may name it', async () => {
  for (const code of ['', ' ', 'x'.repeat(201)]) {
    await assert.rejects(createAccount(pool, { ...fields, code }, null), /1 to 200/);
  }
  assert.equal((await createAccount(pool, { ...fields, code: 'x'.repeat(200) }, null)).code.length, 200);
});

test('codes that differ in case alone are told of', async () => {
  for (const code of ['Case', 'CASE', 'cases']) await createAccount(pool, { ...fields, code }, null);
  const alike = await withSession(pool, (session) => codesAlike(session, 'Case'));
  assert.deepEqual(alike, ['CASE']);
});

test('an account cannot come to stand below itself', async () => {
  await createAccount(pool, { ...fields, code: 'c' }, 'b');
  await assert.rejects(changeAccount(pool, 'a', { parent: 'c' }), /stands below it/);
  await assert.rejects(changeAccount(pool, 'a', { parent: 'a' }), /stands below it/);
  assert.equal((await changeAccount(pool, 'c', { parent: null })).parent, null);
});

test('another time zone sums the days anew; what is not named stays', async () => {
  const { i_account: id } = await createAccount(pool, { ...fields, code: 'z', country: 'DE' }, 'a');
  await pool.query(
    `INSERT INTO calls.usage_quarters
     SELECT $1, q, 'outbound', '', 'EUR', 1, 1, 1, 0, 60, 60, NULL
     FROM unnest('{2026-03-01 17:00Z, 2026-03-01 18:30Z}'::timestamptz[]) q`,
    [id],
  );
  const changed = await changeAccount(pool, 'z', { timeZone: 'Asia/Kathmandu' });
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
