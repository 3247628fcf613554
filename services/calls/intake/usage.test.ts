import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decimalCost, decimalSeconds, scaledCost } from './usage.ts';

test('a cost survives scaling, sign and all twelve decimals', () => {
  assert.equal(scaledCost('-12.5'), -12_500_000_000_000n);
  assert.equal(scaledCost('0.000000000001'), 1n);
  assert.equal(scaledCost('-0.000000000001'), -1n);
  assert.equal(decimalCost(-1n), '-0.000000000001');
  assert.equal(decimalCost(12_500_000_000_000n), '12.500000000000');
  fc.assert(
    fc.property(fc.bigInt({ min: -(10n ** 27n), max: 10n ** 27n }), (scaled) => {
      assert.equal(scaledCost(decimalCost(scaled)), scaled);
    }),
  );
});

test('seconds keep their microseconds', () => {
  assert.equal(decimalSeconds(61_000_000), '61');
  assert.equal(decimalSeconds(61_000_001), '61.000001');
  assert.equal(decimalSeconds(0), '0');
});
