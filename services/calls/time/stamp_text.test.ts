import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type DateOrder, readStamp } from './stamp_text.ts';

/** What a stamp is: an instant with its Z, a wall clock without. */
function read(text: string, order?: DateOrder): string {
  const stamp = readStamp(text, order);
  if (stamp.kind === 'bad' || stamp.kind === 'absent') return stamp.kind;
  const iso = new Date(stamp.ms).toISOString();
  return stamp.kind === 'instant' ? iso : iso.slice(0, -1);
}

const reasonFor = (text: string, order?: DateOrder): string => {
  const stamp = readStamp(text, order);
  return stamp.kind === 'bad' ? stamp.reason : assert.fail(`${text} was read as ${read(text, order)}`);
};

describe('forms', () => {
  const MORNING = '2026-03-02T09:04:54.000';
  const EVENING = '2026-03-02T21:04:54.000';
  const forms: [what: string, text: string, is: string, order?: DateOrder][] = [
    ['ISO 8601, basic', '20260302T090454Z', `${MORNING}Z`],
    ['ISO 8601, basic, with an offset', '20260302T100454+0100', `${MORNING}Z`],
    ['ISO 8601, comma', '2026-03-02T09:04:54,123Z', '2026-03-02T09:04:54.123Z'],
    ['RFC 9557', '2026-03-02T10:04:54+01:00[Europe/Berlin]', `${MORNING}Z`],
    ['RFC 5322', 'Mon, 02 Mar 2026 10:04:54 +0100', `${MORNING}Z`],
    ['RFC 5322, a comment', 'Mon,  2 Mar 2026 10:04:54 +0100 (CET)', `${MORNING}Z`],
    ['RFC 9110', 'Mon, 02 Mar 2026 09:04:54 GMT', `${MORNING}Z`],
    ['RFC 850, whose weekday proves the order', 'Monday, 02-Mar-26 09:04:54 GMT', `${MORNING}Z`],
    ['asctime', 'Mon Mar  2 09:04:54 2026', MORNING],
    ['date', 'Mon Mar  2 09:04:54 UTC 2026', `${MORNING}Z`],
    ['date, of 12 hours', 'Mon Mar  2 09:04:54 PM UTC 2026', `${EVENING}Z`],
    ['PostgreSQL', '2026-03-02 10:04:54+01', `${MORNING}Z`],
    ['PostgreSQL, DateStyle Postgres', 'Mon 02 Mar 09:04:54 2026 UTC', `${MORNING}Z`],
    ['Oracle', '02-MAR-26 09.04.54.000000 PM', EVENING, 'dmy'],
    ['SQL Server', 'Mar  2 2026  9:04:54:123PM', '2026-03-02T21:04:54.123'],
    ['DB2', '2026-03-02-09.04.54.000000', MORNING],
    ['SAS', '02MAR2026:09:04:54', MORNING],
    ['Apache', '02/Mar/2026:10:04:54 +0100', `${MORNING}Z`],
    ['JavaScript', 'Mon Mar 02 2026 10:04:54 GMT+0100 (Central European Standard Time)', `${MORNING}Z`],
    ['Go', '2026-03-02 10:04:54.0 +0100 CET', `${MORNING}Z`],
    ['Ruby', '2026-03-02 09:04:54 UTC', `${MORNING}Z`],
    ['.NET', '2026-03-02T09:04:54.1230000+00:00', '2026-03-02T09:04:54.123Z'],
    ['Excel in the US', '3/2/2026 9:04:54 PM', EVENING, 'mdy'],
    ['Excel, its narrow blank', '3/2/2026 9:04:54\u202fPM', EVENING, 'mdy'],
    ['ICU', 'Mar 2, 2026, 9:04:54\u202fPM', EVENING],
    ['ICU, long', 'March 2, 2026 at 9:04:54 PM', EVENING],
    ['ICU in British', '2 Mar 2026, 09:04:54', MORNING],
    ['ICU in German', '02.03.26, 09:04:54', MORNING, 'dmy'],
    ['ICU in Finnish', '2.3.2026 9.04.54', MORNING, 'dmy'],
    ['ICU in Spanish', '2/3/2026, 9:04:54 p. m.', EVENING, 'dmy'],
    ['two digits, the year first', '26/3/2 09:04:54', MORNING, 'ymd'],
    ['a portal', '03/02/2026 09:04:54 am', MORNING, 'mdy'],
    ['no separators', '20260302090454', MORNING],
    ['no separators, milliseconds', '20260302090454123', '2026-03-02T09:04:54.123'],
    ['ASN.1, as in TAP files', '260302100454+0100', `${MORNING}Z`],
    ['Cisco', '*09:04:54.000 UTC Mon Mar 2 2026', `${MORNING}Z`],
    ['the time first', '9:04:54 PM 03/02/2026', EVENING, 'mdy'],
    ['an offset of one digit', '2026-03-02 10:04:54 GMT+1', `${MORNING}Z`],
    ['a minus of Unicode', '2026-03-02 08:04:54 \u221201:00', `${MORNING}Z`],
    ['epoch in ns', '1772442294123000000', '2026-03-02T09:04:54.123Z'],
    ['epoch with a comma', '1772442294,5', '2026-03-02T09:04:54.500Z'],
    ['unseen marks', '\u200e3\u200e/\u200e2\u200e/\u200e2026 09:04:54', MORNING, 'mdy'],
  ];
  for (const [what, text, is, order] of forms)
    test(`${what}: ${JSON.stringify(text)}`, () => assert.equal(read(text, order), is));

  test('the clock of 12 hours: noon and midnight are 12, and 13 PM is no hour', () => {
    const hours: [string, string][] = [
      ['12:00 AM', '00:00'],
      ['12:59 am', '00:59'],
      ['0:30 AM', '00:30'],
      ['1:00 a.m.', '01:00'],
      ['11:59 A', '11:59'],
      ['12:00 PM', '12:00'],
      ['12:30 pm', '12:30'],
      ['1:00 p.m.', '13:00'],
      ['11:59 PM', '23:59'],
    ];
    for (const [text, hour] of hours)
      assert.equal(read(`2026-03-02 ${text}`), `2026-03-02T${hour}:00.000`, text);
    for (const text of ['13:00 PM', '21:04 PM', '0:30 PM', '13:00 AM', '24:00'])
      assert.match(reasonFor(`2026-03-02 ${text}`), /no time of day/, text);
  });
});

