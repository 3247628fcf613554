import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  addDeadline,
  type DeadlineHeap,
  earliest,
  type HasDeadline,
  removeDeadline,
} from './deadline_heap.ts';

test('property: the earliest is at hand whatever comes and goes', () => {
  const step = fc.oneof(
    fc.record({ add: fc.integer({ min: 0, max: 50 }) }),
    fc.record({ remove: fc.nat(100) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: 'max' }), (steps) => {
      const heap: DeadlineHeap<HasDeadline> = [];
      const plain = new Set<HasDeadline>();
      const known: HasDeadline[] = [];
      for (const next of steps) {
        if ('add' in next) {
          const item = { deadline: next.add, place: undefined };
          known.push(item);
          plain.add(item);
          addDeadline(heap, item);
        } else if (known.length > 0) {
          // An item that has left already may be removed again; that changes nothing.
          const item = known[next.remove % known.length]!;
          plain.delete(item);
          removeDeadline(heap, item);
        }
        assert.equal(heap.length, plain.size);
        const soonest = plain.size > 0 ? Math.min(...[...plain].map((item) => item.deadline)) : undefined;
        assert.equal(earliest(heap)?.deadline, soonest);
        for (const item of plain) assert.equal(heap[item.place!], item);
      }
    }),
    { numRuns: 2_000 },
  );
});
