/** Up to when a source has told its calls: no bad record moves it where no call was told. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { callRow, testImportSource } from '#tests/calls.ts';
import { testDatabase } from '#tests/postgres.ts';
import { printedSeed } from '#tests/seed.ts';
import { takeIn } from './intake.ts';

const { pool } = await testDatabase();
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
let sources = 0;

const called = (startTime: number, durationS: number) =>
  callRow({ startTime, durationS, connectTime: null, disconnectTime: startTime + durationS * 1_000 });

async function watermark(source: string): Promise<number | null> {
  const { rows } = await pool.query('SELECT last_disconnect AS at FROM calls.watermarks WHERE source = $1', [
    source,
  ]);
  return rows[0] ? Date.parse(rows[0].at) : null;
}

test('whatever calls of the future come, alone or among others, a source has told its calls up to the last that has ended', async (t) => {
  const seed = printedSeed(t);
  const past = fc.record({
    startMs: fc.integer({ min: -40 * DAY_MS, max: -61 * MINUTE_MS }),
    durationS: fc.integer({ min: 0, max: 3_600 }),
  });
  const future = fc.record({
    startMs: fc.oneof(
      fc.integer({ min: 16 * MINUTE_MS, max: DAY_MS }),
      fc.integer({ min: DAY_MS, max: 400 * DAY_MS }),
      fc.constant(-DAY_MS),
    ),
    // One that began yesterday and lasts for days ends in the future, too.
    durationS: fc.integer({ min: 2 * 86_400, max: 99 * 86_400 }),
  });
  const batch = fc.array(fc.oneof({ weight: 2, arbitrary: past }, { weight: 1, arbitrary: future }), {
    minLength: 1,
    maxLength: 6,
  });
  await fc.assert(
    fc.asyncProperty(fc.array(batch, { minLength: 1, maxLength: 4 }), async (batches) => {
      const now = Math.floor(Date.now() / 1_000) * 1_000;
      const source = `s${sources++}`;
      const importSource = await testImportSource(pool, { source });
      let expected: number | null = null;
      for (const calls of batches) {
        const rows = calls.map(({ startMs, durationS }) => called(now + startMs, durationS));
        await takeIn(pool, importSource, rows);
        for (const { startMs, durationS } of calls) {
          const end = now + startMs + durationS * 1_000;
          if (end <= now) expected = Math.max(expected ?? 0, end);
        }
        assert.equal(await watermark(source), expected);
      }
    }),
    { seed, numRuns: 20 },
  );
});

test('a switch whose clock is some minutes ahead is heard all the same, and promises nothing that is yet to come', async () => {
  const importSource = await testImportSource(pool, { source: 'ahead' });
  await takeIn(pool, importSource, [called(Date.now() + 5 * MINUTE_MS, 60)]);
  const at = (await watermark('ahead'))!;
  assert.ok(at <= Date.now() && at > Date.now() - MINUTE_MS);
});

test('what a source has promised of the future, by a version before or a wrong clock, gives way to its next call', async () => {
  const importSource = await testImportSource(pool, { source: 'pinned' });
  await takeIn(pool, importSource, [called(Date.now() - DAY_MS, 60)]);
  await pool.query(`UPDATE calls.watermarks SET last_disconnect = '2099-01-01Z' WHERE source = 'pinned'`);
  const end = Math.floor(Date.now() / 1_000) * 1_000 - 3_600_000;
  await takeIn(pool, importSource, [called(end - 60_000, 60)]);
  assert.equal(await watermark('pinned'), end);
});
