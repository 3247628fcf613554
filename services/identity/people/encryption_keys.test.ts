/** Restarts, several machines, new encryption keys, a PostgreSQL that is away, a PUBLIC_URL with and without TLS. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ownFolder, testIdentity, totp } from '#tests/identity_api.ts';
import { testDatabase } from '#tests/postgres.ts';

const newKey = () => randomBytes(32).toString('base64');

test('a restart signs nobody out; the file of keys is for its user alone', async () => {
  const folder = ownFolder();
  const database = await testDatabase();
  const before = await testIdentity({}, { database, folder });
  const { password } = await before.operator('restart@example.com');
  const browser = before.browser();
  await browser.signIn('restart@example.com', password);
  await before.stop();
  assert.equal(statSync(join(folder, 'encryption_keys')).mode & 0o777, 0o600);
  const after = await testIdentity({}, { database, folder });
  const same = after.browser();
  for (const [name, value] of browser.cookies) same.cookies.set(name, value);
  assert.equal((await same.ask('GET', '/auth/session')).status, 200);
});

test('a machine with another key says so, instead of making secrets that the others can not read', async () => {
  const database = await testDatabase();
  const one = await testIdentity({ encryptionKeys: [newKey()] }, { database });
  assert.equal((await one.browser().ask('GET', '/auth/session')).status, 401);
  const other = await testIdentity({ encryptionKeys: [newKey()] }, { database });
  const { status, body } = await other.browser().ask('GET', '/auth/session');
  assert.equal(status, 503);
  assert.equal(body.code, 'other_encryption_key');
});

test('a new first key encrypts, the former one still decrypts', async () => {
  const database = await testDatabase();
  const [former, next] = [newKey(), newKey()];
  const before = await testIdentity({ encryptionKeys: [former] }, { database });
  const { password } = await before.operator('rotated@example.com');
  const browser = before.browser();
  await browser.signIn('rotated@example.com', password);
  const { uri } = (await browser.ask('POST', '/auth/totp', { password })).body.data;
  assert.equal((await browser.ask('POST', '/auth/totp/confirm', { code: totp(uri) })).status, 200);
  await before.stop();

  const after = await testIdentity({ encryptionKeys: [next, former] }, { database });
  const again = after.browser();
  assert.equal((await again.signIn('rotated@example.com', password)).body.data.second_factor_wanted, true);
  assert.equal((await again.ask('POST', '/auth/second-factor', { code: totp(uri, 1) })).status, 200);
});

test('over https cookies are for this host and https alone; over http on another host nobody signs in', async () => {
  const secure = await testIdentity({ publicUrl: 'https://console.example.com' });
  const { password } = await secure.operator('tls@example.com');
  const origin = { origin: 'https://console.example.com' };
  const signed = await secure.browser().signIn('tls@example.com', password, origin);
  assert.equal(signed.status, 200);
  for (const cookie of signed.headers.getSetCookie()) {
    assert.match(cookie, /^__Host-trunkline\./);
    assert.match(cookie, /; Secure/);
    assert.doesNotMatch(cookie, /Domain=/i);
  }
  const plain = await testIdentity({ publicUrl: 'http://console.example.com' });
  const refused = await plain
    .browser()
    .signIn('tls@example.com', password, { origin: 'http://console.example.com' });
  assert.equal(refused.body.code, 'tls_needed');
});
