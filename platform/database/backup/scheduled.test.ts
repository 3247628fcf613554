/** When a back-up is due, whatever was missed and however the clock stands. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { printedSeed } from '#tests/seed.ts';
import { backupTimesText, nextBackup, readBackupTimes } from './scheduled.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** By the machine's own clock on the wall. */
const at = (day: number, hour: number, minute = 0) => new Date(2026, 10, day, hour, minute).getTime();

test('a time of day and an interval are read, and told as they are meant', () => {
  for (const [text, told] of [
    ['03:15', 'each day at 03:15'],
    ['6h', 'every 6 h'],
    ['90m', 'every 90 min'],
    ['2d', 'every 2 d'],
  ] as const)
    assert.equal(backupTimesText(readBackupTimes(text)!), told);
  for (const text of ['', '3:15', '24:00', '0h', '6', '6 h', 'daily', '-1h'])
    assert.equal(readBackupTimes(text), undefined, text);
});

test('one that was missed is due at once; else the next is at its time', () => {
  const daily = readBackupTimes('03:15')!;
  const now = at(20, 12);
  assert.equal(nextBackup(daily, undefined, now), now);
  assert.equal(nextBackup(daily, at(20, 3, 15), now), at(21, 3, 15));
  assert.equal(nextBackup(daily, at(20, 3, 14), now), now);
  assert.equal(nextBackup(daily, at(19, 3, 15), at(20, 3, 14)), at(20, 3, 15));
  const every = readBackupTimes('6h')!;
  assert.equal(nextBackup(every, at(20, 8), now), at(20, 14));
  assert.equal(nextBackup(every, at(20, 5), now), at(20, 11));
  assert.equal(nextBackup(every, now + 90 * DAY_MS, now), now + 6 * HOUR_MS);
});

test('after each back-up the next one is due later, and never more than a day and an hour later', (t) => {
  const times = fc.constantFrom(
    ...['00:00', '02:30', '03:15', '23:59'].map((text) => readBackupTimes(text)!),
  );
  const property = fc.property(
    times,
    fc.integer({ min: at(1, 0), max: at(1, 0) + 365 * DAY_MS }),
    (daily, now) => {
      const next = nextBackup(daily, now, now);
      assert.ok(next > now && next <= now + DAY_MS + HOUR_MS);
      assert.equal(nextBackup(daily, next, next) > next, true);
    },
  );
  fc.assert(property, { seed: printedSeed(t) });
});
