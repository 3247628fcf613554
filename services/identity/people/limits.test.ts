/** Guessing is limited per account and per address over all processes, and nobody is locked out by strangers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ownFolder, testIdentity } from '#tests/identity_api.ts';
import { TRY_LIMITS } from './tries.ts';

/** Behind a proxy, which the tests play: so each request may come from an address of its own. */
const folder = ownFolder();
const behindProxy = await testIdentity(
  { trustedProxies: [{ address: '127.0.0.1', prefix: 32 }] },
  { folder },
);
/** Another process on the same database, with no proxy in front. */
const direct = await testIdentity({}, { database: behindProxy.database, folder });
const { pool } = behindProxy.database;

const WRONG = 'wrong password, long enough';
const from = (address: string) => ({ 'x-forwarded-for': address });
/** The wait of the latest refusal is over. */
const waitIsOver = () => pool.query('UPDATE identity.sign_in_tries SET blocked_until = now()');
const guess = (email: string, address = '203.0.113.1', password = WRONG) =>
  behindProxy.browser().signIn(email, password, from(address));

test('five wrong passwords from one address, then a wait that doubles; known and unknown accounts alike', async () => {
  await behindProxy.operator('five@example.com');
  for (const [index, email] of ['five@example.com', 'nobody@example.com'].entries()) {
    const address = `203.0.113.${10 + index}`;
    for (let i = 0; i < TRY_LIMITS.accountAtAddress.free; i++)
      assert.equal((await guess(email, address)).status, 401);
    const waits = [];
    for (let i = 0; i < 3; i++) {
      const { status, body, headers } = await guess(email, address);
      assert.equal(status, 429);
      assert.equal(body.code, 'too_many_tries');
      waits.push(Number(headers.get('retry-after')));
      await waitIsOver();
      assert.equal((await guess(email, address)).status, 401);
    }
    assert.deepEqual(waits, [30, 60, 120]);
  }
});

test('of tries at once no more pass than are free', async () => {
  await behindProxy.operator('once@example.com');
  const said = await Promise.all(Array.from({ length: 20 }, () => guess('once@example.com', '203.0.113.20')));
  const passed = said.filter(({ status }) => status === 401).length;
  assert.equal(passed, TRY_LIMITS.accountAtAddress.free);
  assert.equal(said.filter(({ status }) => status === 429).length, said.length - passed);
});

test('the right password takes back the tries of its address, not those of others', async () => {
  const { password } = await behindProxy.operator('back@example.com');
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < TRY_LIMITS.accountAtAddress.free - 1; i++)
      assert.equal((await guess('back@example.com', '203.0.113.30')).status, 401);
    assert.equal((await guess('back@example.com', '203.0.113.30', password)).status, 200);
  }
  for (let i = 0; i < TRY_LIMITS.accountAtAddress.free; i++) await guess('back@example.com', '203.0.113.31');
  assert.equal((await guess('back@example.com', '203.0.113.30', password)).status, 200);
  assert.equal((await guess('back@example.com', '203.0.113.31')).status, 429);
});

test('X-Forwarded-For counts from a trusted proxy alone: a client that writes it itself gains nothing', async () => {
  await behindProxy.operator('rotate@example.com');
  const said = [];
  for (let i = 0; i < TRY_LIMITS.accountAtAddress.free + 1; i++)
    said.push((await direct.browser().signIn('rotate@example.com', WRONG, from(`198.51.100.${i}`))).status);
  assert.deepEqual(said, [401, 401, 401, 401, 401, 429]);
});

test('strangers at many addresses are held up, and the person on a known device is not', async () => {
  const { password } = await behindProxy.operator('owner@example.com');
  const own = behindProxy.browser();
  assert.equal((await own.signIn('owner@example.com', password, from('198.51.100.7'))).status, 200);
  let tries = 0;
  while ((await guess('owner@example.com', `192.0.2.${tries % 250}`)).status === 401) tries++;
  // The person's own try was taken back.
  assert.equal(tries, TRY_LIMITS.account.free);
  const refused = await guess('owner@example.com', '192.0.2.251', password);
  assert.equal(refused.status, 429);
  assert.ok(Number(refused.headers.get('retry-after')) <= TRY_LIMITS.account.longestWaitS);
  assert.equal((await own.signIn('owner@example.com', password, from('198.51.100.8'))).status, 200);

  const { password: othersPassword } = await behindProxy.operator('known-elsewhere@example.com');
  const others = behindProxy.browser();
  await others.signIn('known-elsewhere@example.com', othersPassword, from('198.51.100.9'));
  const asOwner = await others.signIn('owner@example.com', WRONG, from('198.51.100.9'));
  assert.equal(asOwner.status, 429, 'a device of somebody else is not known for this account');
});

test('a known device may not guess without end either', async () => {
  const { password } = await behindProxy.operator('stolen@example.com');
  const laptop = behindProxy.browser();
  await laptop.signIn('stolen@example.com', password, from('198.51.100.10'));
  const said = [];
  for (let i = 0; i <= TRY_LIMITS.device.free; i++)
    said.push((await laptop.signIn('stolen@example.com', WRONG, from(`198.51.100.${20 + i}`))).status);
  assert.deepEqual(said, [...Array(TRY_LIMITS.device.free).fill(401), 429]);
});

test('one address that tries many accounts is held up', async () => {
  const said = [];
  for (let i = 0; i <= TRY_LIMITS.address.free; i++)
    said.push((await guess(`account${i}@example.com`, '203.0.113.99')).status);
  assert.deepEqual(said, [...Array(TRY_LIMITS.address.free).fill(401), 429]);
});

test('the table of tries names no account and no address', async () => {
  const { rows } = await pool.query('SELECT encode(bucket, $1) AS bucket FROM identity.sign_in_tries', [
    'hex',
  ]);
  assert.ok(rows.length > 0);
  for (const { bucket } of rows) assert.match(bucket, /^[0-9a-f]{64}$/);
});

test('more people at once than can be served: some are told to come again, none fails', async () => {
  const said = await Promise.all(
    Array.from({ length: 120 }, (_, i) => guess(`crowd${i}@example.com`, `10.1.${i}.1`)),
  );
  const refused = said.filter(({ status }) => status === 503);
  assert.ok(refused.length > 0 && said.some(({ status }) => status === 401));
  assert.deepEqual([...new Set(said.map(({ status }) => status))].toSorted(), [401, 503]);
  for (const { headers, body } of refused) {
    assert.ok(['too_many_sign_ins', 'queue_overload'].includes(body.code), body.code);
    assert.ok(Number(headers.get('retry-after')) >= 1);
  }
  const full = said.findIndex(({ body }) => body.code === 'too_many_sign_ins');
  assert.ok(full >= 0);
  for (let i = 0; i < TRY_LIMITS.accountAtAddress.free; i++)
    assert.equal(
      (await guess(`crowd${full}@example.com`, `10.1.${full}.1`)).status,
      401,
      'a refusal is no failed try',
    );
});
