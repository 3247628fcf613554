/** What is read as a number is found in every writing of it; others stay. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { oddWriting } from '#tests/number_writings.ts';
import { printedSeed } from '#tests/seed.ts';
import { createNumberReader } from '../numbers.ts';
import { scrubNumbers } from './scrub_numbers.ts';

const scrubbing = (target: string, ...countries: (string | null)[]) =>
  scrubNumbers(countries, (number, country) => (number === target ? `[${country}]` : undefined));

const WRITINGS: readonly [target: string, country: string | null, writings: readonly string[]][] = [
  [
    '+493023125001',
    'DE',
    [
      ...[
        '+493023125001',
        '030 23125001',
        '03023125001',
        '00493023125001',
        '+49 (0)30 23125001',
        '493023125001',
      ],
      ...['"Ann" <+493023125001>', 'sip:+493023125001@host', '%2B493023125001', '*31#+493023125001'],
      ...['+49-30-231250-01', '(030) 231 250 01', '０３０２３１２５００１'],
    ],
  ],
  ['+3612345678', 'HU', ['06 1 234 5678', '0612345678', '+36 1 234 5678', '003612345678']],
  [
    '+12025550123',
    'US',
    ['2025550123', '(202) 555-0123', '12025550123', '+1 202 555 0123', '011 1 2025550123'],
  ],
  ['+74951234567', 'RU', ['84951234567', '8 (495) 123-45-67', '+7 495 1234567']],
  ['+34912345678', 'ES', ['912345678', '91 234 56 78', '0034912345678']],
  ['+442079460123', null, ['+442079460123', '00442079460123', 'tel:+44-20-7946-0123']],
];

test('every writing that is read as the number is found, alone and within a text', () => {
  const reader = createNumberReader();
  for (const [target, country, writings] of WRITINGS) {
    for (const writing of writings) {
      assert.equal(reader.read(writing, country).number, target, writing);
      const scrub = scrubbing(target, country);
      assert.match(scrub(writing), /^\[..\]$/, writing);
      for (const [before, behind] of [
        ['from ', ' to 100'],
        ['{"x":"', '","y":1}'],
        ['a,"', '","12"'],
      ]) {
        const text = scrub(`${before}${writing}${behind}`);
        const digits = writing.replace(/\D/g, '').slice(-6);
        if (/^[ -~]*$/.test(writing)) assert.ok(!text.replace(/\D/g, '').includes(digits), text);
        assert.match(text, /\[..\]/, `${before}${writing}${behind} gives ${text}`);
      }
    }
  }
});

test('a number is found in channels, addresses and names of files; other numbers, dates and ids stay', () => {
  const scrub = scrubbing('+493023125001', 'DE');
  const found: readonly [string, string][] = [
    ['PJSIP/+493023125001-0000001a', 'PJSIP/[DE]-0000001a'],
    ['Local/03023125001@from-internal-00000a1;2', 'Local/[DE]@from-internal-00000a1;2'],
    ['/rec/20261129-170000-03023125001-123.wav', '/rec/20261129-170000-[DE]-123.wav'],
    ['from 030 23125001 to 030 23125002', 'from [DE] to 030 23125002'],
    ['20261129170000493023125001', '202611291700[DE]'],
    ['a%2B493023125001%20b', 'a[DE]%20b'],
  ];
  for (const [text, wanted] of found) assert.equal(scrub(text), wanted);
  for (const text of [
    ...['+493023125002', '030 231250011', '+4493023125001', '2026-11-29 17:00:00', '1730231250.01'],
    ...['192.168.30.23', '0030231250-01', '', 'Ann'],
  ])
    assert.equal(scrub(text), text);
});

test('a number behind a plus is found however its digits are signed and escaped', (t) => {
  const target = '+493023125001';
  const scrub = scrubbing(target, 'DE');
  const property = fc.property(oddWriting(0), (write) => {
    const written = write(target.slice(1));
    const text = scrub(`+${written}`);
    assert.match(text, /\[DE\]/, `+${written} gives ${text}`);
  });
  fc.assert(property, { seed: printedSeed(t), numRuns: 500 });
});
