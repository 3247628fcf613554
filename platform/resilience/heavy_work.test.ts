import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createFakeClock } from '#platform/lifecycle/fake_clock.ts';
import { printedSeed } from '../../tests/seed.ts';
import { createHeavyWork, HEAVY_QUEUE_LIMIT, standardHeavySlots } from './heavy_work.ts';
import { RefusedError } from './refused.ts';
import type { RequestContext } from './request_context.ts';

function setUp(slots: number, isBlocked?: () => boolean) {
  const clock = createFakeClock();
  const heavy = createHeavyWork({ slots, clock, ...(isBlocked && { isBlocked }) });
  const contextOf = (
    tenant: string,
    timeoutMs = 30_000,
    signal = new AbortController().signal,
  ): RequestContext => ({
    priority: 'customer',
    tenant,
    deadline: clock.monotonic() + timeoutMs,
    signal,
  });
  /** Pieces that end when they are told to; in the order in which they began. */
  const begun: { tenant: string; end(): void }[] = [];
  const start = (tenant: string, context = contextOf(tenant)) =>
    heavy.run(
      context,
      () =>
        new Promise<string>((resolve) => {
          const piece = {
            tenant,
            end: () => {
              begun.splice(begun.indexOf(piece), 1);
              resolve(tenant);
            },
          };
          begun.push(piece);
        }),
    );
  return { clock, heavy, start, contextOf, begun };
}

const refusal = (work: Promise<unknown>) =>
  work.then(
    () => 'served',
    (error) => {
      assert.ok(error instanceof RefusedError);
      return error.refusal;
    },
  );

test('half of the connections at most are for heavy work, a processor is left, and one caller is not in the way of all', () => {
  const slots = [
    [1, 64],
    [2, 64],
    [10, 1],
    [10, 2],
    [10, 4],
    [10, 64],
    [100, 8],
  ].map(([connections, processors]) => standardHeavySlots(connections!, processors!));
  assert.deepEqual(slots, [1, 1, 2, 2, 3, 5, 7]);
});

test('however many pieces come, only so many are at work, never all of them of one caller, and each gets its turn', async (t) => {
  const seed = printedSeed(t);
  const tenants = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(
      tenants,
      fc.integer({ min: 1, max: 4 }),
      fc.infiniteStream(fc.nat(3)),
      async (names, slots, ends) => {
        const { clock, heavy, start, begun } = setUp(slots);
        const all = names.map((name) => start(name));
        for (let left = names.length; left > 0; left--) {
          await clock.flush();
          assert.ok(begun.length <= slots);
          for (const tenant of ['a', 'b', 'c']) {
            const own = begun.filter((piece) => piece.tenant === tenant).length;
            assert.ok(own <= Math.max(1, slots - 1), `${own} of ${tenant} at once`);
          }
          assert.equal(heavy.running, begun.length);
          assert.equal(heavy.waiting, left - begun.length);
          begun[ends.next().value! % begun.length]!.end();
        }
        assert.deepEqual(await Promise.all(all), names);
        assert.deepEqual([heavy.running, heavy.waiting], [0, 0]);
      },
    ),
    { seed, numRuns: 50 },
  );
});

test('callers take turns: fifty pieces of one are not in front of the first of another', async () => {
  const { clock, start, begun } = setUp(2);
  for (let n = 0; n < 50; n++) void start('many');
  void start('one');
  await clock.flush();
  assert.deepEqual(begun.map(({ tenant }) => tenant).sort(), ['many', 'one']);
});

test('who waits too long, hangs up, or finds too many waiting is refused, and gives its place back', async () => {
  const { clock, heavy, start, contextOf, begun } = setUp(1);
  const first = start('a');
  await clock.flush();
  const gone = new AbortController();
  const waiting = [start('a', contextOf('a', 1_000)), start('b', contextOf('b', 1_000))].map(refusal);
  const hangsUp = refusal(start('c', contextOf('c', 30_000, gone.signal)));
  gone.abort();
  assert.equal(await hangsUp, 'client_gone');
  await clock.advance(1_000);
  assert.deepEqual(await Promise.all(waiting), ['deadline', 'deadline']);
  assert.equal(heavy.waiting, 0);
  const many = Array.from({ length: HEAVY_QUEUE_LIMIT }, (_, n) => refusal(start(`tenant ${n}`)));
  await clock.flush();
  assert.equal(await refusal(start('too many')), 'queue_overload');
  begun[0]!.end();
  await first;
  await clock.flush();
  assert.equal(begun.length, 1);
  const closed = heavy.close();
  assert.equal(await refusal(start('late')), 'shutting_down');
  begun[0]!.end();
  await closed;
  const ended = await Promise.all(many);
  assert.equal(ended.filter((how) => how === 'served').length, 1);
  assert.equal(ended.filter((how) => how === 'shutting_down').length, HEAVY_QUEUE_LIMIT - 1);
});

test('who waits too long while the database takes nothing is told so', async () => {
  let blocked = true;
  const { clock, start, contextOf } = setUp(1, () => blocked);
  void start('a');
  await clock.flush();
  const waiting = refusal(start('b', contextOf('b', 500)));
  await clock.advance(500);
  assert.equal(await waiting, 'breaker_open');
  blocked = false;
  const later = refusal(start('b', contextOf('b', 500)));
  await clock.advance(500);
  assert.equal(await later, 'deadline');
});

test('what fails gives its place back', async () => {
  const { heavy, contextOf } = setUp(1);
  const failing = heavy.run(contextOf('a'), async () => {
    throw new Error('no');
  });
  await assert.rejects(failing, /no/);
  assert.equal(await heavy.run(contextOf('a'), async () => 'yes'), 'yes');
});
