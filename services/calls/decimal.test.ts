import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { printedSeed } from '#tests/seed.ts';
import { addDecimal, noSum, plainDecimal, sumText } from './decimal.ts';

test('amounts as programs print them are the same number without an exponent', () => {
  const cases: [written: string, plain: string | undefined][] = [
    ['0.0125', '0.0125'],
    ['0.01250', '0.01250'],
    ['0.033333333333333333', '0.033333333333333333'],
    ['1.2E-05', '0.000012'],
    ['1e-05', '0.00001'],
    ['1.25e2', '125'],
    ['1.25e1', '12.5'],
    ['12.5E+3', '12500'],
    ['0.00012e3', '0.12'],
    ['123e-2', '1.23'],
    ['-1E0', '-1'],
    ['\u22121', '-1'],
    ['-10e-1', '-1.0'],
    ['\uff0d1', '-1'],
    ['\ufe631', '-1'],
    ['\u20131', '-1'],
    ['\u200b-1\ufeff', '-1'],
    ['+.5', '0.5'],
    ['5.', '5'],
    ['007', '7'],
    ['-0.00', '0.00'],
    ['0e9', '0'],
    ['0E-50', '0'],
    ['-0.00e+999', '0.00'],
    [`1.${'0'.repeat(80)}`, `1.${'0'.repeat(80)}`],
    [`1.${'0'.repeat(81)}`, 'too_long'],
    [`0.${'1'.repeat(40)}`, `0.${'1'.repeat(40)}`],
    [`0.${'1'.repeat(41)}`, 'too_long'],
    ['1'.repeat(41), 'too_long'],
    ['1e40', `1${'0'.repeat(40)}`],
    ['1e-40', `0.${'0'.repeat(39)}1`],
    ['1e41', 'too_long'],
    ['1e-999999999999', 'too_long'],
    ['', undefined],
    ['.', undefined],
    ['-', undefined],
    ['e5', undefined],
    ['1,5', undefined],
    ['0x10', undefined],
    ['Infinity', undefined],
    ['NaN', undefined],
  ];
  for (const [written, plain] of cases) {
    assert.equal(plainDecimal(written), plain, written);
  }
});

const anyDecimal = fc
  .tuple(
    fc.boolean(),
    fc.stringMatching(/^\d{1,20}$/),
    fc.stringMatching(/^\d{0,20}$/),
    fc.integer({ min: -40, max: 40 }),
  )
  .map(([minus, whole, fraction, exponent]) => ({ minus, whole, fraction, exponent }));

test('no digit is lost: the value is that of its digits and its exponent, and sums are exact', (t) => {
  const units = 10n ** 80n;
  fc.assert(
    fc.property(fc.array(anyDecimal, { minLength: 1, maxLength: 8 }), (decimals) => {
      const sum = noSum();
      let expected = 0n;
      for (const { minus, whole, fraction, exponent } of decimals) {
        const written = `${minus ? '-' : ''}${whole}.${fraction}e${exponent}`;
        const plain = plainDecimal(written)!;
        if (plain === 'too_long') continue;
        assert.equal(plainDecimal(plain), plain);
        assert.match(plain, /^-?\d+(\.\d+)?$/, written);
        const digits = BigInt(whole + fraction);
        const scaled = (digits * units * 10n ** BigInt(exponent + 40)) / 10n ** BigInt(fraction.length + 40);
        expected += minus ? -scaled : scaled;
        addDecimal(sum, plain);
      }
      const text = sumText(sum);
      const [whole = '', fraction = ''] = text.split('.');
      assert.equal(BigInt(whole + fraction.padEnd(80, '0')), expected, text);
    }),
    { seed: printedSeed(t), numRuns: 500 },
  );
});
