import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { rfc3339 } from '#platform/database/types.ts';
import { type Micros, utcText } from '../time/instants.ts';
import { zoneClock } from '../time/zone_clock.ts';
import { timeRules, zonedTime } from './csv_times.ts';

/** Whole hours, halves and quarters, both sides of UTC, changes at odd minutes, a day left out, offsets with seconds. */
const ZONES = [
  ...['UTC', 'Etc/GMT+12', 'Europe/Berlin', 'Europe/Dublin', 'America/St_Johns', 'America/New_York'],
  ...[
    'Asia/Kathmandu',
    'Asia/Kolkata',
    'Australia/Lord_Howe',
    'Pacific/Apia',
    'Pacific/Chatham',
    'Africa/Monrovia',
  ],
];
const clockOf = (name: string) => zoneClock(name)!;

/** As PostgreSQL writes an instant where the session's zone is UTC. */
const postgresText = (at: Micros) => utcText(at).replace('T', ' ').replace('Z', '+00');

/** What the bytes give for texts that come one after the other; undefined where they leave it to the text. */
function onBytes(zone: string): (text: string) => string | undefined {
  const rules = timeRules(clockOf(zone));
  return (text) => {
    const bytes = new TextEncoder().encode(text);
    const to = Buffer.alloc(bytes.length + 3);
    const view = new DataView(to.buffer as ArrayBuffer, to.byteOffset, to.length);
    const end = rules.bytes(new DataView(bytes.buffer), 0, view, 0, bytes.length);
    return end === -1 ? undefined : to.toString('latin1', 0, end);
  };
}
const expected = (text: string, zone: string) => zonedTime(rfc3339(text), clockOf(zone));

const [FIRST, LAST] = [Date.UTC(1900, 0, 1) * 1000, Date.UTC(2199, 11, 31, 23) * 1000];
const MINUTE = 60_000_000;
/** Near each other, so that hours are come back to; around a change of the offset, or anywhere. */
const instants = fc
  .tuple(
    fc.constantFrom(...ZONES),
    fc.integer({ min: FIRST, max: LAST }),
    fc.boolean(),
    fc.array(
      fc.tuple(fc.integer({ min: -200, max: 200 }), fc.constantFrom(0, 1, 500_000, 59_999_999, 123_456)),
    ),
  )
  .map(([zone, anywhere, atChange, steps]) => {
    const change = clockOf(zone).changeAfter(anywhere);
    const middle = Math.floor((atChange && change < LAST ? change : anywhere) / MINUTE) * MINUTE;
    const near = steps.map(([minutes, micros]) => middle + minutes * MINUTE + micros);
    return { zone, texts: near.filter((at) => at >= FIRST && at <= LAST).map(postgresText) };
  });

test("bytes give what the zone's clock says, or leave it to the text", () => {
  fc.assert(
    fc.property(instants, ({ zone, texts }) => {
      const cell = onBytes(zone);
      for (const text of texts) {
        const given = cell(text);
        if (given !== undefined) assert.equal(given, expected(text, zone), `${text} in ${zone}`);
      }
    }),
    { numRuns: 2_000 },
  );
});

test('they give it for all hours in which the offset stays', () => {
  for (const zone of ZONES) {
    const cell = onBytes(zone);
    for (let month = 0; month < 12; month++) {
      for (const [minute, micros] of [
        [0, 0],
        [14, 999_999],
        [15, 0],
        [30, 1],
        [59, 59_999_999],
      ] as const) {
        const text = postgresText(Date.UTC(2026, month, 20, 7, minute) * 1000 + micros);
        assert.equal(cell(text), expected(text, zone), `${text} in ${zone}`);
      }
    }
  }
});

test('they take nothing for an instant of UTC that is none', () => {
  const odd = [
    ...[
      'infinity',
      '-infinity',
      '0044-03-15 00:00:00+00 BC',
      '1950-01-01 00:00:00+00 BC',
      '12026-11-21 04:10:00+00',
    ],
    ...[
      '2026-11-21 09:55:00.5+05:45',
      '2026-11-21 05:10:00+01',
      '1890-01-01 00:00:00+00',
      '2200-01-01 00:00:00+00',
    ],
    ...['1899-12-31 23:06:32+00:53:28', '2026-11-21 04:10:00-00'],
  ];
  for (const zone of ZONES) {
    const cell = onBytes(zone);
    cell('2026-11-21 04:10:00+00');
    for (const text of odd) assert.equal(cell(text), undefined, text);
  }
});
