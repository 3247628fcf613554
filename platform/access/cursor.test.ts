import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { createCursors } from './cursor.ts';

const place = { start_time: '2026-11-21T04:10:00.000001Z', i_cdr: 2026110000000001 };
const cursors = createCursors<typeof place>(randomBytes(32));
const context = { query: { i_account: '1', cli: '+493023125001', type: 'all' }, view: 'customer:1' };
const cursor = cursors.seal(place, context);

test('a cursor opens to its position, in any process with the secret', () => {
  assert.deepEqual(cursors.open(cursor, context), { kind: 'position', position: place });
});

test('a cursor of another view is distinguished from a forged one; for another query the differing filters are named', () => {
  assert.deepEqual(cursors.open(cursor, { ...context, view: 'customer:2' }), { kind: 'foreign' });
  const query = { i_account: '1', cli: '+493023125002', direction: 'inbound', type: 'all' };
  const opened = cursors.open(cursor, { ...context, query });
  assert.deepEqual(opened, { kind: 'other_query', differs: ['cli', 'direction'] });
  assert.deepEqual(createCursors(randomBytes(32)).open(cursor, context), { kind: 'forged' });
});

test('a cursor reveals nothing, and no two cursors are equal', () => {
  const text = Buffer.from(cursor, 'base64url').toString('latin1');
  for (const part of ['3023125', '2026', 'customer', 'cli']) assert.ok(!text.includes(part), part);
  assert.notEqual(cursors.seal(place, context), cursor);
});

test('a filter of any length fits, and another query is still detected', () => {
  const long = (last: string) => ({ ...context, query: { call_id: '€'.repeat(199) + last, cli: '1' } });
  const ofLong = cursors.seal(place, long('a'));
  assert.ok(ofLong.length < 500, String(ofLong.length));
  assert.equal(cursors.open(ofLong, long('a')).kind, 'position');
  assert.deepEqual(cursors.open(ofLong, long('b')), { kind: 'other_query', differs: ['call_id'] });
});

test('a cursor of the previous version is distinguished from a forged one', () => {
  const secret = randomBytes(32);
  const body = Buffer.from(JSON.stringify({ t: place.start_time, i: 1, v: 'operator', q: {} })).toString(
    'base64url',
  );
  const mark = createHmac('sha256', secret).update(`cursor ${body}`).digest().subarray(0, 16);
  const former = `${body}.${mark.toString('base64url')}`;
  assert.deepEqual(createCursors(secret).open(former, context), { kind: 'former' });
  assert.deepEqual(createCursors(secret).open(`${former}x`, context), { kind: 'forged' });
  assert.deepEqual(createCursors(randomBytes(32)).open(former, context), { kind: 'forged' });
});

test('a cursor with any change is forged', () => {
  fc.assert(
    fc.property(fc.nat(cursor.length - 1), fc.string({ minLength: 0, maxLength: 3 }), (at, put) => {
      const changed = cursor.slice(0, at) + put + cursor.slice(at + 1);
      fc.pre(changed !== cursor);
      assert.equal(cursors.open(changed, context).kind, 'forged', changed);
    }),
    { numRuns: 2_000 },
  );
});

test('any other text as a cursor is forged', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 300 }), (text) => cursors.open(text, context).kind === 'forged'),
  );
  for (const text of ['', '.', '..', `${cursor}.`, `${cursor}x`, `.${cursor}`, 'x'.repeat(10_000)]) {
    assert.equal(cursors.open(text, context).kind, 'forged');
  }
});
