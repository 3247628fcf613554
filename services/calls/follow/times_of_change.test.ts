import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { printedSeed } from '#tests/seed.ts';
import { mayBeUnseen, newestTime } from './times_of_change.ts';

const NOW = Date.UTC(2026, 10, 29);
const AHEAD_MS = 16 * 60_000;
const past = fc.integer({ min: 0, max: NOW });
const wrong = fc.integer({ min: NOW + AHEAD_MS, max: Date.UTC(2099, 0, 1) });

test('files that are dated ahead of the clock hide none that are put away after them, and are seen themselves', (t) => {
  const seed = printedSeed(t);
  fc.assert(
    fc.property(fc.array(past), fc.array(wrong), past, (right, ahead, later) => {
      const times = [...right, ...ahead];
      const seenTo = newestTime(times, NOW);
      assert.equal(seenTo, right.length === 0 ? 0 : Math.max(...right));
      assert.equal(mayBeUnseen(later, seenTo, NOW), later > seenTo);
      for (const time of ahead) assert.ok(mayBeUnseen(time, seenTo, NOW));
    }),
    { seed },
  );
});

test('a clock that is some minutes ahead is a clock', () => {
  const ahead = NOW + 10 * 60_000;
  assert.equal(newestTime([NOW - 1, ahead], NOW), ahead);
  assert.ok(!mayBeUnseen(ahead, ahead, NOW));
});
