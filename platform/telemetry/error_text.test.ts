import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorText } from './error_text.ts';

test('an error has a text of one line', () => {
  assert.equal(errorText(new Error('connect ECONNREFUSED 127.0.0.1:1')), 'connect ECONNREFUSED 127.0.0.1:1');
  const refused = ['::1', '127.0.0.1'].map((address) => new Error(`connect ECONNREFUSED ${address}:1`));
  assert.equal(
    errorText(new AggregateError(refused)),
    'connect ECONNREFUSED ::1:1; connect ECONNREFUSED 127.0.0.1:1',
  );
  assert.equal(errorText(new AggregateError(refused, 'all refused')), 'all refused');
  assert.equal(errorText(new TypeError()), 'TypeError');
  assert.equal(errorText(new Error('first\r\n  second')), 'first second');
  assert.equal(errorText('a text'), 'a text');
});
