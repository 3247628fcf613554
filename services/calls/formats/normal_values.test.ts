import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BETWEEN, normalRowText, normalValue, rowText } from './normal_values.ts';

test('values that differ in writing alone are the same', () => {
  const same: string[][] = [
    ['0.025', '0.0250', '+0.025', '.025', '00.025', '2.5e-2', '2.5E-02', ' 0.025 '],
    ['12.5', '12.50', '1.25e1'],
    ['65', '65.0', '65.', '0:01:05', '00:01:05', '00:01:05.000'],
    ['0.0', '-0.0', '0e0', '0.000'],
    [
      ...['2026-03-02 09:04:54', '2026-03-02T09:04:54Z', '2026/3/2 9:04:54', '2026-03-02 09:04:54.000'],
      ...['2026-03-02T10:04:54+01:00'],
    ],
    ['3/2/2026 9:04:54', '03/02/2026 09:04:54', '03/02/2026 09:04:54.0'],
    ['', ' ', '\t'],
  ];
  for (const group of same) {
    const [first, ...others] = group.map((text) => normalValue(text));
    for (const other of others) assert.equal(other, first, group.join(' | '));
  }
  assert.equal(normalValue('0,0250', true), normalValue('0.025'));
});

test('values that say something else stay apart', () => {
  const all = [
    ...[
      '030 23125001',
      '03023125001',
      '3023125001',
      '+4930',
      '4930',
      '0.025',
      '0.0251',
      '-0.025',
      '25',
      '250',
      '1,000',
    ],
    ...[
      '2026-03-02 09:04:54',
      '2026-03-02 09:04:55',
      '3/2/2026 9:04:54',
      '2/3/2026 9:04:54',
      '1',
      '1.2.3',
      '-',
      '1e400',
    ],
  ];
  assert.equal(new Set(all.map((text) => normalValue(text))).size, all.length);
});

test('a value that is normal stays as it is, whatever it is', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.double().map(String), fc.date().map(String)), (text) => {
      const normal = normalValue(text);
      assert.equal(normalValue(normal), normal);
    }),
    { numRuns: 2_000 },
  );
});

test('a row is its values in order; blank ones at its end are none', () => {
  assert.equal(rowText(['a', '', 'b', '', '']), `a${BETWEEN}${BETWEEN}b`);
  assert.equal(normalRowText(rowText(['1.0', 'x', '0:00:07'])), rowText(['1', 'x', '7']));
});
