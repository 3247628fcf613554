import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  nextStep,
  ROTATED_ROW_SILENCE_MS,
  ROTATED_SILENCE_MS,
  ROW_SILENCE_MS,
  type Seen,
} from './next_step.ts';

const seen: Seen = { size: 100, readTo: 100, storedTo: 100, takenAt: null, silentMs: 0, rotatedMs: null };

test('what is there is read, what is read waits, a row without its end waits for 60 s', () => {
  assert.equal(nextStep({ ...seen, size: 101 }), 'read');
  assert.equal(nextStep({ ...seen, silentMs: 10 * ROW_SILENCE_MS }), 'wait');
  const inRow = { ...seen, storedTo: 90 };
  assert.equal(nextStep({ ...inRow, silentMs: ROW_SILENCE_MS - 1 }), 'wait');
  assert.equal(nextStep({ ...inRow, silentMs: ROW_SILENCE_MS }), 'take');
  assert.equal(nextStep({ ...inRow, silentMs: 2 * ROW_SILENCE_MS, takenAt: 100 }), 'wait');
});

test('in a file that was put away it waits for a moment, and the file is left when it is silent', () => {
  const away = { ...seen, rotatedMs: 90_000 };
  assert.equal(nextStep({ ...away, storedTo: 90, silentMs: ROTATED_ROW_SILENCE_MS }), 'take');
  assert.equal(nextStep({ ...away, storedTo: 90, silentMs: ROTATED_ROW_SILENCE_MS, rotatedMs: 10 }), 'wait');
  assert.equal(nextStep({ ...away, silentMs: ROTATED_SILENCE_MS }), 'leave');
  assert.equal(nextStep({ ...away, silentMs: ROTATED_SILENCE_MS, storedTo: 90, takenAt: 100 }), 'leave');
  assert.equal(nextStep({ ...away, silentMs: ROTATED_SILENCE_MS - 1 }), 'wait');
});

test('a file shorter than what was read of it is another; nothing is left unread, and none is taken that grows', () => {
  fc.assert(
    fc.property(
      fc.record({
        size: fc.nat(1_000),
        readTo: fc.nat(1_000),
        behind: fc.nat(1_000),
        takenAt: fc.option(fc.nat(1_000)),
        silentMs: fc.nat(200_000),
        rotatedMs: fc.option(fc.nat(200_000)),
      }),
      ({ behind, ...given }) => {
        const step = nextStep({ ...given, storedTo: Math.max(0, given.readTo - behind) });
        if (given.size < given.readTo) assert.equal(step, 'gone');
        else if (given.size > given.readTo) assert.equal(step, 'read');
        else assert.notEqual(step, 'read');
        if (step === 'leave') assert.ok(given.rotatedMs !== null);
      },
    ),
  );
});
