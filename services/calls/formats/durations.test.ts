import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { DecimalRule } from './decimal_marks.ts';
import { type DurationUnit, readDuration } from './durations.ts';

function seconds(text: string, unit?: DurationUnit, rule: DecimalRule = 'plain'): number | null {
  const read = readDuration(text, unit, rule);
  return read.kind === 'seconds' ? read.seconds : null;
}

const why = (text: string, unit?: DurationUnit, rule: DecimalRule = 'plain'): string => {
  const read = readDuration(text, unit, rule);
  return read.kind === 'bad' ? read.why : assert.fail(`${text} was read as ${read.seconds}`);
};

test('a spreadsheet’s part of a day is not taken for seconds, unless the mapping says seconds', () => {
  for (const text of ['0.000752315', '0.00075231481481', '.0416666667', '0,000752315'])
    assert.match(why(text), /part of a day.*duration_s:s/);
  assert.equal(seconds('0.000752315', 's'), 0.000752315);
  for (const text of ['0.000000', '0.000000000', '0.250000', '65.123456789'])
    assert.equal(seconds(text), Number(text));
});

describe('forms', () => {
  const forms: [text: string, seconds: number, unit?: DurationUnit | undefined, rule?: DecimalRule][] = [
    ['0', 0],
    ['65', 65],
    ['65.25', 65.25],
    ['65,25', 65.25],
    ['1:01:05', 3665],
    ['0:01:05.5', 65.5],
    ['0:01:05,5', 65.5],
    ['123:00:00', 442_800],
    ['1.02:03:04', 93_784],
    ['1 day, 2:03:04', 93_784],
    ['0 days 00:01:05', 65],
    ['65s', 65],
    ['65 sec', 65],
    ['1m5s', 65],
    ['1 min. 5 sec.', 65],
    ['1h 1m 5s', 3665],
    ['1 hour, 1 minute, 5 seconds', 3665],
    ['1.5 min', 90],
    ['250ms', 0.25],
    ['1\'05"', 65],
    ['1′05″', 65],
    ['PT1M5S', 65],
    ['PT65.5S', 65.5],
    ['P1DT2H', 93_600],
    ['1.1', 66, 'min'],
    ['1,5', 90, 'min'],
    ['65s', 65, 'min'],
    ['65250', 65.25, 'ms'],
    ['0.5', 1800, 'h'],
    ['1:05', 65, 'm:ss'],
    ['75:20', 4520, 'm:ss'],
    ['1:05', 3900, 'h:mm'],
    ['1:01:05', 3665, 'h:mm'],
    ['1,234', 1234, undefined, '.'],
    ['1,234', 1.234, undefined, ','],
    ['1.234', 1234, undefined, ','],
  ];
  for (const [text, is, unit, rule] of forms)
    test(`${text}${unit ? ` of ${unit}` : ''}${rule ? ` by ${rule}` : ''}`, () =>
      assert.equal(seconds(text, unit, rule), is));
});

test('what may be one thing or another is refused, and says what would tell', () => {
  for (const text of ['1:05', '65:05', '1:05.5', '0:48'])
    assert.match(why(text), /--map column=duration_s:m:ss, or :h:mm/);
  assert.match(why('1,234'), /may be 1234 or 1.234; say which with --decimal-sign/);
  assert.match(why('1.234', undefined, 'unknown'), /--decimal-sign/);
  assert.match(why('0,5', undefined, '.'), /decimal sign is \., as --decimal-sign says/);
  assert.match(why('65', 'm:ss'), /it should be m:ss, as the mapping says/);
});

test('what is no duration is refused', () => {
  const wrong = [
    '',
    '-1',
    '1e3',
    '1:60:00',
    '1:00:60',
    '12:01:05 AM',
    '5 parsecs',
    '1m 5m',
    '5s 1m',
    '1.5h 2m',
  ];
  for (const text of [...wrong, 'P1M', 'PT', 'P', '1 2', 'noon', '٣', '1'.repeat(10_000), '1m'.repeat(40)])
    assert.match(why(text), /it should be seconds, H:MM:SS or 1m5s/, text);
});

test('any duration, printed in any form, is read back exactly or refused, never as another', () => {
  const two = (value: number) => String(value).padStart(2, '0');
  const split = (s: number) => [Math.floor(s / 3600), Math.floor(s / 60) % 60, s % 60] as const;
  type Printer = (seconds: number) => [text: string, unit?: DurationUnit];
  const printers: Printer[] = [
    (s) => [String(s)],
    (s) => [`${s}s`],
    (s) => [`${s} sec`],
    (s) => [String(s * 1000), 'ms'],
    (s) => [`${s * 1000} ms`],
    (s) => [(s / 60).toFixed(12), 'min'],
    (s) => [`${Math.floor(s / 60)}:${two(s % 60)}`, 'm:ss'],
    (s) => [
      split(s)
        .map((part, at) => (at === 0 ? String(part) : two(part)))
        .join(':'),
    ],
    (s) => [split(s).map(two).join(':')],
    (s) => [`${split(s)[0]}h${split(s)[1]}m${split(s)[2]}s`],
    (s) => [`${split(s)[0]} h ${split(s)[1]} min ${split(s)[2]} s`],
    (s) => [`PT${split(s)[0]}H${split(s)[1]}M${split(s)[2]}S`],
    (s) => [
      `${Math.floor(s / 86_400)} days ${split(s % 86_400)
        .map(two)
        .join(':')}`,
    ],
    (s) => [
      `${Math.floor(s / 86_400)}.${split(s % 86_400)
        .map(two)
        .join(':')}`,
    ],
    (s) => [s.toLocaleString('en')],
    (s) => [s.toLocaleString('de-CH')],
    (s) => [s.toLocaleString('fr')],
  ];
  const rules = fc.constantFrom<DecimalRule>('plain', 'unknown', '.');
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 900_000 }),
      fc.constantFrom(...printers),
      rules,
      (s, print, rule) => {
        const [text, unit] = print(s);
        const read = seconds(text, unit, rule);
        if (read !== null) assert.ok(Math.abs(read - s) < 1e-6, `${text} was read as ${read}`);
        // Only thousands and decimals depend on the sign.
        else assert.match(text, /[.,'’]/);
        // And without its unit a text means the same or nothing, but for a number alone.
        const bare = seconds(text, undefined, rule);
        if (bare !== null && /:/.test(text)) assert.equal(bare, s, text);
      },
    ),
    { numRuns: 10_000 },
  );
});
