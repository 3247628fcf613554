import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decimalSeconds } from '../decimal.ts';

test('seconds keep their microseconds', () => {
  assert.equal(decimalSeconds(61_000_000), '61');
  assert.equal(decimalSeconds(61_000_001), '61.000001');
  assert.equal(decimalSeconds(0), '0');
});
