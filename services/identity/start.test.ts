/** An installation that only has keys does not load Better Auth: it takes memory, and time at the start. */
import assert from 'node:assert/strict';
import { registerHooks } from 'node:module';
import { test } from 'node:test';

const loaded: string[] = [];
registerHooks({
  resolve(specifier, context, next) {
    if (/^(?:better-auth|@node-rs\/argon2|@zxcvbn-ts)/.test(specifier)) loaded.push(specifier);
    return next(specifier, context);
  },
});

test('Better Auth, argon2 and the list of breached passwords are loaded when somebody first needs them', async () => {
  const { testIdentity } = await import('#tests/identity_api.ts');
  const identity = await testIdentity();
  assert.equal(String(loaded), '');
  await identity.browser().ask('GET', '/auth/session');
  assert.ok(loaded.includes('better-auth'), String(loaded));
  assert.ok(!loaded.some((name) => name.startsWith('@')), String(loaded));
});
