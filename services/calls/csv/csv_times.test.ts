import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Micros, utcText } from '../time/instants.ts';
import { zoneClock } from '../time/zone_clock.ts';
import { timeRules, zonedTime } from './csv_times.ts';

/** 2000-01-01, from which PostgreSQL counts. */
const EPOCH_MICROS: Micros = Date.UTC(2000, 0, 1) * 1_000;
/** How much longer than its value a cell may be. */
const CELL_EXTRA_BYTES = 24;

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

/** What the bytes give for instants that come one after the other; undefined where they leave it to the text. */
function onBytes(zone: string): (at: bigint) => string | undefined {
  const rules = timeRules(clockOf(zone));
  const from = new DataView(new ArrayBuffer(8));
  const to = Buffer.alloc(8 + CELL_EXTRA_BYTES);
  const view = new DataView(to.buffer as ArrayBuffer, to.byteOffset, to.length);
  return (at) => {
    from.setBigInt64(0, at);
    const end = rules.bytes(from, 0, view, 0, 8);
    return end === -1 ? undefined : to.toString('latin1', 0, end);
  };
}
/** As PostgreSQL sends it. */
const binary = (at: Micros) => BigInt(at - EPOCH_MICROS);
const expected = (at: Micros, zone: string) => zonedTime(utcText(at), clockOf(zone));

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
    return { zone, near: near.filter((at) => at >= FIRST && at <= LAST) };
  });

test("bytes give what the zone's clock says, or leave it to the text", () => {
  fc.assert(
    fc.property(instants, ({ zone, near }) => {
      const cell = onBytes(zone);
      for (const at of near) {
        const given = cell(binary(at));
        if (given !== undefined) assert.equal(given, expected(at, zone), `${utcText(at)} in ${zone}`);
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
        const at = Date.UTC(2026, month, 20, 7, minute) * 1000 + micros;
        assert.equal(cell(binary(at)), expected(at, zone), `${utcText(at)} in ${zone}`);
      }
    }
  }
});

test('they leave what no zone is asked about to the text', () => {
  const odd = [
    2n ** 63n - 1n,
    -(2n ** 63n),
    ...['1850-06-01', '1899-12-31T23:59:59Z', '2137-01-01'].map((day) => binary(Date.parse(day) * 1000)),
  ];
  for (const zone of ZONES) {
    const cell = onBytes(zone);
    cell(binary(Date.UTC(2026, 10, 21, 4, 10) * 1000));
    for (const at of odd) assert.equal(cell(at), undefined, String(at));
  }
});
