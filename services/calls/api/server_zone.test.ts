/** That instants are in UTC, as API.md says, where PostgreSQL tells times in a zone of its own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withSession } from '#platform/database/pool.ts';
import { callRow, testImportSource } from '#tests/calls.ts';
import { testApi } from '#tests/calls_api.ts';
import { testDatabase } from '#tests/postgres.ts';
import { takeIn } from '../intake/intake.ts';

const database = await testDatabase();
await withSession(database.pool, ({ client }) =>
  client.query(`
    DO $$ BEGIN
      EXECUTE format('ALTER DATABASE %I SET timezone = %L', current_database(), 'Asia/Kathmandu');
    END $$`),
);
const api = await testApi({}, { database });
const acme = await api.account('acme');
const START = Date.parse('2026-11-21T04:10:00.500Z');
await takeIn(
  api.calls.pool,
  await testImportSource(api.calls.pool),
  Array.from({ length: 3 }, (_, n) =>
    callRow({ accountCode: 'acme', callId: `call ${n}`, startTime: START + n, connectTime: START + n }),
  ),
);

test('instants are in UTC', async () => {
  for (const scope of ['operator', 'support'] as const) {
    const key = await api.key(scope);
    const page = await api.get(`/cdrs?i_account=${acme}&limit=2`, key);
    assert.equal(page.status, 200, page.text);
    const [{ i_cdr, start_time }] = page.body.data;
    assert.equal(start_time, '2026-11-21T04:10:00.502Z');
    const call = await api.get(`/cdrs/${i_cdr}`, key);
    assert.equal(call.body.data.start_time, start_time);
    assert.match(page.body.data_complete_to, /Z$/);
    assert.equal(call.body.data_complete_to, page.body.data_complete_to);

    const next = await api.get(`/cdrs?i_account=${acme}&limit=2&cursor=${page.body.next_cursor}`, key);
    assert.deepEqual(
      next.body.data.map((row: { start_time: string }) => row.start_time),
      ['2026-11-21T04:10:00.5Z'],
    );
    const file = await api.get(`/cdrs?i_account=${acme}`, key, { accept: 'text/csv' });
    assert.match(file.text, /,2026-11-21T04:10:00\.501\+00:00,/);
  }
});
