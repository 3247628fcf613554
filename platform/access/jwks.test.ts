import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { exportJWK, generateKeyPair, jwtVerify, SignJWT } from 'jose';
import { createFakeClock } from '#platform/lifecycle/fake_clock.ts';
import { COOLDOWN_MS, KEPT_MS, remoteKeys } from './jwks.ts';

const DAY_MS = 86_400_000;
const pairs = await Promise.all([generateKeyPair('ES256'), generateKeyPair('ES256')]);
const keyOf = async (n: number) => ({
  ...(await exportJWK(pairs[n]!.publicKey)),
  kid: `k${n}`,
  alg: 'ES256',
});
let answer: () => Promise<string> = async () => '';
let asked = 0;
const server = createServer(async (_request, reply) => {
  asked++;
  reply.end(await answer());
});
await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
after(() => server.close());
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
const tokenOf = (n: number) =>
  new SignJWT({}).setProtectedHeader({ alg: 'ES256', kid: `k${n}` }).sign(pairs[n]!.privateKey);
const keysAre = (...numbers: number[]) => {
  answer = async () => JSON.stringify({ keys: await Promise.all(numbers.map(keyOf)) });
};

test('keys are cached for ten minutes, and fetched again for a new key, with any setting of the wall clock', async () => {
  for (const stepMs of [0, -10 * DAY_MS, 10 * DAY_MS]) {
    const clock = createFakeClock();
    const keys = remoteKeys(url, clock);
    keysAre(0);
    asked = 0;
    await Promise.all([jwtVerify(await tokenOf(0), keys), jwtVerify(await tokenOf(0), keys)]);
    assert.equal(asked, 1);
    clock.setWallClock(clock.now() + stepMs);
    keysAre(0, 1);
    await assert.rejects(jwtVerify(await tokenOf(1), keys), { code: 'ERR_JWKS_NO_MATCHING_KEY' });
    assert.equal(asked, 1, 'unknown keys cost nothing');
    await clock.advance(COOLDOWN_MS);
    await jwtVerify(await tokenOf(1), keys);
    assert.equal(asked, 2);
    await clock.advance(KEPT_MS - 1);
    await jwtVerify(await tokenOf(0), keys);
    assert.equal(asked, 2);
    await clock.advance(1);
    await jwtVerify(await tokenOf(0), keys);
    assert.equal(asked, 3);
  }
});

test('an endless answer and an answer without a key set are errors, and are not cached', async () => {
  const keys = remoteKeys(url, createFakeClock());
  answer = async () => 'x'.repeat(1_000_000);
  await assert.rejects(jwtVerify(await tokenOf(0), keys), /longer than/);
  answer = async () => '<html>';
  await assert.rejects(jwtVerify(await tokenOf(0), keys));
  keysAre(0);
  await jwtVerify(await tokenOf(0), keys);
});
