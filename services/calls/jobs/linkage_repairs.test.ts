import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withTransaction } from '#platform/database/pool.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { createLogger } from '#platform/telemetry/logger.ts';
import { callRow, testImportSource } from '#tests/calls.ts';
import { testDatabase } from '#tests/postgres.ts';
import { takeIn } from '../intake/intake.ts';
import { linkageRepairStep, repairLinkage } from './linkage_repairs.ts';

const { pool } = await testDatabase();

const QUEUED = { lastapp: 'Queue', linkedid: '1772442294.101', channel: 'PJSIP/trunk-1' };
const RING = { ...QUEUED, dstchannel: 'PJSIP/1001-2' };
const importSource = await testImportSource(pool);
const march = Date.parse('2026-03-31T23:59:00Z');
const rows = Array.from({ length: 25 }, (_, n) =>
  callRow({
    startTime: march + n * 10_000,
    callId: `1772442294.${101 + n}`,
    attributes: [QUEUED, RING, { lastapp: 'Dial' }, {}][n % 4]!,
  }),
);
await takeIn(pool, importSource, rows);

const stored = async () =>
  (
    await pool.query(
      `SELECT i_cdr, linked_id, flags, told, result, attributes FROM calls.cdrs ORDER BY start_time`,
    )
  ).rows;
const now = await stored();

/** As the version before stored them; the months are listed as the migration does. */
async function asBefore(): Promise<void> {
  await pool.query(`UPDATE calls.cdrs SET linked_id = NULL, flags = NULL, told = told & ~1048576;
    DELETE FROM calls.linkage_repairs; INSERT INTO calls.linkage_repairs VALUES (202603), (202604)`);
}

test('calls of an earlier version become what they would be now, from wherever it was cut off', async () => {
  assert.deepEqual(
    now.slice(0, 4).map(({ linked_id, flags }) => [linked_id, flags]),
    [
      ['1772442294.101', ['answered_by_switch']],
      ['1772442294.101', null],
      [null, null],
      [null, null],
    ],
  );
  await asBefore();
  assert.deepEqual(await linkageRepairStep(pool, 4), { month: 202604, finished: false });
  await assert.rejects(
    withTransaction(pool, async ({ client }) => {
      // Another process is at the month: this one takes the next.
      await client.query('SELECT 1 FROM calls.linkage_repairs WHERE month = 202604 FOR UPDATE');
      assert.equal((await linkageRepairStep(pool, 1))?.month, 202603);
      throw new Error('cut off');
    }),
    /cut off/,
  );
  const stopping = new AbortController();
  await repairLinkage({ pool, clock: systemClock, logger: createLogger('test', 'silent') }, stopping.signal);
  assert.deepEqual(await stored(), now);
  assert.equal(await linkageRepairStep(pool), undefined);
});

test('what is told again before its month was done says nothing new', async () => {
  await asBefore();
  const again = await takeIn(pool, importSource, rows);
  assert.deepEqual(
    again.map(({ kind }) => kind),
    rows.map(() => 'duplicate'),
  );
});
