import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { DecimalRule } from './decimal_marks.ts';
import { readMoney } from './money.ts';

const RULES = ['plain', 'unknown', '.', ','] as const;

function amount(text: string, rule: DecimalRule = 'plain'): string | null {
  const read = readMoney(text, rule);
  return read.kind === 'amount' ? read.amount : null;
}

const why = (text: string, rule: DecimalRule = 'plain'): string => {
  const read = readMoney(text, rule);
  return read.kind === 'bad' ? read.why : assert.fail(`${text} was read as ${read.amount}`);
};

const currencies = (text: string) => {
  const read = readMoney(text, 'plain');
  return read.kind === 'amount' ? read.currencies : assert.fail(read.why);
};

describe('thousands and decimals', () => {
  const sure: [text: string, is: string][] = [
    ['0.025', '0.025'],
    ['0,025', '0.025'],
    ['1,234.50', '1234.50'],
    ['1.234,50', '1234.50'],
    ['1 234,50', '1234.50'],
    ['1\u00a0234,50', '1234.50'],
    ['1\u202f234.50', '1234.50'],
    ["1'234.50", '1234.50'],
    ['1’234.50', '1234.50'],
    ['12,34,567.50', '1234567.50'],
    ['1,234,567', '1234567'],
    ['1.234.567', '1234567'],
    ['1234,567', '1234.567'],
    ['1,2345', '1.2345'],
    ['12,5', '12.5'],
    ['-12,5', '-12.5'],
    ['12.5-', '-12.5'],
    ['(12.50)', '-12.50'],
    ['\u22120.5', '-0.5'],
    ['\uff0d0.5', '-0.5'],
    ['0.5\u2013', '-0.5'],
    ['\u200b0.5\u2060', '0.5'],
    ['0E-50', '0'],
    ['+0.5', '0.5'],
  ];
  for (const [text, is] of sure) test(text, () => assert.equal(amount(text), is));

  test('what can be read in two ways is refused until the sign is told', () => {
    for (const text of ['1,234', '12,345', '-1,234', '€ 1,234', '999,999'])
      assert.match(why(text), /may be \d+ or [\d.]+; say which with --decimal-sign \. or --decimal-sign ,/);
    assert.match(why('1.234', 'unknown'), /may be 1.234 or 1234/);
    assert.deepEqual([amount('1,234', '.'), amount('1,234', ',')], ['1234', '1.234']);
    assert.deepEqual([amount('1.234', '.'), amount('1.234', ',')], ['1.234', '1234']);
  });

  test('a point that is the only mark is the decimal point, as programs print numbers', () => {
    assert.equal(amount('1.234'), '1.234');
  });

  test('a value that the sign told does not fit is refused, naming the option', () => {
    assert.match(why('0,025', '.'), /no amount where the decimal sign is \., as --decimal-sign says/);
    assert.match(why('0.025', ','), /no amount where the decimal sign is ,/);
  });

  test('5,- is five and no cents in shops, so its minus is not taken for a sign', () => {
    for (const text of ['5,-', '5.-', '1,-', '€ 1.-', '5,\u2013']) {
      for (const rule of RULES) assert.equal(amount(text, rule), null, text);
    }
  });

  test('a mantissa has no thousands, whatever the decimal sign', () => {
    for (const text of ['1.250E-05', '1.000E-05', '1.234.567E2']) assert.equal(amount(text, ','), null, text);
    assert.equal(amount('1,250E-05', ','), '0.00001250');
  });

  test('what is no amount', () => {
    const wrong = [
      '',
      '.',
      ',',
      '1.2.3',
      '1,2,3',
      '1 23',
      '1,23,4',
      '0,025.5',
      '--1',
      '(-1)',
      '(1',
      '1 2',
      '1..2',
    ];
    for (const text of [...wrong, 'free', '1,234 567', '1'.repeat(10_000), '0x10', 'Infinity', '١٢'])
      for (const rule of RULES) assert.equal(amount(text, rule), null, text);
  });
});

describe('currencies', () => {
  test('a sign or a code, before or behind', () => {
    for (const text of [
      '€ 0,025',
      '€0,025',
      '0,025 €',
      '0,025€',
      'EUR 0,025',
      '0,025 EUR',
      '-€0,025',
      '€-0,025',
    ])
      assert.deepEqual(currencies(text), ['EUR'], text);
    assert.deepEqual(currencies('US$0.5'), ['USD']);
    assert.deepEqual(currencies('zł 1,50'), ['PLN']);
    assert.deepEqual(currencies('0.5'), null);
    for (const [text, some] of [
      ['$0.5', ['USD', 'CAD', 'AUD']],
      ['£0.5', ['GBP']],
      ['¥5', ['JPY', 'CNY']],
      ['5 kr', ['SEK', 'NOK', 'DKK']],
      ['C$5', ['CAD', 'NIO']],
    ] as const) {
      for (const code of some) assert.ok(currencies(text)!.includes(code), `${text} ${code}`);
    }
  });

  test('one that is not known, or two that are not one, are refused', () => {
    for (const text of ['2.5 ct', '25¢', '0.5 XQX', 'R 5', '€ 0.5 USD', '5 K'])
      assert.match(why(text), /currency/, text);
  });
});

test('any amount, printed for any country, is read back exactly or refused, never as another', () => {
  const locales = [
    'en',
    'de',
    'fr',
    'de-CH',
    'de-AT',
    'en-IN',
    'es',
    'pl',
    'pt-BR',
    'sv',
    'ja',
    'it-CH',
    'nb',
    'hu',
  ];
  const styles: Intl.NumberFormatOptions[] = [
    {},
    { useGrouping: false },
    ...(['EUR', 'USD', 'GBP', 'SEK'] as const).flatMap((currency) =>
      (['symbol', 'narrowSymbol', 'code'] as const).map((currencyDisplay) => ({
        style: 'currency' as const,
        currency,
        currencyDisplay,
      })),
    ),
  ];
  const amounts = fc.tuple(fc.integer({ min: -10_000_000, max: 10_000_000 }), fc.integer({ min: 0, max: 5 }));
  let refused = 0;
  fc.assert(
    fc.property(
      amounts,
      fc.constantFrom(...locales),
      fc.constantFrom(...styles),
      fc.constantFrom(...RULES),
      ([digits, decimals], locale, style, rule) => {
        const value = digits / 10 ** decimals;
        const format = new Intl.NumberFormat(locale, {
          ...style,
          minimumFractionDigits: decimals,
          maximumFractionDigits: decimals,
        });
        const text = format.format(value);
        const read = readMoney(text, rule);
        if (read.kind === 'bad') refused++;
        else {
          // Where a sign is told, or the convention says it, a value may be meant by it that was printed for others.
          const half = new Intl.NumberFormat(locale, { minimumFractionDigits: 1 }).formatToParts(0.5);
          const sign = half.find((part) => part.type === 'decimal')!.value;
          const isOther = (rule === '.' || rule === ',') && rule !== sign;
          const isLonePoint = rule === 'plain' && /^\D*\d{1,3}\.\d{3}\D*$/.test(text);
          if (!isOther && !isLonePoint) assert.equal(Number(read.amount), value, `${locale} ${text}`);
          if (style.currency) assert.ok(read.currencies?.includes(style.currency), `${locale} ${text}`);
        }
      },
    ),
    { numRuns: 20_000 },
  );
  assert.ok(refused < 20_000 * 0.4, `${refused} were refused`);
});
