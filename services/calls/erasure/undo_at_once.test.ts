/** The undo of an import and the erasure of an account, at once, of the same calls: both end, and the tables are exact. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SCHEMAS } from '#system';
import { callRow, testImportSource } from '#tests/calls.ts';
import { testDatabase } from '#tests/postgres.ts';
import { assertUsageIsExact } from '#tests/usage.ts';
import { takeIn } from '../intake/intake.ts';
import { undoImport } from '../intake/undo_import.ts';
import { eraseAccount } from './erase_account.ts';

const BY = { id: 'terminal:test', name: 'test' };
const ERASE = {
  by: BY,
  schemas: SCHEMAS.map(({ schema }) => schema),
  apply: true,
  onProgress: () => undefined,
  heardMs: 0,
};
const ROUNDS = 12;
/** Several steps of both. */
const CALLS = 6_000;

test('an undo and an erasure of the same calls at once', async () => {
  const { pool } = await testDatabase();
  for (let round = 0; round < ROUNDS; round++) {
    const gone = `gone-${round}`;
    const rows = Array.from({ length: CALLS }, (_, n) =>
      callRow({
        accountCode: n % 2 ? gone : 'stays',
        callId: `${round}-${n}`,
        startTime: Date.UTC(2026, 9, 1 + (n % 20)),
      }),
    );
    const [first, second] = [await testImportSource(pool), await testImportSource(pool)];
    await takeIn(pool, first, rows);
    await takeIn(pool, second, rows.slice(0, CALLS / 3));
    const [undone, erased] = await Promise.all([
      undoImport(pool, first.iImport, BY),
      eraseAccount(pool, gone, ERASE),
    ]);
    assert.equal(undone?.done, true);
    const left = await pool.query(
      `SELECT count(*) FILTER (WHERE i_import = $1)::int AS of_import, count(*) FILTER (WHERE i_account = $2)::int AS of_account
       FROM calls.cdrs`,
      [first.iImport, erased.iAccount],
    );
    assert.deepEqual(left.rows, [{ of_import: 0, of_account: 0 }], `round ${round}`);
    await assertUsageIsExact(pool);
  }
});
