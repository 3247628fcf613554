/** Keys, tokens and rate limits, as a client meets them. */

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { exportJWK, exportSPKI, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose';
import { KEY_CACHE_MS } from '#platform/access/authenticator.ts';
import { readCredentials } from '#platform/access/credentials.ts';
import { isKeyForm, keyOf } from '#platform/access/key.ts';
import { FAILURES_PER_MINUTE } from '#platform/access/protected_routes.ts';
import { type Clock, systemClock } from '#platform/lifecycle/clock.ts';
import { createLogger } from '#platform/telemetry/logger.ts';
import { createFirstKey, createKey, listKeys, revokeKey } from '#services/identity/keys.ts';
import { keyPlaces } from '#system';
import { testApi } from '#tests/calls_api.ts';
import { THE_PROGRAM } from '../store/audit.ts';

/** The system's clock, which a test may set forward. */
let aheadMs = 0;
const clock: Clock = {
  ...systemClock,
  now: () => systemClock.now() + aheadMs,
  monotonic: () => systemClock.monotonic() + aheadMs,
};

const provider = await generateKeyPair('RS256', { extractable: true });
const jwks = { keys: [{ ...(await exportJWK(provider.publicKey)), kid: 'one', alg: 'RS256', use: 'sig' }] };
const jwksServer = createServer((_request, response) => {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(jwks));
});
await new Promise<void>((listening) => jwksServer.listen(0, '127.0.0.1', listening));
after(() => jwksServer.close());
const jwksUrl = `http://127.0.0.1:${(jwksServer.address() as AddressInfo).port}/jwks`;
const ISSUER = 'https://id.example.com';
const AUDIENCE = 'trunkline';
const TOKENS = { jwksUrl, jwtIssuer: ISSUER, jwtAudience: AUDIENCE };

const api = await testApi(TOKENS, { clock });
const { pool } = api.database;
const places = keyPlaces(pool);
const iAcme = await api.account('acme');
const iOther = await api.account('other');

const statusWith = async (authorization: string | undefined, path = `/cdrs?i_account=${iAcme}`) =>
  (await api.send('GET', path, authorization === undefined ? {} : { authorization })).status;

test('a key is random, recognisable, and not in the database', async () => {
  const created = await createKey(
    keyPlaces(pool),
    { name: 'one', scope: 'operator', iAccount: null, expiresAt: null },
    THE_PROGRAM,
  );
  assert.ok(isKeyForm(created.key));
  assert.match(created.key, /^tl_[0-9A-Za-z]{43}$/);
  assert.ok(created.key.startsWith(created.prefix) && created.prefix.length === 8);
  const rows = await pool.query("SELECT k.*, encode(hash, 'escape') AS text FROM identity.api_keys k");
  assert.ok(!JSON.stringify(rows.rows).includes(created.key.slice(9)));
  assert.equal(keyOf(Buffer.alloc(32)), `tl_${'0'.repeat(43)}`);
  assert.ok(isKeyForm(keyOf(Buffer.alloc(32, 0xff))));
  assert.equal(await statusWith(`Bearer ${created.key}`), 200);
  assert.ok((await listKeys(places)).every((key) => !('hash' in key)));
});

test('no key, a wrong one and one in another place are refused', async () => {
  const key = await api.key('operator');
  for (const authorization of [
    undefined,
    '',
    'Bearer',
    `Bearer ${key}x`,
    key,
    `Token ${key}`,
    'Bearer a.b.c',
  ]) {
    assert.equal(await statusWith(authorization), 401, authorization);
  }
  const basic = Buffer.from(`switch:${key}`).toString('base64');
  assert.equal(await statusWith(`Basic ${basic}`), 401, 'Basic is for POST /cdrs alone');
  assert.equal(await statusWith(`bearer ${key}`), 200, 'the scheme has no case');
  assert.deepEqual(readCredentials(`Basic ${basic}`, true), { kind: 'key', key });
  const { headers, body } = await api.get('/cdrs', null);
  assert.equal(headers.get('www-authenticate'), 'Bearer');
  assert.match(body.error, /A key is needed/);
});

test('a key ends when it expires', async () => {
  const expiresAt = new Date(clock.now() + 60_000).toISOString();
  const { key } = await createKey(
    keyPlaces(pool),
    { name: 'short', scope: 'operator', iAccount: null, expiresAt },
    THE_PROGRAM,
  );
  assert.equal(await statusWith(`Bearer ${key}`), 200);
  aheadMs += 60_001;
  assert.equal(await statusWith(`Bearer ${key}`), 401);
});

