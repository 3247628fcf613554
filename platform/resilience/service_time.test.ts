import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createServiceTimes } from './service_time.ts';

test('property: the estimate is above nine tenths of the last 31 by half, and 0 while there are fewer than 5', () => {
  const samples = fc.array(
    fc.oneof({ weight: 50, arbitrary: fc.nat(1_000) }, fc.constant('clear' as const)),
    {
      maxLength: 150,
      size: 'max',
    },
  );
  fc.assert(
    fc.property(samples, (steps) => {
      const times = createServiceTimes();
      let plain: number[] = [];
      for (const next of steps) {
        if (next === 'clear') {
          times.clear();
          plain = [];
        } else {
          times.add(next);
          plain.push(next);
        }
        const last = plain.slice(-31).sort((a, b) => a - b);
        assert.equal(times.estimateMs, last.length < 5 ? 0 : last[Math.floor(last.length * 0.9)]! * 1.5);
      }
    }),
    { numRuns: 1_000 },
  );
});