describe('what could be read in two ways is refused, and says what would tell', () => {
  test('a date of numbers whose order nobody told, even where one order alone is possible', () => {
    for (const text of [
      '03/04/2026 22:41',
      '25/12/2026 22:41',
      '03.03.2026 22:41',
      '26/3/2 22:41',
      '02-Mar-26 22:41',
    ])
      assert.match(reasonFor(text), /in an unknown order; say --date-order dmy, mdy or ymd/, text);
  });

  test('one that is no date in any order says that, and no order is asked for', () => {
    for (const text of ['31.02.2026 10:00', '32/01/2026 10:00', '13/13/13 10:00', '31-Feb-34 10:00']) {
      assert.match(reasonFor(text), /is no date: in no order/, text);
      assert.doesNotMatch(reasonFor(text), /--date-order/, text);
    }
    assert.match(reasonFor('yesterday'), /with a date order also DD\.MM\.YYYY/);
  });

  test('a date that the order told does not fit; a year of four digits in front needs none', () => {
    for (const [text, order] of [
      ['25/12/2026 1:02', 'mdy'],
      ['12/25/2026 1:02', 'dmy'],
      ['03/02/2026 1:02', 'ymd'],
      ['31/04/2026 1:02', 'dmy'],
      ['3/2/6 1:02', 'mdy'],
    ] as const)
      assert.match(reasonFor(text, order), new RegExp(`in the order ${order} of --date-order`));
    for (const order of [undefined, 'dmy', 'mdy', 'ymd'] as const)
      assert.equal(read('2026/3/2 1:02', order), '2026-03-02T01:02:00.000');
  });

  test('digits that an epoch has, of which a date can be made or that are too late for one', () => {
    for (const text of [
      '2603020904', // YYMMDDHHMM
      '2026030209', // YYYYMMDDHH
      '2603020904541', // with tenths of a second
      '2026030209045404', // with hundredths
      '3981431094', // NTP
      '3855287094.5', // of 1904
    ])
      assert.equal(read(text), 'bad', text);
    assert.equal(read('1999999999'), '2033-05-18T03:33:19.000Z');
  });

  test('zones by their letters, but for UTC and GMT', () => {
    for (const letters of ['CET', 'EST', 'IST', 'BST', 'CEST'])
      assert.match(reasonFor(`2026-03-02 09:04:54 ${letters}`), /letters.*--time-zone/);
    assert.match(reasonFor('Mon Mar  2 09:04:54 CET 2026'), /letters/);
    assert.equal(read('2026-03-02 09:04:54 (CET)'), 'bad');
    assert.equal(read('2026-03-02 09:04:54 [Europe/Berlin]'), 'bad');
  });

  test('a weekday that is not the date’s', () => {
    assert.match(reasonFor('Tue, 02 Mar 2026 09:04:54 +0100'), /weekday/);
    assert.match(reasonFor('Tue Mar  2 09:04:54 2026'), /weekday/);
  });

  test('digits of other lengths, dates without a time, months of other languages', () => {
    for (const text of ['202603020904', '260302090454', '201203040506Z', '46083.378', '2 März 2026 9:04'])
      assert.equal(read(text), 'bad', text);
    for (const text of ['2026-03-02', '20260302', '02-Mar-2026', '3/2/2026'])
      assert.match(reasonFor(text), /no time of day/, text);
  });
});

