import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { FormatName } from './formats/formats.ts';
import { parseMapping } from './formats/mapping.ts';
import { recordFromFields } from './formats/posted_record.ts';
import { openSource } from './formats/reader.ts';
import type { SourceOptions } from './formats/source_reader.ts';
import { normalize } from './intake/normalize.ts';
import { isSpreadsheetPower } from './number_text.ts';
import { createNumberReader, directionOf } from './numbers.ts';

const reader = createNumberReader();
const read = (text: string, country: string | null = 'DE') => reader.read(text, country).number;

/** Numbers for fiction, each as its own country writes it, with its trunk prefix where there is one. */
const SURE: [e164: string, country: string, national: string, prefix: string][] = [
  ['+493023125042', 'DE', '03023125042', '00'],
  ['+4915228817386', 'DE', '015228817386', '00'],
  ['+442079460123', 'GB', '02079460123', '00'],
  ['+12025550142', 'US', '12025550142', '011'],
  ['+34912345678', 'ES', '912345678', '00'],
  ['+390612345678', 'IT', '0612345678', '00'],
  ['+61491570156', 'AU', '0491570156', '0011'],
  ['+81312345678', 'JP', '0312345678', '010'],
  ['+74951234567', 'RU', '84951234567', '810'],
];

describe('what stands around a sure number', () => {
  const around: [written: string, country?: string][] = [
    ['*31#+493023125042'],
    ['#31#03023125042'],
    ['*31*03023125042'],
    ['+493023125042;npdi;rn=+4930'],
    ['+49 30 23125042;cpc=ordinary'],
    ['tel:+49-30-23125042'],
    ['TEL:+493023125042;ext=12'],
    ['sip:+493023125042@host;user=phone'],
    ['sips:+493023125042@192.0.2.1:5061;transport=tls?x=y'],
    ['+493023125042@sip.example.com'],
    ['sip:%2B493023125042@host'],
    ['<sip:+493023125042@host;user=phone>;tag=1'],
    ['"Ann, Berlin" <+493023125042>'],
    ['Ann <sip:+493023125042@pbx>'],
    ['sip:03023125042@pbx;user=phone'],
    ['03023125042@pbx'],
    ['00493023125042@pbx'],
    ['<03023125042>'],
    ['+49 (0)30 23125042'],
    ['+49 (0) 30 / 231 25-042'],
    ['(+49) 30 23125042'],
    ['[+49] 30 23125042'],
    ['0049 (0)30 23125042'],
    ['+0049 30 23125042'],
    ['++493023125042'],
    ['030.231.25042'],
    ['+49.30.23125042'],
    ['+49\u00a030\u202f23125042'],
    ['+49–30–23125042'],
    ['\u202a+493023125042\u202c'],
    ['+4930\u200b23125042'],
    ['＋４９３０２３１２５０４２'],
    ['٠٣٠٢٣١٢٥٠٤٢'],
    ['०३०२३१२५०४२'],
    ['="+493023125042"'],
    ["'03023125042"],
    ['"03023125042"'],
    ['493023125042.0'],
    ['493023125042,00'],
    ['+493023125042#'],
    ['+493023125042 ext. 12'],
    ['+493023125042,,12'],
    ['*67+493023125042', 'US'],
  ];
  for (const [written, country] of around)
    test(`${JSON.stringify(written)} is no doubt`, () =>
      assert.equal(read(written, country), '+493023125042'));

  test('*67 and *82 are of North America, with a national number too', () => {
    assert.equal(read('*6712025550142', 'US'), '+12025550142');
    assert.equal(read('*67 (202) 555-0142', 'CA'), '+12025550142');
    for (const text of ['202-555-0142 x5', '1 202 555 0142 ext. 12', '12025550142w1'])
      assert.equal(read(text, 'US'), '+12025550142');
    assert.equal(read('*6712025550142', 'DE'), '*6712025550142');
  });

  test('a name’s extension is the extension', () => {
    assert.equal(read('"Ann" <1002>'), '1002');
    assert.equal(directionOf(read('"Ann" <1002>'), read('+442079460123')), 'outbound');
  });

  test('what it stands around of is no number: it stays', () => {
    const kept = ['1002@pbx', 'alice@+493023125042', 'sip:alice@host', '2025550142@host', '4930123456@host'];
    kept.push(
      'tel:7042;phone-context=example.com',
      'tel:03023125042;phone-context=+43',
      '*31#',
      '*21*+493023125042#',
    );
    kept.push(
      '**21*03023125042#',
      '"Ann" <anonymous>',
      '+49302312504²',
      '3023125042x',
      '12345.0',
      '+49 30 CALLME',
    );
    for (const text of kept) assert.equal(read(text, text.startsWith('2') ? 'US' : 'DE'), text);
  });

  test('the way of a call and its country are those of the number', () => {
    const normalized = reader.read('*31#+442079460123', 'DE');
    assert.deepEqual(normalized, { number: '+442079460123', country: 'GB' });
    assert.equal(directionOf('1002', normalized.number), 'outbound');
    assert.equal(directionOf(read('sip:+442079460123@host;user=phone'), '1002'), 'inbound');
  });

  test('whatever it is, the same E.164 comes out', () => {
    const wraps: [name: string, wrap: (number: string) => string, needsPrefix?: true][] = [
      ['none', (n) => n],
      ['blanks', (n) => ` ${n}\t`],
      ['tel', (n) => `tel:${n}`],
      ['sip', (n) => `sip:${n}@host;user=phone`],
      ['name', (n) => `"A B" <${n}>`],
      ['name and sip', (n) => `A <sip:${n}@h:5060;user=phone;x=1>`],
      ['host', (n) => `${n}@10.0.0.1`, true],
      ['CLIR', (n) => `#31#${n}`],
      ['CLIP', (n) => `*31#${n}`],
      ['formula', (n) => `="${n}"`],
      ['text', (n) => `'${n}`],
      ['mark', (n) => `\u200e${n}\ufeff`],
    ];
    const parts = ['', ' ', '-', '.', '/', '\u00a0', '\u2011', ' - '];
    const digits = [
      (n: string) => n,
      (n: string) => n.replace(/\d/g, (d) => String.fromCodePoint(0xff10 + Number(d))),
      (n: string) => n.replace(/\d/g, (d) => String.fromCodePoint(0x660 + Number(d))),
      (n: string) => n.replace('+', '＋'),
    ];
    const separated = (number: string, places: number[], part: string): string =>
      [...number]
        .map((sign, at) => sign + (places.includes(at) && at > 0 && at < number.length - 1 ? part : ''))
        .join('');
    fc.assert(
      fc.property(
        fc.constantFrom(...SURE),
        fc.constantFrom('plus', 'prefix', 'national'),
        fc.constantFrom(...wraps),
        fc.constantFrom(...parts),
        fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 4 }),
        fc.constantFrom(...digits),
        ([e164, country, national, prefix], kind, [, wrap, needsPrefix], part, places, write) => {
          // Digits without a plus or a prefix may be an account's name at a host.
          const bare = needsPrefix && kind === 'national' && !national.startsWith('0');
          const form = kind === 'plus' || bare ? e164 : kind === 'prefix' ? prefix + e164.slice(1) : national;
          // Four groups with points may be an address of the Internet.
          const inner = write(separated(form, [...new Set(places)], part));
          const text = wrap(inner);
          // Behind a slash stands an extension, or the number's end.
          if (part === '/' && /\/\p{Nd}{1,4}$/u.test(inner)) return;
          if (/(^|\P{Nd})\p{Nd}{1,3}(?:\.\p{Nd}{1,3}){3}($|\P{Nd})/u.test(text)) return;
          assert.equal(read(text, country), e164, `${JSON.stringify(text)} in ${country}`);
        },
      ),
      { numRuns: 20_000 },
    );
  });
});

