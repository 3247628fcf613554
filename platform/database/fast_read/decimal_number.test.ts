import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { copyDecimalNumber, decimalNumber } from './decimal_number.ts';

/** As PostgreSQL writes numerics: no blank, no exponent, no sign of zero. */
const numeric = fc.oneof(
  fc
    .tuple(fc.bigInt({ min: -(10n ** 18n), max: 10n ** 18n }), fc.integer({ min: 0, max: 12 }))
    .map(([digits, scale]) => {
      const size = String(digits < 0n ? -digits : digits).padStart(scale + 1, '0');
      const point = size.length - scale;
      return `${digits < 0n ? '-' : ''}${size.slice(0, point)}${scale > 0 ? `.${size.slice(point)}` : ''}`;
    }),
  fc.constantFrom(
    '0',
    '0.000',
    '0.5',
    '-0.5',
    '100',
    '100.000',
    '0.000001',
    '0.0000010',
    '0.0000001',
    '12.250000',
  ),
  fc.constantFrom(
    'NaN',
    'Infinity',
    '-Infinity',
    '999999999999999',
    '9999999999999999',
    '0.1234567890123456789',
  ),
);

/** What the bytes give; undefined where they leave it to the text. */
function onBytes(text: string): string | undefined {
  const bytes = new TextEncoder().encode(text);
  const to = new DataView(new ArrayBuffer(bytes.length));
  const end = copyDecimalNumber(new DataView(bytes.buffer), 0, to, 0, bytes.length);
  return end < 0 ? undefined : Buffer.from(to.buffer).toString('latin1', 0, end);
}

test('bytes give the number as JavaScript prints it, or leave it to the text', () => {
  fc.assert(
    fc.property(numeric, (text) => {
      const given = onBytes(text);
      if (given !== undefined) assert.equal(given, decimalNumber(text), text);
    }),
    { numRuns: 5_000 },
  );
  for (const text of ['0', '12', '12.500', '-3.25', '86399.999', '0.000', '0.125000'])
    assert.equal(onBytes(text), String(Number(text)), text);
});