describe('any instant, printed in any form', () => {
  const two = (value: number) => String(value).padStart(2, '0');
  const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
  const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
  type Printed = { text: string; order?: DateOrder };
  /** A date, a time of day, and what joins them, each printed by one of many programs. */
  const dates: ((at: Date) => Printed)[] = [
    ...(['-', '/', '.'] as const).map((s) => (at: Date) => ({
      text: [at.getUTCFullYear(), two(at.getUTCMonth() + 1), two(at.getUTCDate())].join(s),
    })),
    ...(['-', '/', '.'] as const).flatMap((s) => [
      (at: Date): Printed => ({
        text: [at.getUTCDate(), at.getUTCMonth() + 1, at.getUTCFullYear()].join(s),
        order: 'dmy',
      }),
      (at: Date): Printed => ({
        text: [two(at.getUTCMonth() + 1), two(at.getUTCDate()), at.getUTCFullYear()].join(s),
        order: 'mdy',
      }),
      (at: Date): Printed => ({
        text: [two(at.getUTCFullYear() % 100), at.getUTCMonth() + 1, at.getUTCDate()].join(s),
        order: 'ymd',
      }),
      (at: Date): Printed => ({
        text: [at.getUTCDate(), MONTHS[at.getUTCMonth()], at.getUTCFullYear()].join(s),
      }),
      (at: Date): Printed => ({
        text: [at.getUTCDate(), MONTHS[at.getUTCMonth()]!.toUpperCase(), two(at.getUTCFullYear() % 100)].join(
          s,
        ),
        order: 'dmy',
      }),
    ]),
    (at) => ({
      text: `${DAYS[at.getUTCDay()]}, ${at.getUTCDate()} ${MONTHS[at.getUTCMonth()]} ${at.getUTCFullYear()}`,
    }),
    (at) => ({ text: `${MONTHS[at.getUTCMonth()]} ${at.getUTCDate()}, ${at.getUTCFullYear()}` }),
    (at) => ({ text: `${at.getUTCFullYear()}${two(at.getUTCMonth() + 1)}${two(at.getUTCDate())}` }),
  ];
  const clocks: ((at: Date) => string)[] = [
    (at) => `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())}`,
    (at) => `${at.getUTCHours()}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())}`,
    ...[' AM', ' am', '\u202fAM', '\u00a0a.m.', 'AM', ' A'].map((half) => (at: Date) => {
      const hour = at.getUTCHours();
      const written = hour < 12 ? half : half.replace(/a/i, (a) => (a === 'a' ? 'p' : 'P'));
      return `${hour % 12 || 12}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())}${written}`;
    }),
  ];
  const zones: [text: string, minutes: number | null][] = [
    ['', null],
    ['Z', 0],
    [' UTC', 0],
    [' GMT', 0],
    [' +01:00', 60],
    ['-0330', -210],
    ['+13', 780],
    [' UTC+5', 300],
    [' GMT-05:30', -330],
  ];

  test('is read back exactly in its order, and never as another in a file whose order is not told', () => {
    const at = fc.integer({ min: 86_400, max: 2 ** 31 - 86_400 * 2 });
    const any = fc.tuple(
      at,
      fc.constantFrom(...dates),
      fc.constantFrom(' ', ', ', 'T', '  '),
      fc.constantFrom(...clocks),
      fc.constantFrom(...zones),
    );
    fc.assert(
      fc.property(any, ([seconds, date, between, clock, [zone, minutes]]) => {
        const shown = new Date((seconds + (minutes ?? 0) * 60) * 1000);
        const { text: day, order } = date(shown);
        const text = `${day}${between}${clock(shown)}${zone}`;
        const is =
          minutes === null ? shown.toISOString().slice(0, -1) : new Date(seconds * 1000).toISOString();
        assert.equal(read(text, order), is, text);
        // What has an order of its own is the same in each; what has none is refused without it.
        for (const other of [undefined, 'dmy', 'mdy', 'ymd'] as const) {
          if (order === undefined) assert.equal(read(text, other), is, text);
          else if (other === undefined && !/^[a-z]/i.test(day)) assert.equal(read(text), 'bad', text);
        }
      }),
      { numRuns: 20_000 },
    );
  });

  test('and no text makes it throw, nor takes long', () => {
    const part = fc.constantFrom(
      '2',
      '03',
      '2026',
      ':',
      '/',
      ' ',
      'Mar',
      'PM',
      '+',
      'UTC',
      'T',
      '.',
      ',',
      '(',
      '-',
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 40 }), (parts) => {
        readStamp(parts.join(''), 'dmy');
      }),
      { numRuns: 20_000 },
    );
    const started = performance.now();
    for (const long of ['1:1 ', 'Mar ', '1/', ' ', '09:04:54 ', 'a 1 ', '('])
      readStamp(long.repeat(20_000), 'dmy');
    assert.ok(performance.now() - started < 1000);
  });
});

test('what needs an option is set aside with a reason that names it', () => {
  const reasons: [text: string, names: RegExp][] = [
    ['46083.378402777', /:excel/],
    ['46083', /:excel/],
    ['2026-03-02T09:04:54[Europe/Berlin]', /--time-zone/],
    ['2026-03-02 09:04:54 America/New_York', /--time-zone/],
    ['02 Mar 2026 09:04:54 Europe/London', /--time-zone/],
    ['2026-03-02 09:04:54 MEZ', /--time-zone/],
    ['.09:04:54.123 CET Mon Mar 2 2026', /--time-zone/],
    ['02-MAR-26 09.04.54.000000 AM', /--date-order/],
    ['2.3.2026 9:04', /--date-order/],
  ];
  for (const [text, names] of reasons) assert.match(reasonFor(text), names, text);
  assert.doesNotMatch(reasonFor('2026-03-02 9h04'), /:excel/);
});
