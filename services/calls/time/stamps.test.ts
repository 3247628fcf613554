import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Temporal } from 'temporal-polyfill';
import { type CallClock, createCallClock, isTimeZone, type WrittenTimes } from './stamps.ts';
import { zoneRules } from './zone_rules.ts';

const ZONES = [
  'Europe/Berlin',
  'America/New_York',
  'Asia/Kathmandu',
  'Australia/Lord_Howe',
  'Pacific/Apia',
  'Africa/Monrovia',
  'America/St_Johns',
  'Africa/Casablanca',
  'Asia/Gaza',
  'Antarctica/Troll',
  'America/Sao_Paulo',
  'UTC',
];
const LAST_INSTANT = Date.UTC(2099, 11, 31);

/** What a wall clock in the zone shows at an instant; temporal-polyfill is the judge. */
function wall(instantMs: number, zone: string): string {
  const shown = Temporal.Instant.fromEpochMilliseconds(instantMs).toZonedDateTimeISO(zone).toPlainDateTime();
  return shown.toString({ fractionalSecondDigits: 3 }).replace('T', ' ');
}

function row(start: string, disconnect = '', durationS = 0, more: Partial<WrittenTimes> = {}): WrittenTimes {
  return { start, connect: '', disconnect, durationS, ...more };
}

function times(clock: CallClock, written: WrittenTimes) {
  const resolved = clock.resolve(written);
  assert.equal(resolved.kind, 'times', JSON.stringify(resolved));
  return resolved.kind === 'times' ? resolved : assert.fail();
}

function iso(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}

function rejection(clock: CallClock, written: WrittenTimes) {
  const resolved = clock.resolve(written);
  assert.equal(resolved.kind, 'rejected', JSON.stringify(resolved));
  return resolved.kind === 'rejected' ? resolved.rejection : assert.fail();
}

describe('zones', () => {
  test('names are IANA names in their own spelling', () => {
    for (const name of [
      ...ZONES,
      'Asia/Katmandu',
      'Etc/GMT+5',
      'US/Eastern',
      'GB',
      'CET',
      'America/Port-au-Prince',
    ]) {
      assert.equal(isTimeZone(name), true, name);
    }
    const not = [
      '',
      'europe/berlin',
      'EUROPE/BERLIN',
      '+01:00',
      'Z',
      'BST',
      'PST',
      'Mars/Olympus',
      'local',
      ' UTC',
    ];
    for (const name of [...not, 'Europe/Berlin\0', 'a'.repeat(10_000)])
      assert.equal(isTimeZone(name), false, name);
  });

  test('a clock of an unknown zone is refused by name, with the right spelling where there is one', () => {
    assert.throws(() => createCallClock('europe/berlin'), /europe\/berlin.*spelled Europe\/Berlin/);
    assert.throws(() => createCallClock('+02:00'), RangeError);
  });

  const known: [zone: string, text: string, instant: string][] = [
    ['Europe/Berlin', '2026-07-01 12:00:00', '2026-07-01T10:00:00.000Z'],
    ['Asia/Kathmandu', '2026-01-01 00:00:00', '2025-12-31T18:15:00.000Z'],
    ['Asia/Kathmandu', '1985-12-31 12:00:00', '1985-12-31T06:30:00.000Z'],
    ['America/St_Johns', '2026-07-01 12:00:00', '2026-07-01T14:30:00.000Z'],
    ['Africa/Monrovia', '1971-06-01 12:00:00', '1971-06-01T12:44:30.000Z'],
    ['Africa/Monrovia', '1973-06-01 12:00:00', '1973-06-01T12:00:00.000Z'],
    ['Pacific/Apia', '2011-12-29 23:59:59', '2011-12-30T09:59:59.000Z'],
    ['Pacific/Apia', '2011-12-31 00:00:00', '2011-12-30T10:00:00.000Z'],
    ['Africa/Casablanca', '2025-03-10 12:00:00', '2025-03-10T12:00:00.000Z'],
    ['Africa/Casablanca', '2025-05-10 12:00:00', '2025-05-10T11:00:00.000Z'],
  ];
  for (const [zone, text, instant] of known) {
    test(`${zone} ${text} is ${instant}`, () => {
      const found = times(createCallClock(zone), row(text));
      assert.deepEqual([iso(found.startTime), found.flags], [instant, []]);
    });
  }

  const skipped: [zone: string, text: string, instant: string][] = [
    ['Europe/Berlin', '2026-03-29 02:30:00', '2026-03-29T01:30:00.000Z'],
    ['America/New_York', '2026-03-08 02:00:00', '2026-03-08T07:00:00.000Z'],
    ['Australia/Lord_Howe', '2026-10-04 02:15:00', '2026-10-03T15:45:00.000Z'],
    ['Pacific/Apia', '2011-12-30 12:00:00', '2011-12-30T22:00:00.000Z'],
    ['Africa/Monrovia', '1972-01-07 00:30:00', '1972-01-07T01:14:30.000Z'],
  ];
  for (const [zone, text, instant] of skipped) {
    test(`${zone} skipped ${text}: read with the offset before the gap and flagged`, () => {
      const found = times(createCallClock(zone), row(text));
      assert.deepEqual([iso(found.startTime), found.flags], [instant, ['nonexistent_time']]);
    });
  }

  function assertReadBack(zone: string, at: number): void {
    const text = Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(zone).toPlainDateTime();
    const wallMs = Date.parse(`${text.toString({ fractionalSecondDigits: 3 })}Z`);
    const found = zoneRules(zone)(wallMs);
    if (typeof found === 'number') assert.equal(iso(wallMs - found), iso(at), zone);
    else assert.ok(found.before > found.after && [wallMs - found.before, wallMs - found.after].includes(at));
  }

  test('every zone reads every instant back, change or not', () => {
    const zone = fc.constantFrom(...Intl.supportedValuesOf('timeZone'));
    const readBack = fc.property(zone, instantNearChange, (name, pick) => assertReadBack(name, pick(name)));
    fc.assert(readBack, { numRuns: 600 });
  });

  test('also where a change and its wall clock lie in two of the slices that the rules are kept in', () => {
    const SLICE_MS = 2 ** 35;
    for (const zone of ['America/Nuuk', 'Asia/Beirut', 'Asia/Jerusalem', 'America/Scoresbysund']) {
      for (let edge = SLICE_MS; edge < LAST_INSTANT; edge += SLICE_MS) {
        for (let minutes = -180; minutes <= 180; minutes += 60) assertReadBack(zone, edge + minutes * 60_000);
      }
    }
  });
});

