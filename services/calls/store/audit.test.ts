/** The audit trail holds what was done, with it or not at all, and loses nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withSession, withTransaction } from '#platform/database/pool.ts';
import { createFirstKey, createKey, revokeKey } from '#services/identity/keys.ts';
import { listAudit as listKeyAudit } from '#services/identity/store.ts';
import { keyPlaces } from '#system';
import { testDatabase } from '#tests/postgres.ts';
import { type Actor, type AuditFilter, listAudit, noteAudit, THE_PROGRAM } from './audit.ts';

const { pool } = await testDatabase();
const by: Actor = { id: 'terminal:anna', name: 'anna on db1' };
const list = (filter: AuditFilter = {}, limit = 100) =>
  withSession(pool, (session) => session.rows(listAudit(filter, limit)));
const listOfKeys = (filter: AuditFilter = {}, limit = 100) =>
  withSession(pool, (session) => session.rows(listKeyAudit(filter, limit)));

test('keys that are made and revoked are noted, by whom, and never with the key itself', async () => {
  const first = await createFirstKey(keyPlaces(pool));
  const wanted = { name: 'switch 1', scope: 'ingest', iAccount: null, expiresAt: null } as const;
  const { key, i_key: iKey } = await createKey(keyPlaces(pool), wanted, by);
  await revokeKey(keyPlaces(pool), iKey, by);
  await revokeKey(keyPlaces(pool), 999_999, by);
  const rows = await listOfKeys();
  assert.deepEqual(
    rows.map((row) => [row.by_id, row.by_name, row.action, row.subject]),
    [
      [by.id, by.name, 'keys.revoke', `key ${iKey}`],
      [by.id, by.name, 'keys.create', `key ${iKey}`],
      [THE_PROGRAM.id, THE_PROGRAM.name, 'keys.create', 'key 1'],
    ],
  );
  assert.equal(rows[1]!.detail.scope, 'ingest');
  assert.ok(Math.abs(Date.parse(rows[0]!.at) - Date.now()) < 600_000);
  for (const secret of [first!, key]) assert.ok(!JSON.stringify(rows).includes(secret));
  assert.equal((await listOfKeys({ action: 'keys.revoke' })).length, 1);
  assert.equal((await listOfKeys({ subject: 'key 1' })).length, 1);
  assert.equal((await listOfKeys({}, 1))[0]!.action, 'keys.revoke');
});

test('a change that fails leaves no entry', async () => {
  const before = (await list()).length;
  const failing = withTransaction(pool, async (session) => {
    await session.run(
      noteAudit(by, { action: 'x', subject: 'y', before: { calls: 1 }, after: { calls: 0 } }),
    );
    throw new Error('the change failed');
  });
  await assert.rejects(failing, /the change failed/);
  assert.equal((await list()).length, before);
});

test('no entry is changed or taken away', async () => {
  await withSession(pool, (session) => session.run(noteAudit(by, { action: 'x', subject: 'y' })));
  const before = [await list(), await listOfKeys()];
  for (const statement of ['calls', 'identity'].flatMap((schema) => [
    `UPDATE ${schema}.audit SET by_name = 'somebody else'`,
    `DELETE FROM ${schema}.audit`,
    `TRUNCATE ${schema}.audit`,
    `INSERT INTO ${schema}.audit (i_audit, by_id, by_name, action, subject, detail) OVERRIDING SYSTEM VALUE
     SELECT max(i_audit), 'a', 'b', 'c', 'd', '{}' FROM ${schema}.audit ON CONFLICT (i_audit) DO UPDATE SET by_name = 'somebody else'`,
  ]))
    await assert.rejects(pool.query(statement), /(calls|identity)\.audit is only added to/, statement);
  assert.deepEqual([await list(), await listOfKeys()], before);
});
