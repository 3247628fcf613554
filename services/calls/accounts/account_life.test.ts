/** Accounts are renamed, closed and opened again; whoever asks, posts or imports sees the same of it. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withSession } from '#platform/database/pool.ts';
import { createKey } from '#services/identity/keys.ts';
import { keyPlaces } from '#system';
import { callRow, testImportSource } from '#tests/calls.ts';
import { testApi } from '#tests/calls_api.ts';
import { findVisibleAccounts } from '../api/lists/account_access.ts';
import { takeIn } from '../intake/intake.ts';
import { listAudit } from '../store/audit.ts';
import { visibleCall } from '../store/calls.ts';
import { closeAccount, renameAccount, reopenAccount } from './account_life.ts';
import { accountWithCode, createAccount } from './accounts.ts';

const api = await testApi();
const { pool } = api.database;
const importSource = await testImportSource(pool);
const BY = { id: 'terminal:test', name: 'test' };
const NEW = { name: 'x', currency: 'EUR', timeZone: 'Europe/Berlin', country: null };

const take = (accountCode: string, startTime: string, callId: string) =>
  takeIn(pool, importSource, [callRow({ accountCode, startTime: Date.parse(startTime), callId })]);
const account = (code: string) => withSession(pool, (session) => accountWithCode(session, code));
const flagsOf = async (callId: string) =>
  (await pool.query('SELECT flags FROM calls.cdrs WHERE call_id = $1', [callId])).rows[0].flags ?? [];

test('rows that name an account by a code that it had are its rows, and the same call is known again', async () => {
  const { i_account: id } = await createAccount(pool, { ...NEW, code: 'old' }, null, BY);
  await take('old', '2026-10-05T10:00:00Z', 'renamed-1');
  const { account: renamed, before } = await renameAccount(pool, 'old', 'new', BY);
  assert.deepEqual(
    [renamed.i_account, renamed.code, renamed.former_codes, before],
    [id, 'new', ['old'], 'old'],
  );
  const [again] = await take('old', '2026-10-05T10:00:00Z', 'renamed-1');
  assert.equal(again!.kind, 'duplicate');
  for (const [code, callId] of [
    ['old', 'renamed-2'],
    ['new', 'renamed-3'],
    [' old', 'renamed-4'],
  ] as const)
    await take(code, '2026-10-05T11:00:00Z', callId);
  const { rows } = await pool.query('SELECT count(*) FROM calls.cdrs WHERE i_account = $1', [id]);
  assert.equal(rows[0].count, 4);
  await assert.rejects(account('old'), /the account "old" is called "new" by now/);
});

test('a code that another account has can not be given; one that it had before is given back or taken over', async () => {
  await createAccount(pool, { ...NEW, code: 'a' }, null, BY);
  await createAccount(pool, { ...NEW, code: 'b' }, null, BY);
  await assert.rejects(renameAccount(pool, 'a', 'b', BY), /there is an account with the code "b" already/);
  await assert.rejects(renameAccount(pool, 'a', ' ', BY), /1 to 200/);
  await assert.rejects(renameAccount(pool, 'nobody', 'c', BY), /no account has the code "nobody"/);
  await renameAccount(pool, 'a', 'c', BY);
  assert.deepEqual((await renameAccount(pool, 'c', 'a', BY)).account.former_codes, ['c']);
  assert.deepEqual((await renameAccount(pool, 'a', 'a', BY)).account.former_codes, ['c']);
  assert.deepEqual((await renameAccount(pool, 'b', 'c', BY)).account.former_codes, ['b']);
  assert.deepEqual((await account('a')).former_codes, []);
  await createAccount(pool, { ...NEW, code: 'b' }, null, BY);
  assert.deepEqual((await account('c')).former_codes, []);
  const noted = await withSession(pool, (session) =>
    session.rows(listAudit({ action: 'accounts.rename' }, 10)),
  );
  assert.deepEqual(noted[0]!.subject, `account ${(await account('c')).i_account}`);
  assert.equal(noted.length, 4);
});

test('keys of a closed account are refused and no new ones are made; operators and its customer go on reading', async () => {
  const iParent = await api.account('holding');
  const iAccount = await api.account('closing', { parent: iParent });
  await take('closing', '2026-10-05T10:00:00Z', 'closing-1');
  const [own, above, operator] = [
    await api.key('customer', iAccount),
    await api.key('customer', iParent),
    await api.key('operator'),
  ];
  const path = `/cdrs?i_account=${iAccount}`;
  assert.equal((await api.get(path, own)).status, 200);
  await closeAccount(pool, 'closing', undefined, BY);
  const fresh = await testApi({}, { database: api.database });
  const refused = await fresh.get(path, own);
  assert.equal(refused.status, 401);
  assert.equal(refused.body.code, 'unauthorized');
  for (const key of [above, operator]) assert.equal((await fresh.get(path, key)).body.data.length, 1);
  await assert.rejects(
    createKey(keyPlaces(pool), { name: 'x', scope: 'customer', iAccount, expiresAt: null }, BY),
    /its account is closed/,
  );
  // A token of an identity provider, which knows of no closing.
  const token = { id: 'jwt:x', name: 'jwt:x', scope: 'customer', account: iAccount } as const;
  const seen = () =>
    withSession(pool, (session) => findVisibleAccounts(session, { iAccount, children: false }, token));
  await assert.rejects(seen, /There is no account/);
  const iCdr = (await fresh.get(path, operator)).body.data[0].i_cdr;
  const call = () =>
    withSession(pool, (session) => session.row(visibleCall(iCdr, '2026-10-01', '2026-11-01', iAccount)));
  assert.equal(await call(), undefined);
  await reopenAccount(pool, 'closing', BY);
  assert.equal((await call())?.i_cdr, iCdr);
  assert.ok(await seen());
  const reopened = await testApi({}, { database: api.database });
  assert.equal((await reopened.get(path, own)).status, 200);
});

test('calls that start when an account is closed are kept, counted and flagged; those from before are not flagged', async () => {
  await createAccount(pool, { ...NEW, code: 'late' }, null, BY);
  await take('late', '2026-11-01T12:00:00Z', 'late-0');
  const { account: closed, calls } = await closeAccount(pool, 'late', '2026-11-01', BY);
  assert.deepEqual([closed.closed_from, calls], ['2026-10-31T23:00:00Z', 1]);
  await take('late', '2026-10-31T22:59:59Z', 'late-1');
  await take('late', '2026-10-31T23:00:00Z', 'late-2');
  assert.deepEqual([await flagsOf('late-1'), await flagsOf('late-2')], [[], ['account_closed']]);
  assert.equal((await closeAccount(pool, 'late', '2026-10-31T23:00:00Z', BY)).calls, 2);
  await assert.rejects(closeAccount(pool, 'late', '2026-13-01', BY), /names no day.*or a date such as/);
  await assert.rejects(closeAccount(pool, 'late', 'soon', BY), /must be an RFC 3339 instant/);
});
