import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createFakeClock } from '#platform/lifecycle/fake_clock.ts';
import { findPgBouncer, startPgBouncer } from '#tests/pgbouncer.ts';
import { testDatabase } from '#tests/postgres.ts';
import { rowsAsJson } from '#tests/rows_as_json.ts';
import { createOutput } from '../byte_output.ts';
import { createPool, withSession } from '../pool.ts';
import { runPipeline } from './fast_read.ts';
import { csvQuery } from './rows_csv.ts';

const LIMIT_MS = 20_000;
const skip = findPgBouncer() ? false : 'PgBouncer is not installed';

describe('rows through PgBouncer in transaction mode', { skip }, async () => {
  if (skip) return;
  const direct = await testDatabase();
  // Many clients on few connections: a statement meets another server than the one before.
  const bouncer = await startPgBouncer({ url: direct.url, poolSize: 3 });
  const pool = createPool({
    url: bouncer.url,
    applicationName: 'bounced',
    size: 12,
    onIdleError: () => undefined,
  });
  after(async () => {
    await pool.end();
    await bouncer.stop();
  });

  test('pages side by side, with errors among them', async () => {
    const page = async (n: number) =>
      withSession(pool, async ({ client }) => {
        const sql = `SELECT i, i / ($1::int % 7) AS share, repeat($2, 200) AS filler FROM generate_series(1, $1::int) AS i`;
        if (n % 7 === 0) {
          await assert.rejects(rowsAsJson(client, { sql, parameters: [n, 'x'] }), { code: '22012' });
          return;
        }
        const { bytes, count } = await rowsAsJson(client, { sql, parameters: [n, 'é"'] });
        assert.equal(count, n);
        const rows = JSON.parse(bytes.toString()) as { i: number; filler: string }[];
        assert.deepEqual(
          rows.map((row) => row.i),
          Array.from({ length: n }, (_, i) => i + 1),
        );
        assert.ok(rows.every((row) => row.filler === 'é"'.repeat(200)));
      });
    // As many as there are connections: none waits for one until it gives up.
    const worker = async (first: number) => {
      for (let n = first; n <= 300; n += 12) await page(n);
    };
    await Promise.all(Array.from({ length: 12 }, (_, i) => worker(i + 1)));
  });

  test('an abort reaches the server behind it, and the client is good afterwards', async () => {
    const before = pool.totalCount;
    for (const sql of ['SELECT pg_sleep(600)', "SELECT generate_series(1, 100000000), repeat('x', 1000)"]) {
      const control = new AbortController();
      // A clock that stands still: no connection is destroyed since a busy machine was slow to cancel.
      const borrowing = { signal: control.signal, clock: createFakeClock() };
      const page = withSession(pool, ({ client }) => rowsAsJson(client, { sql, parameters: [] }), borrowing);
      await runs(sql, true);
      control.abort(new Error('hung up'));
      await assert.rejects(page, { code: '57014' });
      await runs(sql, false);
    }
    assert.equal(pool.totalCount, before, 'no connection was thrown away');
    assert.deepEqual((await pool.query('SELECT 1 AS one')).rows, [{ one: 1 }]);
  });

  test('batches of an export, side by side', async () => {
    const append = async (n: number) =>
      withSession(pool, async ({ client }) => {
        const out = createOutput(16);
        const sql = `SELECT i, $2 AS filler FROM generate_series(1, $1::int) AS i`;
        const batch = csvQuery({ sql, parameters: [n, 'é, "'] }, out);
        const [{ count }] = await runPipeline(client, [batch]);
        assert.equal(count, n);
        const lines = Array.from({ length: n }, (_, i) => `${i + 1},"é, """\r\n`);
        assert.equal(out.bytes.toString('utf8', 0, out.at), lines.join(''));
      });
    await Promise.all(Array.from({ length: 60 }, (_, i) => append(50 * i)));
  });

  /** Waits until a query with this text runs, or none does. */
  async function runs(sql: string, wanted: boolean): Promise<void> {
    const deadline = Date.now() + LIMIT_MS;
    for (;;) {
      const { rowCount } = await direct.pool.query(
        `SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query = $1`,
        [sql],
      );
      if ((rowCount === 0) !== wanted) return;
      assert.ok(Date.now() < deadline, `${sql} ${wanted ? 'never ran' : 'runs on'}`);
      await sleep(20);
    }
  }
});
