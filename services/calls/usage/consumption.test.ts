import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Micros, readInstant, utcText } from '../time/instants.ts';
import { type ZoneClock, zoneClock } from '../time/zone_clock.ts';
import {
  bucketBounds,
  type Granularity,
  MAX_BUCKETS,
  spansOfBuckets,
  startOfMonthAt,
} from './consumption.ts';
import { coverRange, QUARTER_MICROS } from './usage_cover.ts';

const MINUTE = 60_000_000;
const at = (text: string): Micros => {
  const read = readInstant(text);
  assert.ok(read.kind === 'instant', text);
  return read.at;
};
const clock = (name: string): ZoneClock => zoneClock(name)!;

/** Zones and periods in which their clocks did something: see each name's history. */
const ODD_PERIODS: [zone: string, around: string][] = [
  ['Europe/Berlin', '2026-03-29T01:00:00Z'],
  ['Europe/Berlin', '2026-10-25T01:00:00Z'],
  ['Asia/Kathmandu', '1985-12-31T18:30:00Z'],
  ['Australia/Lord_Howe', '2026-04-04T15:00:00Z'],
  ['Australia/Lord_Howe', '2026-10-03T15:30:00Z'],
  ['America/St_Johns', '2010-11-07T02:31:00Z'],
  ['America/St_Johns', '2010-03-14T03:31:00Z'],
  ['America/Sao_Paulo', '2018-02-18T02:00:00Z'],
  ['America/Sao_Paulo', '2018-11-04T03:00:00Z'],
  ['Pacific/Apia', '2011-12-30T10:00:00Z'],
  ['Africa/Monrovia', '1972-01-07T00:44:30Z'],
  ['Asia/Gaza', '2023-04-28T22:00:00Z'],
  ['Antarctica/Troll', '2026-03-29T01:00:00Z'],
  ['UTC', '2026-03-29T01:00:00Z'],
];

/** The wall clock as Intl shows it: another way to the same facts. */
function wallAt(zone: string) {
  const format = new Intl.DateTimeFormat('en-CA', {
    timeZone: zone,
    dateStyle: 'short',
    timeStyle: 'medium',
    hourCycle: 'h23',
  });
  return (micros: Micros) => {
    const [date = '', time = ''] = format.format(new Date(micros / 1000)).split(', ');
    return { date, hour: time.slice(0, 2), offset: Date.parse(`${date}T${time}Z`) - micros / 1000 };
  };
}

/** Bounds found by looking at the clock every half minute (Monrovia's offset had 30 seconds). */
function boundsSeen(from: Micros, to: Micros, granularity: Granularity, zone: string): Micros[] {
  const wall = wallAt(zone);
  const bounds = [from];
  let before = wall(from);
  let latest = before.date;
  for (let now = from + MINUTE / 2; now < to; now += MINUTE / 2) {
    const shown = wall(now);
    const begins = {
      hour: shown.hour !== before.hour || shown.offset !== before.offset,
      day: shown.date > latest,
      week: weekOf(shown.date) > weekOf(latest),
      month: shown.date.slice(0, 7) > latest.slice(0, 7),
      total: false,
    };
    if (begins[granularity]) bounds.push(now);
    before = shown;
    if (shown.date > latest) latest = shown.date;
  }
  return [...bounds, to];
}

/** Since the week of 1970-01-01, a Thursday. */
const weekOf = (date: string) => Math.floor((Date.parse(date) / 86_400_000 + 3) / 7);

for (const [zone, around] of ODD_PERIODS) {
  test(`hours, days and weeks of ${zone} around ${around} are those on the wall`, () => {
    for (const granularity of ['hour', 'day', 'week', 'month'] as const) {
      const from = at(around) - 100 * 60 * MINUTE;
      const to = at(around) + 80 * 60 * MINUTE;
      const found = bucketBounds(from, to, granularity, clock(zone))!.map(utcText);
      assert.deepEqual(found, boundsSeen(from, to, granularity, zone).map(utcText), granularity);
    }
  });
}

test("a zone's text names its instant, even where the offset had seconds", () => {
  const anyTime = fc.integer({ min: at('1930-01-01T00:00:00Z'), max: at('2090-01-01T00:00:00Z') });
  const anyZone = fc.constantFrom(...Intl.supportedValuesOf('timeZone'));
  fc.assert(
    fc.property(anyZone, anyTime, (zone, time) => {
      const text = clock(zone).text(time);
      assert.equal(at(text), time, text);
    }),
    { numRuns: 2_000 },
  );
  assert.equal(clock('Africa/Monrovia').text(at('1971-06-01T00:44:30Z')), '1971-06-01T00:00:30-00:44');
});