describe('a number that a spreadsheet has made a power of', () => {
  const POWERS = [
    '4.93023E+11',
    '4,93023E+11',
    '4.93E11',
    '5E+11',
    '4.93023e+011',
    '49.3023E+10',
    "'4.93023E+11",
    '"4,9E+11"',
    '+4.93023E+11',
    '<4.93023E+11>',
    '4٫93023E+11',
  ];

  test('is told from names that have an e between digits', () => {
    for (const text of POWERS) assert.ok(isSpreadsheetPower(text), text);
    for (const text of [
      '1e5',
      'e2e4',
      '12e34',
      'sip:1e5@host',
      'agent4.1e1x',
      '4.9302E-5',
      '+49302312504',
      'CE+1',
      'a1.5E+3',
    ])
      assert.ok(!isSpreadsheetPower(text), text);
  });

  const account = { i_account: 1, code: 'a', currency: 'EUR', country: 'DE', closed_from: null };
  const sample = (name: string) =>
    readFileSync(new URL(`../../tests/samples/${name}`, import.meta.url), 'utf8');
  const mapping = parseMapping(['Start (UTC)=start_time', 'Duration=duration_s', 'From=cli', 'To=cld'], 'm');
  const FILES: [FormatName, string, RegExp, Partial<SourceOptions>?][] = [
    ['asterisk-csv', 'asterisk-master.csv', /\+?\d{11,13}(?=",)/],
    ['asterisk-custom', 'asterisk-custom-master.csv', /\+?\d{11,13}(?=",)/],
    ['asterisk-header', 'freepbx.csv', /\+\d{11,13}(?=,)/],
    ['freeswitch-example', 'freeswitch-example.csv', /\+\d{11,13}(?=",)/],
    ['freeswitch-asterisk', 'freeswitch-asterisk.csv', /\+\d{11,13}(?=",)/],
    ['freeswitch-default', 'freeswitch-default.csv', /\+\d{11,13}(?=",)/],
    ['cisco-cucm', 'cucm.csv', /\+\d{11,13}/],
    ['mapped', 'carrier.csv', /\+\d{11,13}/, { mapping }],
    ['freeswitch-json', 'freeswitch-json-cdr.json', /(?<="destination_number": ?")[^"]+/],
  ];
  for (const [format, file, number, options] of FILES) {
    test(`${format}: is set aside for what it is`, () => {
      const reasons = (power: string): Set<string> => {
        const text = sample(file).replaceAll(new RegExp(number, 'g'), power);
        const reader = openSource(format, { timeZone: 'UTC', ...options });
        const taken = [...reader.push(Buffer.from(text)), ...reader.end(true)];
        return new Set(
          taken.map(({ parsed }) => {
            if (parsed.kind === 'rejected') return parsed.rejection.reason;
            const normalized = normalize(parsed.record, account, Date.now(), false);
            return normalized.kind === 'rejected' ? normalized.rejection.reason : '';
          }),
        );
      };
      assert.ok(sample(file).match(number), 'the sample has such a number');
      for (const power of ['4.93023E+11', '5E+11'])
        assert.ok(
          [...reasons(power)].some((reason) => /a spreadsheet cut the number's digits/.test(reason)),
          [...reasons(power)].join(),
        );
    });
  }

  test('freeswitch-json: a number of JSON too', () => {
    const text = sample('freeswitch-json-cdr.json').replaceAll(
      /(?<="destination_number": ?)"[^"]+"/g,
      '4.93023E+11',
    );
    const reader = openSource('freeswitch-json', { timeZone: 'UTC' });
    for (const { parsed } of [...reader.push(Buffer.from(text)), ...reader.end(true)]) {
      if (parsed.kind === 'rejected') continue;
      const normalized = normalize(parsed.record, account, Date.now(), false);
      assert.match(normalized.kind === 'rejected' ? normalized.rejection.reason : '', /a spreadsheet cut/);
    }
  });

  test('a post: text and number', () => {
    const post = { account: 'a', start_time: '2026-03-02T09:04:54Z', duration_s: 5, cld: '+442079460123' };
    for (const cli of POWERS) {
      const parsed = recordFromFields({ ...post, cli }, new Map());
      assert.equal(parsed.kind, 'record');
      const normalized = normalize(
        (parsed as { record: Parameters<typeof normalize>[0] }).record,
        account,
        Date.now(),
        false,
      );
      assert.match(
        normalized.kind === 'rejected' ? normalized.rejection.reason : '',
        /^cli is .* a spreadsheet cut/,
        cli,
      );
    }
    const number = recordFromFields({ ...post, cli: 493023000000 }, new Map());
    assert.match(JSON.stringify(number), /cli must be a text in quotes: a number loses its plus/);
  });
});