test('a key that is revoked ends within KEY_CACHE_MS', async () => {
  const { key, i_key } = await createKey(
    keyPlaces(pool),
    {
      name: 'lost',
      scope: 'operator',
      iAccount: null,
      expiresAt: null,
    },
    THE_PROGRAM,
  );
  assert.equal(await statusWith(`Bearer ${key}`), 200);
  const revoked = await revokeKey(places, i_key, THE_PROGRAM);
  assert.ok(revoked?.revoked_at);
  aheadMs += KEY_CACHE_MS;
  assert.equal(await statusWith(`Bearer ${key}`), 401);
  assert.equal((await revokeKey(places, i_key, THE_PROGRAM))?.revoked_at, revoked.revoked_at);
  assert.equal(await revokeKey(places, 999_999, THE_PROGRAM), undefined);
});

test('the first key is made once, whoever starts at the same time', async () => {
  await pool.query('DELETE FROM identity.api_keys');
  const made = await Promise.all(Array.from({ length: 5 }, () => createFirstKey(places)));
  const keys = made.filter((key) => key !== undefined);
  assert.equal(keys.length, 1);
  assert.equal(await statusWith(`Bearer ${keys[0]}`), 200);
});

interface Claims {
  readonly [name: string]: unknown;
}

function sign(claims: Claims, options: { expiresIn?: number; issuer?: string; audience?: string } = {}) {
  return new SignJWT({ sub: 'alice', ...claims })
    .setProtectedHeader({ alg: 'RS256', kid: 'one' })
    .setIssuer(options.issuer ?? ISSUER)
    .setAudience(options.audience ?? AUDIENCE)
    .setExpirationTime(Math.floor(clock.now() / 1000) + (options.expiresIn ?? 300))
    .sign(provider.privateKey);
}

test('a token of the identity provider is a bearer with the same rights as a key', async () => {
  const customer = `Bearer ${await sign({ scope: 'openid customer', i_account: iAcme })}`;
  assert.equal(await statusWith(customer), 200);
  assert.equal(await statusWith(customer, `/cdrs?i_account=${iOther}`), 404);
  assert.equal(
    await statusWith(`Bearer ${await sign({ scope: 'operator' })}`, `/cdrs?i_account=${iOther}`),
    200,
  );
  assert.equal(await statusWith(`Bearer ${await sign({ scope: 'ingest' })}`), 403);
});

test("a token's subject is masked in the log, since it may be somebody's number or address", async () => {
  const lines: string[] = [];
  const logger = createLogger('calls', 'info', { write: (line: string) => void lines.push(line) });
  const logging = await testApi(TOKENS, { clock, database: api.database, logger });
  for (const sub of ['+49 30 23125001', 'alice@example.com', 'auth0|493023125001']) {
    const authorization = `Bearer ${await sign({ sub, scope: 'operator' })}`;
    assert.equal((await logging.send('GET', `/cdrs?i_account=${iAcme}`, { authorization })).status, 200);
  }
  await logging.stop();
  const callers = lines.map((line) => JSON.parse(line).caller).filter((caller) => caller !== undefined);
  assert.deepEqual(callers, ['jwt:+49 …**01', 'jwt:alic….com', 'jwt:auth…**01']);
});

test('a token that is not for us, not in force, or not signed by the provider is refused', async () => {
  const stranger = await generateKeyPair('RS256');
  const payload = {
    sub: 'alice',
    scope: 'operator',
    iss: ISSUER,
    aud: AUDIENCE,
    exp: Math.floor(clock.now() / 1000) + 300,
  };
  const publicKey = new TextEncoder().encode(await exportSPKI(provider.publicKey));
  const bare = new SignJWT({ sub: 'alice', scope: 'operator' }).setProtectedHeader({
    alg: 'RS256',
    kid: 'one',
  });
  const tokens = {
    'another issuer': await sign({ scope: 'operator' }, { issuer: 'https://evil.example' }),
    'another audience': await sign({ scope: 'operator' }, { audience: 'other' }),
    expired: await sign({ scope: 'operator' }, { expiresIn: -60 }),
    'no expiry': await bare.setIssuer(ISSUER).setAudience(AUDIENCE).sign(provider.privateKey),
    'no scope': await sign({}),
    'two scopes': await sign({ scope: 'customer operator', i_account: iAcme }),
    'scope that is no text': await sign({ scope: ['operator'] }),
    'customer without account': await sign({ scope: 'customer' }),
    'account that is no number': await sign({ scope: 'customer', i_account: '1' }),
    'another key': await new SignJWT(payload)
      .setProtectedHeader({ alg: 'RS256', kid: 'one' })
      .sign(stranger.privateKey),
    'unknown key': await new SignJWT(payload)
      .setProtectedHeader({ alg: 'RS256', kid: 'two' })
      .sign(stranger.privateKey),
    'the public key as a password': await new SignJWT(payload)
      .setProtectedHeader({ alg: 'HS256', kid: 'one' })
      .sign(publicKey),
    'no signature': new UnsecuredJWT(payload).encode(),
    'no token': 'a.b.c',
  };
  for (const [what, token] of Object.entries(tokens)) {
    assert.equal(await statusWith(`Bearer ${token}`), 401, what);
  }
});

