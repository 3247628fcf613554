import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { createCursors } from './cursor.ts';

const cursors = createCursors(randomBytes(32));
const place = { start_time: '2026-11-21T04:10:00.000001Z', i_cdr: 2026110000000001 };
const context = { query: { i_account: '1', cli: '+493023125001', type: 'all' }, view: 'customer:1' };
const cursor = cursors.seal(place, context);

test('a cursor opens to the place that it was made of, in any process with the secret', () => {
  assert.deepEqual(cursors.open(cursor, context), { kind: 'place', place });
});

test('another view is told from a forged cursor, another query by what differs', () => {
  assert.deepEqual(cursors.open(cursor, { ...context, view: 'customer:2' }), { kind: 'foreign' });
  const query = { i_account: '1', cli: '+493023125002', direction: 'inbound', type: 'all' };
  const opened = cursors.open(cursor, { ...context, query });
  assert.deepEqual(opened, { kind: 'other_query', differs: ['cli', 'direction'] });
  assert.deepEqual(createCursors(randomBytes(32)).open(cursor, context), { kind: 'forged' });
});

test('no number can be read off a cursor', () => {
  assert.ok(!Buffer.from(cursor, 'base64url').toString('latin1').includes('3023125'));
});

test('whatever is changed in a cursor, it is forged', () => {
  fc.assert(
    fc.property(fc.nat(cursor.length - 1), fc.string({ minLength: 0, maxLength: 3 }), (at, put) => {
      const changed = cursor.slice(0, at) + put + cursor.slice(at + 1);
      fc.pre(changed !== cursor);
      assert.equal(cursors.open(changed, context).kind, 'forged', changed);
    }),
    { numRuns: 2_000 },
  );
});

test('whatever is sent as a cursor, it is forged', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 300 }), (text) => cursors.open(text, context).kind === 'forged'),
  );
  for (const text of ['', '.', '..', `${cursor}.`, `${cursor}x`, `.${cursor}`, 'x'.repeat(10_000)]) {
    assert.equal(cursors.open(text, context).kind, 'forged');
  }
});
