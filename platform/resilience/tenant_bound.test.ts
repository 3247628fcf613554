import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { printedSeed } from '../../tests/seed.ts';
import { createTenantBound, type Entry } from './tenant_bound.ts';

test('whatever comes and goes, no tenant and not all together have more than they may, and nobody else is turned away', (t) => {
  const seed = printedSeed(t);
  const step = fc.record({ tenant: fc.constantFrom('a', 'b', 'c', 'd'), leaves: fc.option(fc.nat(20)) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: 1, max: 4 }), (steps, perTenant) => {
      const inAll = 7;
      const bound = createTenantBound({ perTenant, inAll });
      const inside: { tenant: string; entry: Extract<Entry, { entered: true }> }[] = [];
      for (const { tenant, leaves } of steps) {
        if (leaves !== null && inside.length > 0) {
          const [left] = inside.splice(leaves % inside.length, 1);
          left!.entry.leave();
          left!.entry.leave(); // counts once
        }
        const own = inside.filter((one) => one.tenant === tenant).length;
        const entry = bound.enter(tenant);
        assert.equal(entry.entered, own < perTenant && inside.length < inAll);
        if (entry.entered) inside.push({ tenant, entry });
        else assert.equal(entry.full, own >= perTenant ? 'tenant' : 'all');
        assert.equal(bound.size, inside.length);
      }
    }),
    { seed },
  );
});