test('start of day agrees with the calendar of any zone', () => {
  const anyDay = fc.integer({ min: 1, max: 47_000 });
  fc.assert(
    fc.property(fc.constantFrom(...Intl.supportedValuesOf('timeZone')), anyDay, (zone, day) => {
      const date = new Date(day * 86_400_000).toISOString().slice(0, 10);
      const start = clock(zone).startOfDay(date);
      const wall = wallAt(zone);
      assert.ok(wall(start).date >= date, `${zone} ${date}`);
      assert.ok(wall(start - 1_000_000).date < date, `${zone} ${date}`);
    }),
    { numRuns: 2_000 },
  );
});

test('the month so far begins on its first day', () => {
  const start = startOfMonthAt(at('2026-11-01T00:30:00+01:00'), clock('Europe/Berlin'));
  assert.equal(utcText(start), '2026-10-31T23:00:00Z');
});

test('the number of buckets is bounded', () => {
  const berlin = clock('Europe/Berlin');
  const from = at('2026-01-01T00:00:00Z');
  assert.equal(bucketBounds(from, from + MAX_BUCKETS * 60 * MINUTE, 'hour', berlin)!.length, MAX_BUCKETS + 1);
  assert.equal(bucketBounds(from, from + MAX_BUCKETS * 60 * MINUTE + 1, 'hour', berlin), undefined);
});

test('a range is covered whole and once: days, quarters, and less than a quarter at each end', () => {
  const anyZone = fc.constantFrom(...ODD_PERIODS);
  const anyOffset = fc.integer({ min: -6_000 * MINUTE, max: 6_000 * MINUTE });
  fc.assert(
    fc.property(anyZone, anyOffset, anyOffset, ([name, around], a, b) => {
      fc.pre(a !== b);
      const zone = clock(name);
      const range = { from: at(around) + Math.min(a, b), to: at(around) + Math.max(a, b) };
      const cover = coverRange(range, zone);
      const [first, end] = cover.midnights;
      const parts = [...cover.quarters, ...cover.calls];
      if (cover.days) {
        assert.deepEqual(cover.days, { from: first!.day, to: end!.day });
        parts.push({ from: first!.at, to: end!.at });
        // The days are made of whole quarters, each of which shows only these dates.
        const wall = wallAt(name);
        for (let quarter = first!.at; quarter < end!.at; quarter += QUARTER_MICROS) {
          const { date } = wall(quarter);
          assert.ok(date >= cover.days.from && date < cover.days.to, `${name} ${utcText(quarter)}`);
        }
        for (const outside of [-3, -2, -1, 0, 1, 2, 3].map((hours) => hours * 60 * MINUTE)) {
          if (outside < 0) assert.ok(wall(first!.at + outside).date < cover.days.from);
          else assert.ok(wall(end!.at + outside).date >= cover.days.to);
        }
      }
      for (const span of cover.quarters) {
        assert.ok(span.from % QUARTER_MICROS === 0 && span.to % QUARTER_MICROS === 0);
      }
      for (const span of cover.calls) assert.ok(span.to - span.from < 2 * QUARTER_MICROS);
      parts.sort((x, y) => x.from - y.from);
      assert.equal(parts[0]!.from, range.from);
      assert.equal(parts.at(-1)!.to, range.to);
      for (let i = 1; i < parts.length; i++) assert.equal(parts[i]!.from, parts[i - 1]!.to);
    }),
    { numRuns: 1_000 },
  );
});

test("a year by day in the account's zone is read from days alone", () => {
  const berlin = clock('Europe/Berlin');
  const bounds = bucketBounds(at('2025-12-31T23:00:00Z'), at('2026-12-31T23:00:00Z'), 'day', berlin)!;
  const spans = spansOfBuckets(bounds, berlin);
  assert.equal(spans.days.length, 365);
  assert.equal(spans.quarters.length + spans.calls.length, 0);
  assert.equal(spans.midnights.length, 366);
});

test('an open end needs no midnight', () => {
  assert.deepEqual(coverRange({ from: null, to: null }, clock('UTC')), {
    days: { from: '-infinity', to: 'infinity' },
    midnights: [],
    quarters: [],
    calls: [],
  });
});
