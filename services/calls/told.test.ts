import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SEVERAL_TELLINGS, TOLD } from './told.ts';

test('each value that a source may tell has a bit of its own, and so has a call that several have told', () => {
  const bits = [...Object.values(TOLD), SEVERAL_TELLINGS];
  const sum = bits.reduce((all, bit) => all | bit, 0);
  assert.equal(sum, 2 ** bits.length - 1);
});