/** Half of the instants within two hours of a change of the zone, where it has one. */
const instantNearChange = fc
  .record({
    any: fc.integer({ min: 0, max: LAST_INSTANT }),
    near: fc.boolean(),
    by: fc.integer({ min: -7_200_000, max: 7_200_000 }),
  })
  .map(({ any, near, by }) => (zone: string) => {
    const from = Temporal.Instant.fromEpochMilliseconds(any).toZonedDateTimeISO(zone);
    const change = near ? from.getTimeZoneTransition('previous') : null;
    return Math.min(Math.max(change === null ? any : change.epochMilliseconds + by, 0), LAST_INSTANT);
  });

describe('evidence for the repeated hour', () => {
  // Berlin, 25 October 2026: 02:00 to 03:00 comes at 00:00Z (summer time) and again at 01:00Z.
  const FIRST = '2026-10-25T00:30:00.000Z';
  const SECOND = '2026-10-25T01:30:00.000Z';
  const AT = '2026-10-25 02:30:00';

  test('(a) the known start tells the pass', () => {
    for (const instant of [FIRST, SECOND]) {
      const known = { knownStartS: Date.parse(instant) / 1000 };
      const found = times(createCallClock('Europe/Berlin'), row(AT, '2026-10-25 02:31:00', 60, known));
      assert.deepEqual([iso(found.startTime), found.flags], [instant, []]);
      assert.equal(found.disconnectTime, Date.parse(instant) + 60_000);
    }
  });

  test('(a) a call that starts before its channel was made is none', () => {
    const known = { knownStartS: Date.parse('2026-10-25T00:50:00Z') / 1000 };
    const found = times(createCallClock('Europe/Berlin'), row(AT, '', 5, known));
    assert.deepEqual([iso(found.startTime), found.flags], [SECOND, []]);
  });

  test('(b) a call into, over and out of the hour decides itself', () => {
    const cases: [WrittenTimes, string, string][] = [
      [row('2026-10-25 01:50:00', AT, 40 * 60), '2026-10-24T23:50:00.000Z', FIRST],
      [row('2026-10-25 01:50:00', AT, 100 * 60), '2026-10-24T23:50:00.000Z', SECOND],
      [
        row('2026-10-25 02:50:00', '2026-10-25 02:10:00', 20 * 60),
        '2026-10-25T00:50:00.000Z',
        '2026-10-25T01:10:00.000Z',
      ],
      [row(AT, '2026-10-25 03:10:00', 100 * 60), FIRST, '2026-10-25T02:10:00.000Z'],
      [row(AT, '2026-10-25 03:10:00', 40 * 60), SECOND, '2026-10-25T02:10:00.000Z'],
    ];
    for (const [written, start, end] of cases) {
      const found = times(createCallClock('Europe/Berlin'), written);
      assert.deepEqual([iso(found.startTime), iso(found.disconnectTime), found.flags], [start, end, []]);
    }
  });

  test('(c) ends that step back begin the second pass; small steps do not', () => {
    const clock = createCallClock('Europe/Berlin');
    const ends = [
      '02:05:00',
      '02:50:00',
      '02:44:00',
      '02:55:00',
      '02:03:00',
      '02:01:00',
      '02:59:00',
      '03:00:00',
    ];
    const found = ends.map((end) => {
      const at = times(clock, row(`2026-10-25 ${end}`, `2026-10-25 ${end}`, 0));
      return [iso(at.disconnectTime)?.slice(11, 16), at.flags.length];
    });
    assert.deepEqual(found, [
      ['00:05', 1],
      ['00:50', 1],
      ['00:44', 1],
      ['00:55', 1],
      ['01:03', 0],
      ['01:01', 0],
      ['01:59', 0],
      ['02:00', 0],
    ]);
  });

  test('(c) a record of the first pass written seconds after the change is left to chance and says so', () => {
    const clock = createCallClock('Europe/Berlin');
    for (const end of ['02:59:58', '02:00:02']) times(clock, row(`2026-10-25 ${end}`, `2026-10-25 ${end}`));
    const found = times(clock, row('2026-10-25 02:59:57', '2026-10-25 02:59:57'));
    assert.deepEqual([iso(found.startTime), found.flags], ['2026-10-25T00:59:57.000Z', ['ambiguous_time']]);
  });

  test('(c) is not used in a source that is not in the order of ends', () => {
    const clock = createCallClock('Europe/Berlin');
    for (let hour = 23; hour > 2; hour--) {
      times(clock, row(`2026-10-24 ${String(hour).padStart(2, '0')}:00:00`));
      times(clock, row('2026-10-24 23:30:00'));
    }
    times(clock, row('2026-10-25 03:00:30'));
    for (const minute of [55, 50, 30, 10]) {
      const text = `2026-10-25 02:${minute}:00`;
      assert.deepEqual(times(clock, row(text, text)).flags, ['ambiguous_time']);
    }
  });

  test('(c) one date of the far future does not spoil the order for the rest of the file', () => {
    const clock = createCallClock('Europe/Berlin');
    for (let i = 0; i < 400; i++)
      times(clock, row(`2026-10-24 12:${String(Math.floor(i / 10)).padStart(2, '0')}:00`));
    times(clock, row('2088-01-01 00:00:00'));
    for (let i = 0; i < 20; i++) times(clock, row('2026-10-24 13:00:00'));
    times(clock, row('2026-10-25 02:59:00', '2026-10-25 02:59:00'));
    const found = times(clock, row('2026-10-25 02:00:00', '2026-10-25 02:00:00'));
    assert.deepEqual([iso(found.startTime), found.flags], ['2026-10-25T01:00:00.000Z', []]);
  });

  test('(d) nothing tells: the first, flagged', () => {
    const found = times(createCallClock('Europe/Berlin'), row(AT, '2026-10-25 02:31:00', 60));
    assert.deepEqual([iso(found.startTime), found.flags], [FIRST, ['ambiguous_time']]);
  });

  test('a connect time lies between start and end', () => {
    const clock = createCallClock('Europe/Berlin');
    const written = row('2026-10-25 01:59:00', '2026-10-25 02:20:00', 21 * 60, {
      connect: '2026-10-25 02:00:10',
    });
    const found = times(clock, written);
    assert.deepEqual([iso(found.connectTime), found.flags], ['2026-10-25T00:00:10.000Z', []]);
  });

  for (const [zone, from, minutes] of [
    ['Europe/Berlin', '2026-10-24T22:00:00Z', 300],
    ['America/New_York', '2026-11-01T04:00:00Z', 240],
    ['Australia/Lord_Howe', '2026-04-04T13:00:00Z', 240],
    ['Africa/Casablanca', '2025-02-23T00:00:00Z', 300],
    ['America/St_Johns', '2010-11-07T00:00:00Z', 420],
  ] as const) {
    test(`${zone}: a night minute by minute, with no evidence but its order, comes out whole`, () => {
      const clock = createCallClock(zone);
      const seen = new Set<number>();
      let flagged = 0;
      for (let minute = 0; minute < minutes; minute++) {
        const end = Date.parse(from) + minute * 60_000;
        const found = times(clock, row(wall(end - 20_000, zone), wall(end, zone), 20));
        assert.deepEqual([iso(found.startTime), iso(found.disconnectTime)], [iso(end - 20_000), iso(end)]);
        seen.add(found.startTime);
        flagged += found.flags.length;
      }
      assert.equal(seen.size, minutes);
      assert.ok(flagged > 0 && flagged <= 60, `only the first pass is flagged, ${flagged} are`);
    });
  }

  test('with a known start every instant of every zone comes back', () => {
    const ring = fc.integer({ min: 0, max: 90_000 });
    const talk = fc.integer({ min: 0, max: 7_000_000 });
    fc.assert(
      fc.property(fc.constantFrom(...ZONES), instantNearChange, ring, talk, (zone, pick, ringMs, talkMs) => {
        const start = pick(zone);
        const connect = start + ringMs;
        const end = connect + talkMs;
        const found = times(createCallClock(zone), {
          start: wall(start, zone),
          connect: wall(connect, zone),
          disconnect: wall(end, zone),
          durationS: Math.round((end - start) / 1000),
          knownStartS: Math.floor(start / 1000),
        });
        assert.equal(iso(found.startTime), iso(start));
        assert.equal(iso(found.disconnectTime), iso(end));
        // Answered in an hour that the call lasted through twice: nothing tells, and it says so.
        if (found.flags.length === 0) assert.equal(iso(found.connectTime), iso(connect));
        else assert.deepEqual(found.flags, ['ambiguous_time']);
      }),
      { numRuns: 3000 },
    );
  });
});

