/**
 * What SIP, ISDN, PBXs, telephones and people put around a number: it is read as that number or kept as written, never as
 * another.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createNumberReader, directionOf } from './numbers.ts';

const reader = createNumberReader();
const read = (text: string, country: string | null) => reader.read(text, country).number;

/** Numbers for fiction, as their countries dial them. */
interface Sure {
  readonly e164: string;
  readonly country: string;
  readonly national: string;
  readonly abroad: string;
}
const SURE: readonly Sure[] = [
  { e164: '+493023125042', country: 'DE', national: '03023125042', abroad: '00' },
  { e164: '+442079460123', country: 'GB', national: '02079460123', abroad: '00' },
  { e164: '+12025550142', country: 'US', national: '12025550142', abroad: '011' },
  { e164: '+33142685300', country: 'FR', national: '0142685300', abroad: '00' },
  { e164: '+34912345678', country: 'ES', national: '912345678', abroad: '00' },
  { e164: '+61491570156', country: 'AU', national: '0491570156', abroad: '0011' },
  { e164: '+81312345678', country: 'JP', national: '0312345678', abroad: '010' },
];

describe('a decoration is read off, or the text is kept', () => {
  /** null: kept as written. */
  const table: [written: string, country: string, stored: string | null][] = [
    // To show one's own number or not, for this call.
    ['*31#112', 'DE', '112'],
    ['#31#112', 'DE', '112'],
    ['#31#110', 'DE', null],
    ['*67911', 'US', '911'],
    ['*82911', 'US', '911'],
    ['*82 202 555 0142', 'US', '+12025550142'],
    ['*670', 'US', null],
    ['#31#0142685300', 'FR', '+33142685300'],
    ['*31*03023125042', 'DE', '+493023125042'],
    ['14102079460123', 'GB', '+442079460123'],
    ['141 020 7946 0123', 'GB', '+442079460123'],
    ['141+442079460123', 'GB', '+442079460123'],
    ['147002079460123', 'GB', '+442079460123'],
    ['141999', 'GB', null],
    ['14102079', 'GB', null],
    ['18310491570156', 'AU', '+61491570156'],
    ['1831 (02) 5550 1234', 'AU', '+61255501234'],
    ['1831', 'AU', null],
    ['1840312345678', 'JP', '+81312345678'],
    ['186 03-1234-5678', 'JP', '+81312345678'],
    ['184110', 'JP', null],
    ['36510142685300', 'FR', '+33142685300'],
    ['365 0142685300', 'FR', null],
    ['3651', 'FR', null],
    ['067912345678', 'ES', '+34912345678'],
    ['067112', 'ES', null],
    ['116712025550142', 'US', '+12025550142'],
    ['1182 202 555 0142', 'US', '+12025550142'],
    ['14102079460123', 'DE', null],
    ['13325212345', 'HK', null],
    // By which carrier, or by which line out.
    ['101028812025550142', 'US', '+12025550142'],
    ['10-10-288-1-202-555-0142', 'US', '+12025550142'],
    ['1010288011442079460123', 'US', '+442079460123'],
    ['1010288#', 'US', null],
    ['0103303023125042', 'DE', '+493023125042'],
    ['01033 030 23125042', 'DE', '+493023125042'],
    ['01001300442079460123', 'DE', '+442079460123'],
    ['9,12025550142', 'US', '+12025550142'],
    ['9w12025550142', 'US', '+12025550142'],
    ['0,03023125042', 'DE', '+493023125042'],
    ['9p02079460123', 'GB', '+442079460123'],
    ['9 1 202 555 0142', 'US', null],
    ['912025550142', 'US', null],
    ['00 030 23125042', 'DE', null],
    // The way abroad.
    ['0 0 49 30 23125042', 'FR', '+493023125042'],
    ['00 49 (0)30 23125042', 'FR', '+493023125042'],
    ['011-49-30-23125042', 'US', '+493023125042'],
    ['0011 44 20 7946 0123', 'AU', '+442079460123'],
    ['+44 020 7946 0123', 'GB', '+442079460123'],
    ['+44(0)20 7946 0123', 'US', '+442079460123'],
    ['00+493023125042', 'DE', null],
    ['000493023125042', 'DE', null],
    ['8~10 49 30 23125042', 'RU', null],
    // What is dialled afterwards, and whose it is.
    ['+493023125042 (Ann)', 'DE', '+493023125042'],
    ['03023125042 (Büro, 2. Stock)', 'DE', null],
    ['(Ann) +493023125042', 'DE', null],
    ['+493023125042,,123#', 'DE', '+493023125042'],
    ['12025550142ppp123#', 'US', '+12025550142'],
    ['12025550142,,,9876543210#', 'US', '+12025550142'],
    ['+493023125042;postd=123', 'DE', '+493023125042'],
    ['+493023125042 ext. 12', 'DE', '+493023125042'],
    ['+49 30 23125042/1002', 'DE', null],
    ['030 23125042/12', 'DE', null],
    ['030/23125042', 'DE', '+493023125042'],
    ['+49 30/23125042', 'DE', '+493023125042'],
    ['+493023125042*12', 'DE', null],
    ['+493023125042 Durchwahl 12', 'DE', null],
    ['+493023125042 03023125043', 'DE', null],
    ['+493023125042,+442079460123', 'DE', null],
    // SIP and tel:.
    ['<sip:+12025550142@10.0.0.1;user=phone>;party=calling;screen=yes;privacy=off', 'US', '+12025550142'],
    ['<tel:+12025550142>;verstat=TN-Validation-Passed', 'US', '+12025550142'],
    ['+12025550142;verstat=TN-Validation-Passed-A@h', 'US', '+12025550142'],
    ['sip:+12025550142;npdi;rn=+1202@h;user=phone', 'US', '+12025550142'],
    ['tel:+1-202-555-0142;npdi;rn=+12025550100;cic=+1-6789', 'US', '+12025550142'],
    ['tel:+12025550142;isub=123;ext=4', 'US', '+12025550142'],
    ['"Ann O\'Neil" <sip:2025550142@h;user=phone>', 'US', '+12025550142'],
    ['sip:011493023125042@h;user=phone', 'US', '+493023125042'],
    ['sip:112@h;user=phone', 'DE', '112'],
    ['112@h', 'DE', null],
    ['sip:+12025550142:secret@h', 'US', null],
    ['tel:555-0142;phone-context=+1202', 'US', null],
    ['sip:12025550142;phone-context=+1@h;user=phone', 'US', null],
  ];
  for (const [written, country, stored] of table)
    test(`${written} in ${country}`, () => assert.equal(read(written, country), stored ?? written));
});

