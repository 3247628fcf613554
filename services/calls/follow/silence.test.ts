import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silenceOf } from './silence.ts';

const NOW = Date.UTC(2026, 10, 30);
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const heard = { firstRowAt: NOW - 8 * DAY_MS, lastRowAt: NOW - HOUR_MS, longestGapS: null };

test('from its second week on a source may be silent for 15 minutes, or three times as long as it was at that hour', () => {
  assert.deepEqual(silenceOf(heard, NOW), { silentS: 3_600, limitS: 900 });
  assert.equal(silenceOf({ ...heard, longestGapS: 299 }, NOW).limitS, 900);
  assert.equal(silenceOf({ ...heard, longestGapS: 8 * 3_600 }, NOW).limitS, 24 * 3_600);
});

test('in its first week it has no limit, and before its first row no silence', () => {
  assert.deepEqual(silenceOf({ ...heard, firstRowAt: NOW - 7 * DAY_MS + 1 }, NOW), {
    silentS: 3_600,
    limitS: null,
  });
  assert.deepEqual(silenceOf({ firstRowAt: null, lastRowAt: null, longestGapS: null }, NOW), {
    silentS: null,
    limitS: null,
  });
  assert.equal(silenceOf({ ...heard, lastRowAt: NOW + 1 }, NOW).silentS, 0);
});
