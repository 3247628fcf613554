import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { printedSeed } from '../../tests/seed.ts';
import { createShareBound, type Entry } from './share_bound.ts';

test('whatever comes and goes, no share and not all together have more than they may, and nobody else is turned away', (t) => {
  const seed = printedSeed(t);
  const step = fc.record({ share: fc.constantFrom('a', 'b', 'c', 'd'), leaves: fc.option(fc.nat(20)) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: 1, max: 4 }), (steps, perShare) => {
      const inAll = 7;
      const bound = createShareBound({ perShare, inAll });
      const inside: { share: string; entry: Extract<Entry, { entered: true }> }[] = [];
      for (const { share, leaves } of steps) {
        if (leaves !== null && inside.length > 0) {
          const [left] = inside.splice(leaves % inside.length, 1);
          left!.entry.leave();
          left!.entry.leave(); // counts once
        }
        const own = inside.filter((one) => one.share === share).length;
        const entry = bound.enter(share);
        assert.equal(entry.entered, own < perShare && inside.length < inAll);
        if (entry.entered) inside.push({ share, entry });
        else assert.equal(entry.full, own >= perShare ? 'share' : 'all');
        assert.equal(bound.size, inside.length);
      }
    }),
    { seed },
  );
});