test('an emergency call behind a code to hide the number leaves by the network', () => {
  assert.equal(directionOf('1001', read('*31#112', 'DE')), 'outbound');
  assert.equal(directionOf('1001', read('*67911', 'US')), 'outbound');
});

test('decorations of all kinds, also upon each other, never make another number', () => {
  const FRONT = [
    '',
    '',
    '*31#',
    '#31#',
    '*31*',
    '9,',
    '9w',
    '0,',
    '9 ',
    '8',
    '*43*',
    '**21*',
    '(Ann) ',
    'Tel. ',
    'tel:',
  ];
  FRONT.push('TEL:', 'sip:', 'callto:', 'im:', 'E164:', '#', "'", '=');
  /** Digits that are dialled in front of a number; elsewhere they may begin another. */
  const CODES: Record<string, readonly string[]> = {
    DE: ['01033', '010013', '01033 '],
    GB: ['141', '1470', '141 '],
    US: ['*67', '*82', '1167', '1182', '1010288', '10-10-288-'],
    FR: ['3651'],
    ES: ['067'],
    AU: ['1831', '1832'],
    JP: ['184', '186'],
  };
  const BEHIND = [
    '',
    ' (Ann)',
    ',,123#',
    'p12',
    'w1',
    ';ext=12',
    ' ext. 12',
    ' x5',
    '/12',
    ' /1002',
    '/0',
    '#',
    '*12',
  ];
  BEHIND.push(
    '#12',
    ';postd=123',
    ';phone-context=+1',
    ';npdi;rn=+12025550100',
    '@10.0.0.1',
    '@pbx;user=phone',
    ':5060',
  );
  BEHIND.push(
    ' Nst. 12',
    ' poste 3',

    ',00',
    '²',
    '+',
    'A',
    '\u200e',
    ' / +442079460999',
    ';+442079460999',
  );
  const AROUND: readonly ((text: string) => string)[] = [
    (text) => text,
    (text) => `"Ann, 2" <${text}>`,
    (text) => `<${text}>;tag=1`,
    (text) => `<sip:${text}@h:5060;user=phone>`,
    (text) => `="${text}"`,
    (text) => ` ${text} `,
    (text) => `[${text}]`,
  ];
  const forms = ({ e164, national, abroad }: Sure) => [e164, national, abroad + e164.slice(1)];
  fc.assert(
    fc.property(
      fc.constantFrom(...SURE),
      fc.nat(2),
      fc.array(fc.constantFrom(...FRONT), { maxLength: 2 }),
      fc.option(fc.nat(5)),
      fc.array(fc.constantFrom(...BEHIND), { maxLength: 2 }),
      fc.constantFrom(...AROUND),
      (sure, form, front, code, behind, around) => {
        const codes = code === null ? [] : CODES[sure.country]!;
        const prefix = codes.length === 0 ? '' : codes[code! % codes.length];
        const written = around(`${front.join('')}${prefix}${forms(sure)[form]}${behind.join('')}`);
        const { number } = reader.read(written, sure.country);
        if (number === written.trim()) return;
        assert.equal(number, sure.e164, `${JSON.stringify(written)} in ${sure.country}`);
      },
    ),
    { numRuns: 20_000 },
  );
});