test('a provider that does not answer is no fault of the token', async () => {
  const gone = createServer();
  await new Promise<void>((listening) => gone.listen(0, '127.0.0.1', listening));
  const url = `http://127.0.0.1:${(gone.address() as AddressInfo).port}/jwks`;
  await new Promise((closed) => gone.close(closed));
  const alone = await testApi({ ...TOKENS, jwksUrl: url }, { clock, database: api.database });
  const answer = await alone.send('GET', '/cdrs', {
    authorization: `Bearer ${await sign({ scope: 'operator' })}`,
  });
  assert.equal(answer.status, 503);
  assert.ok(Number(answer.headers.get('retry-after')) > 0);
});

test('without the issuer and the audience tokens are not taken at all', async () => {
  await assert.rejects(
    testApi({ ...TOKENS, jwtIssuer: undefined }, { database: api.database }),
    /JWKS_URL needs JWT_ISSUER and JWT_AUDIENCE/,
  );
});

test('a key that asks too often waits, the others do not', async () => {
  const limited = await testApi({ rateLimitPerMinute: 3 }, { database: api.database });
  const [one, two] = [await api.key('operator'), await api.key('operator')];
  const ask = (key: string) => limited.get(`/cdrs?i_account=${iAcme}`, key);
  for (let i = 0; i < 3; i++) assert.equal((await ask(one)).status, 200);
  const refused = await ask(one);
  assert.equal(refused.status, 429);
  assert.deepEqual([refused.body.success, refused.body.code], [false, 'rate_limited']);
  assert.match(refused.body.error, /3 a minute/);
  const wait = Number(refused.headers.get('retry-after'));
  assert.ok(wait > 0 && wait <= 60, String(wait));
  assert.equal(
    (await limited.get(`/consumption?i_account=${iAcme}`, one)).status,
    429,
    'all routes count together',
  );
  assert.equal((await ask(two)).status, 200);
  assert.equal((await limited.get('/health', null)).status, 200);
});

test('an address that guesses keys is told to wait, and valid keys from it go through', async () => {
  const guessed = await testApi({}, { database: api.database });
  const key = await api.key('operator');
  const guess = () => guessed.get('/cdrs', keyOf(Buffer.from(crypto.getRandomValues(new Uint8Array(32)))));
  for (let i = 0; i < FAILURES_PER_MINUTE; i++) assert.equal((await guess()).status, 401);
  const refused = await guess();
  assert.deepEqual([refused.status, refused.body.code], [429, 'too_many_failures']);
  assert.ok(Number(refused.headers.get('retry-after')) > 0);
  assert.equal((await guessed.get(`/cdrs?i_account=${iAcme}`, key)).status, 200);
});

test('failures behind a trusted proxy count for the client that it names; nobody else is believed', async () => {
  const behind = await testApi(
    { trustedProxies: [{ address: '127.0.0.1', prefix: 32 }] },
    { database: api.database },
  );
  const guess = (server: typeof behind, client: string) =>
    server.get('/cdrs', 'tl_none', { 'x-forwarded-for': client });
  for (let i = 0; i < FAILURES_PER_MINUTE; i++) {
    assert.equal((await guess(behind, `198.51.100.${i}, 203.0.113.7`)).status, 401);
    assert.equal((await guess(behind, `2001:db8:1:2::${i}`)).status, 401);
  }
  for (const client of ['203.0.113.7', '203.0.113.7:4711', '2001:db8:1:2:ffff::1'])
    assert.equal((await guess(behind, client)).status, 429, client);
  for (const client of ['203.0.113.8', '2001:db8:1:3::1', 'unknown'])
    assert.equal((await guess(behind, client)).status, 401, client);
  const open = await testApi({}, { database: api.database });
  for (let i = 0; i < FAILURES_PER_MINUTE; i++) await guess(open, `198.51.100.${i}`);
  assert.equal((await guess(open, '203.0.113.8')).status, 429);
});
