import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withSession } from '#platform/database/pool.ts';
import { testDatabase } from '#tests/postgres.ts';
import { rowsAsJson } from '#tests/rows_as_json.ts';
import { rfc3339 } from './types.ts';

const { pool } = await testDatabase();

test('instants of any zone are told in UTC', () => {
  for (const [text, expected] of [
    ['2026-11-21 04:10:00+00', '2026-11-21T04:10:00Z'],
    ['2026-11-21 09:55:00.000001+05:45', '2026-11-21T04:10:00.000001Z'],
    ['2026-12-31 20:30:00.5-03:30', '2027-01-01T00:00:00.5Z'],
    ['2024-03-01 00:00:00+01', '2024-02-29T23:00:00Z'],
    ['1890-01-01 00:53:28+00:53:28', '1890-01-01T00:00:00Z'],
    ['12026-01-01 00:00:00+01', '12025-12-31T23:00:00Z'],
    ['0001-01-01 00:00:00+01', '0001-12-31T23:00:00+00 BC'],
    ['0044-03-15 00:53:28+00:53:28 BC', '0044-03-15T00:00:00+00 BC'],
    ['infinity', 'infinity'],
    ['-infinity', '-infinity'],
  ] as const)
    assert.equal(rfc3339(text), expected);
});

test('times in another style than ISO are refused, not handed on', async () => {
  await withSession(pool, async ({ client }) => {
    const sql = `SELECT timestamptz '2026-11-21 04:10:00+00' AS at`;
    const refused = /PostgreSQL gives a time as .*2026.*: its DateStyle must be ISO/;
    for (const style of ['SQL, DMY', 'German', 'Postgres, MDY']) {
      await client.query(`SET DateStyle = '${style}'`);
      await assert.rejects(rowsAsJson(client, { sql, parameters: [] }), refused);
      await assert.rejects(client.query(sql), refused);
      const page = await rowsAsJson(client, { sql, parameters: [], formats: [1] });
      assert.equal(page.bytes.toString(), '[{"at":"2026-11-21T04:10:00Z"}]');
    }
    await client.query('RESET DateStyle');
  });
});