describe('texts', () => {
  const berlin = createCallClock('Europe/Berlin');
  const forms: [text: string, ms: number][] = [
    ['2026-07-01 12:00:00', Date.UTC(2026, 6, 1, 10)],
    ['2026-07-01 12:00:00.123456', Date.UTC(2026, 6, 1, 10) + 123.456],
    ['2026-07-01T12:00:00', Date.UTC(2026, 6, 1, 10)],
    ['2020/2/10 22:41', Date.UTC(2020, 1, 10, 21, 41)],
    ['2020/2/10 2:41:07', Date.UTC(2020, 1, 10, 1, 41, 7)],
    [' 2026-07-01 12:00 ', Date.UTC(2026, 6, 1, 10)],
    ['2026-07-01T12:00:00Z', Date.UTC(2026, 6, 1, 12)],
    ['2026-07-01t12:00:00.5z', Date.UTC(2026, 6, 1, 12) + 500],
    ['2026-07-01T12:00:00+05:45', Date.UTC(2026, 6, 1, 6, 15)],
    ['2026-07-01 12:00:00-0330', Date.UTC(2026, 6, 1, 15, 30)],
    ['2026-07-01 12:00:00.250+00', Date.UTC(2026, 6, 1, 12) + 250],
    ['1782900000', 1_782_900_000_000],
    ['1782900000.123456', 1_782_900_000_123.456],
    ['1782900000123', 1_782_900_000_123],
    ['1782900000123456', 1_782_900_000_123.456],
    ['2024-02-29 00:00:00', Date.UTC(2024, 1, 28, 23)],
    ['2016-12-31T23:59:60Z', Date.UTC(2017, 0, 1)],
  ];
  for (const [text, ms] of forms) {
    test(JSON.stringify(text), () => assert.equal(times(berlin, row(text)).startTime, ms));
  }

  test('the date order decides what could be read both ways; without one it is refused, naming the option', () => {
    const text = '03/04/2026 22:41';
    assert.equal(iso(times(createCallClock('UTC', 'dmy'), row(text)).startTime), '2026-04-03T22:41:00.000Z');
    assert.equal(iso(times(createCallClock('UTC', 'mdy'), row(text)).startTime), '2026-03-04T22:41:00.000Z');
    const refused = rejection(berlin, row(text));
    assert.deepEqual([refused.code, refused.field], ['bad_time', 'start']);
    assert.match(refused.reason, /--date-order/);
    assert.equal(rejection(createCallClock('UTC', 'dmy'), row('12/25/2026 1:02')).code, 'bad_time');
  });

  test('absent stamps: blank, nought and a database’s zero date', () => {
    for (const absent of ['', ' ', '0', '0.000000', '0000-00-00 00:00:00']) {
      const found = times(berlin, {
        start: '2026-07-01 12:00:00',
        connect: absent,
        disconnect: absent,
        durationS: 3,
      });
      assert.deepEqual([found.connectTime, found.disconnectTime, found.flags], [null, null, []]);
      assert.equal(rejection(berlin, row(absent)).code, 'missing_field');
    }
  });

  test('what is no time is refused with the field and what would be right', () => {
    const wrong = [
      'yesterday',
      '2026-13-01 00:00:00',
      '2026-02-30 00:00:00',
      '2023-02-29 00:00:00',
      '2026-01-01',
    ];
    wrong.push('2026-01-01 24:00:00', '2026-01-01 12:60:00', '20260101', '202601011200', '26/1/2 3:04', '-5');
    wrong.push(
      '2026-01-01 12:00:00+25:00',
      '１２３４５６７８９０',
      '9'.repeat(10_000),
      '2026-01-01 12:00:0x',
    );
    for (const text of wrong) {
      const refused = rejection(berlin, { ...row('2026-01-01 00:00:00'), disconnect: text });
      assert.deepEqual([refused.code, refused.field], ['bad_time', 'disconnect'], text);
      assert.ok(refused.reason.length < 300, text);
    }
  });

  test('1970 to 2099 by instant, to the edge', () => {
    const utc = createCallClock('UTC');
    assert.equal(times(utc, row('1970-01-01 00:00:00')).startTime, 0);
    assert.equal(times(utc, row('2099-12-31 23:59:59')).startTime, Date.UTC(2100, 0, 1) - 1000);
    assert.equal(times(createCallClock('America/New_York'), row('1969-12-31 19:00:00')).startTime, 0);
    const outside: [string, string][] = [
      ['UTC', '1969-12-31 23:59:59'],
      ['UTC', '2100-01-01 00:00:00'],
      ['Europe/Berlin', '1970-01-01 00:59:59'],
      ['America/New_York', '2099-12-31 19:00:00'],
      ['UTC', '1900-01-02 00:00:00'],
      ['UTC', '9999999999'],
    ];
    for (const [zone, text] of outside) {
      assert.equal(rejection(createCallClock(zone), row(text)).code, 'bad_time', text);
    }
  });

  test('stamps that contradict each other are stored and flagged; less than a second is no contradiction', () => {
    const at = (connect: string, disconnect: string) =>
      times(berlin, { start: '2026-07-01 12:00:10.900', connect, disconnect, durationS: 5 }).flags;
    assert.deepEqual(at('2026-07-01 12:00:05', '2026-07-01 12:00:20'), ['times_out_of_order']);
    assert.deepEqual(at('2026-07-01 12:00:15', '2026-07-01 12:00:12'), ['times_out_of_order']);
    assert.deepEqual(at('', '2026-07-01 12:00:00'), ['times_out_of_order']);
    assert.deepEqual(at('2026-07-01 12:00:10', '2026-07-01 12:00:10'), []);
  });

  test('no text makes it throw', () => {
    const stamps = fc.oneof(fc.string(), fc.stringMatching(/^[0-9 :./TZ+-]{0,30}$/));
    fc.assert(
      fc.property(stamps, stamps, fc.double(), (start, end, durationS) => {
        const resolved = berlin.resolve({ start, connect: end, disconnect: end, durationS });
        if (resolved.kind === 'times') assert.ok(resolved.startTime >= 0);
      }),
      { numRuns: 2000 },
    );
  });
});
