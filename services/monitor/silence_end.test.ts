import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { printedSeed } from '#tests/seed.ts';
import { LONGEST_SILENCE_DAYS, readSilenceEnd } from './silence_end.ts';

const DAY_MS = 86_400_000;
const NOW = Date.UTC(2026, 1, 27);

test('an end within a year is parsed in any zone; a past or later end gets its reason', (t) => {
  const seed = printedSeed(t);
  fc.assert(
    fc.property(
      fc.integer({ min: -800 * DAY_MS, max: 800 * DAY_MS }),
      fc.integer({ min: -23 * 60, max: 23 * 60 }),
      (inMs, offset) => {
        const sign = offset < 0 ? '-' : '+';
        const two = (n: number) => String(n).padStart(2, '0');
        const zone = `${sign}${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
        const wall = new Date(NOW + inMs + offset * 60_000).toISOString().slice(0, -1);
        const read = readSilenceEnd(wall + zone, NOW);
        if (inMs <= 0) assert.deepEqual(read, { kind: 'bad', reason: 'A silence must end in the future' });
        else if (inMs > LONGEST_SILENCE_DAYS * DAY_MS) assert.match(JSON.stringify(read), /366 days at most/);
        else assert.deepEqual(read, { kind: 'end', inMs });
      },
    ),
    { seed },
  );
});

test('other texts that Date accepts are no instants', () => {
  const bad = [
    '+275760-09-13T00:00:00Z',
    '+275760-09-13T00:00:00.000+00:00',
    '-000001-01-01T00:00:00Z',
    '2026-02-30T00:00:00Z',
    '2027-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-00-10T00:00:00Z',
    '2026-03-00T00:00:00Z',
    '2026-03-01T24:00:00Z',
    '2026-03-01T23:60:00Z',
    '2026-03-01T23:59:60Z',
    '2026-03-01T23:59Z',
    '2026-03-01',
    '2026-03-01T00:00:00',
    '2026-03-01 00:00:00Z',
    '2026-03-01T00:00:00+24:00',
    '2026-03-01T00:00:00+01:60',
    '2026-03-01T00:00:00+0100',
    'Sun, 01 Mar 2026 00:00:00 GMT',
    '1e30',
    'Infinity',
    '0000-01-01T00:00:00Z',
    '9999-12-31T23:59:59Z',
  ];
  for (const text of bad) assert.equal(readSilenceEnd(text, NOW).kind, 'bad', text);
});
