import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { FastifyRequest } from 'fastify';
import { createFakeClock } from '#platform/lifecycle/fake_clock.ts';
import type { Caller } from './caller.ts';
import { createRecentWrites, READ_AFTER_HEADER } from './read_your_writes.ts';
import { createSeal } from './seal.ts';

const COUNTS_MS = 30_000;
const DAY_MS = 86_400_000;
const secret = randomBytes(32);
const ann: Caller = { id: 'key:1', name: 'ann', scope: 'operator', account: null };
const ben: Caller = { id: 'key:2', name: 'ben', scope: 'operator', account: null };
const request = (caller: Caller, header?: string | string[]) =>
  ({ caller, headers: header === undefined ? {} : { [READ_AFTER_HEADER]: header } }) as FastifyRequest;

test('a caller reads its own write; so does a caller with the header, at any process with the secret', () => {
  const clock = createFakeClock();
  const writes = createRecentWrites(secret, COUNTS_MS, clock);
  const header = writes.note(ann, '0/10');
  const other = createRecentWrites(secret, COUNTS_MS, clock);
  const own = (position: string) => ({ position, demanded: false });
  const ofHeader = { position: '0/10', demanded: true };
  assert.deepEqual(writes.before(request(ann)), [own('0/10')]);
  assert.deepEqual(writes.before(request(ben)), []);
  assert.deepEqual(writes.before(request(ben, header)), [ofHeader]);
  assert.deepEqual(other.before(request(ann)), []);
  assert.deepEqual(other.before(request(ann, header)), [ofHeader]);
  writes.note(ann, '0/20');
  assert.deepEqual(writes.before(request(ann, header)), [ofHeader, own('0/20')]);
});

test('a write counts only until it expires', async () => {
  const clock = createFakeClock();
  const writes = createRecentWrites(secret, COUNTS_MS, clock);
  const header = writes.note(ann, '0/10');
  await clock.advance(COUNTS_MS - 1);
  assert.equal(writes.before(request(ann, header)).length, 2);
  await clock.advance(1);
  assert.deepEqual(writes.before(request(ann, header)), []);
});

test('setting the wall clock leaves the age of a write in its own process as it is', async () => {
  for (const stepMs of [-10 * DAY_MS, 10 * DAY_MS]) {
    const clock = createFakeClock();
    const writes = createRecentWrites(secret, COUNTS_MS, clock);
    const header = writes.note(ann, '0/10');
    clock.setWallClock(clock.now() + stepMs);
    assert.equal(writes.before(request(ann, header)).length, 2);
    await clock.advance(COUNTS_MS);
    assert.deepEqual(writes.before(request(ann, header)), []);
  }
});

test('a header that the service did not make is refused, and the answer names it', () => {
  const writes = createRecentWrites(secret, COUNTS_MS, createFakeClock());
  const header = writes.note(ann, '0/10');
  const ofAnother = createSeal(randomBytes(32), 'read after').seal('{"position":"0/10","until":1e15}');
  const cursor = createSeal(secret, 'cursor').seal('{"position":"0/10","until":1e15}');
  for (const bad of ['', '0/10', `${header}x`, header.toUpperCase(), ofAnother, cursor, [header, header]]) {
    assert.throws(
      () => writes.before(request(ben, bad)),
      ({ status, message }) => status === 400 && /Read-After/.test(message),
      String(bad),
    );
  }
});
