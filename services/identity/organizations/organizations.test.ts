/** Organizations and invitations: by the commands, and by the routes that accept them, on a real PostgreSQL. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCommand } from '#tests/command.ts';
import { testIdentity } from '#tests/identity_api.ts';

const identity = await testIdentity();
const { pool, url } = identity.database;
const PASSWORD = 'a long sentence of mine';

await pool.query(
  "INSERT INTO calls.accounts (code, name, currency, time_zone, country) SELECT code, code, 'EUR', 'UTC', 'DE' FROM unnest(ARRAY['acme', 'bolt']) AS code",
);

async function run(...words: string[]) {
  const { code, out, err } = await runCommand(words, { DATABASE_URL: url });
  return { code, out, err };
}
async function json(...words: string[]) {
  const { code, out, err } = await run(...words, '--json');
  assert.equal(code, 0, err);
  return JSON.parse(out);
}
const invite = async (email: string, ...options: string[]): Promise<string> =>
  (await json('invite', email, ...options)).code;
const join = (code: string, name = 'Tom Berg', password = PASSWORD) =>
  identity.browser().ask('POST', '/auth/invitations/join', { code, name, password });
async function signedIn(email: string, password = PASSWORD) {
  const browser = identity.browser();
  assert.equal((await browser.signIn(email, password)).status, 200);
  return browser;
}

await json('orgs', 'create', 'acme', '--name', 'Acme Ltd');

test('an account has at most one organization, and an organization needs an account', async () => {
  assert.match((await run('orgs', 'create', 'acme')).err, /has an organization already/);
  assert.equal((await run('orgs', 'create', 'nobody')).code, 1);
  const [acme, ...others] = await json('orgs', 'list');
  assert.deepEqual(others, []);
  assert.equal(acme.name, 'Acme Ltd');
  assert.equal(acme.account, 'acme');
});

test('a new person accepts an invitation once, signs in, and sees the organization and the role', async () => {
  const code = await invite('tom@example.com', '--role', 'technician', '--account', 'acme');
  const said = await Promise.all([0, 1, 2].map(() => join(code)));
  const statuses = said.map(({ status }) => status).toSorted();
  assert.equal(statuses.filter((status) => status === 200).length, 1, String(statuses));
  assert.equal((await join(code)).body.code, 'invitation_void');
  const browser = await signedIn('tom@example.com');
  const { data } = (await browser.ask('GET', '/auth/organizations')).body;
  assert.deepEqual(
    data.map(({ name, role }: { name: string; role: string }) => [name, role]),
    [['Acme Ltd', 'technician']],
  );
  assert.equal(
    (await browser.ask('GET', '/auth/session')).body.data.role,
    null,
    'a customer is none of the provider',
  );
  const { rows } = await pool.query(
    "SELECT count(*)::int AS n FROM identity.users WHERE email = 'tom@example.com'",
  );
  assert.equal(rows[0].n, 1);
});

test('an invitation for a person who is there is accepted by that person alone, signed in', async () => {
  await json('orgs', 'create', 'bolt');
  await join(await invite('ida@example.com', '--role', 'owner', '--account', 'acme'), 'Ida');
  await join(await invite('eve@example.com', '--role', 'reader', '--account', 'acme'), 'Eve');
  const code = await invite('ida@example.com', '--role', 'billing', '--account', 'bolt');
  // Whoever has the code alone must not get at her account.
  assert.equal((await join(code, 'Not Ida', 'another sentence of mine')).body.code, 'sign_in_first');
  const eve = await signedIn('eve@example.com');
  const taken = await eve.ask('POST', '/auth/invitations/accept', { code });
  assert.equal(taken.body.code, 'invitation_of_another');
  assert.equal((await identity.browser().ask('POST', '/auth/invitations/accept', { code })).status, 401);
  const ida = await signedIn('ida@example.com');
  assert.equal((await ida.ask('POST', '/auth/invitations/accept', { code })).status, 200);
  const { data } = (await ida.ask('GET', '/auth/organizations')).body;
  assert.deepEqual(
    data.map(({ name, role }: { name: string; role: string }) => [name, role]),
    [
      ['Acme Ltd', 'owner'],
      ['bolt', 'billing'],
    ],
  );
  assert.deepEqual((await eve.ask('GET', '/auth/organizations')).body.data.length, 1);
  assert.equal((await ida.ask('POST', '/auth/invitations/accept', { code })).status, 404, 'it is good once');
});

test('an invitation ends with its time, and with a newer one', async () => {
  const old = await invite('late@example.com', '--role', 'reader', '--account', 'acme');
  const newer = await invite('late@example.com', '--role', 'billing', '--account', 'acme');
  assert.equal((await join(old)).body.code, 'invitation_void');
  await pool.query("UPDATE identity.invitations SET expires_at = now() WHERE email = 'late@example.com'");
  assert.equal((await join(newer)).body.code, 'invitation_void');
});

test('support is invited to no organization, and a role of an organization needs one', async () => {
  assert.equal((await run('invite', 'sue@example.com', '--role', 'support', '--account', 'acme')).code, 1);
  assert.equal((await run('invite', 'sue@example.com', '--role', 'reader')).code, 1);
  assert.equal((await join(await invite('sue@example.com', '--role', 'support'), 'Sue')).status, 200);
  const sue = await signedIn('sue@example.com');
  assert.equal((await sue.ask('GET', '/auth/session')).body.data.role, 'support');
});

test('a weak password leaves the invitation open, and the code stands nowhere in the database', async () => {
  const code = await invite('weak@example.com', '--role', 'reader', '--account', 'acme');
  assert.equal((await join(code, 'Weak', 'password1234')).body.code, 'weak_password');
  const { rows } = await pool.query(
    'SELECT i::text AS row FROM identity.invitations i UNION ALL SELECT a::text FROM identity.audit a',
  );
  assert.ok(rows.every(({ row }) => !row.includes(code)));
  assert.equal((await join(code, 'Weak')).status, 200);
});

test('codes are not guessed without end', async () => {
  const statuses = [];
  for (let i = 0; i < 60 && statuses.at(-1) !== 429; i++) statuses.push((await join(`guess${i}`)).status);
  assert.equal(statuses.at(-1), 429);
  assert.ok(statuses.length > 40);
});

test('an operator is made once, and let in anew by --reset, which ends all that was before', async () => {
  await pool.query('DELETE FROM identity.sign_in_tries');
  const { password } = await json('users', 'operator', 'Root@Example.com', '--name', 'Root');
  const before = await signedIn('root@example.com', password);
  assert.match((await run('users', 'operator', 'root@example.com')).err, /--reset/);
  assert.match((await run('users', 'operator', 'none@example.com', '--reset')).err, /nobody/);
  const anew = await json('users', 'operator', 'root@example.com', '--reset');
  assert.equal((await before.ask('GET', '/auth/session')).status, 401);
  assert.equal((await identity.browser().signIn('root@example.com', password)).status, 401);
  await signedIn('root@example.com', anew.password);
  const users = await json('users', 'list');
  const root = users.find(({ email }: { email: string }) => email === 'root@example.com');
  assert.equal(root.role, 'operator');
  const { rows } = await pool.query(
    "SELECT action FROM identity.audit WHERE action LIKE 'users.%' ORDER BY i_audit",
  );
  assert.deepEqual(
    rows.map(({ action }) => action),
    ['users.make_operator', 'users.reset_operator'],
  );
});
