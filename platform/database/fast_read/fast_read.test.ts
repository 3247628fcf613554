import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sql } from 'kysely';
import pg from 'pg';
import { testDatabase } from '#tests/postgres.ts';
import { withSession } from '../pool.ts';
import { transaction } from '../session.ts';
import { type Statement, sqlBuilder } from '../statement.ts';
import { jsonQuery } from './rows_json.ts';
import { valuesQuery } from './rows_values.ts';

const { pool } = await testDatabase();
const build = sqlBuilder<unknown>();
const count = (rows: number) =>
  sql<{ i: number }>`SELECT i FROM generate_series(1, ${rows}::int) AS i`.compile(build);
const statement = (text: string) => sql.raw<Record<string, unknown>>(text).compile(build);

const MIXED = `SELECT i::int8 AS big, i::int4 AS small, (i / 8.0)::numeric(10, 3) AS amount, i / 8.0::float8 AS seconds,
  CASE WHEN i % 3 > 0 THEN 'é "' || i END AS words, i % 2 = 0 AS even, ARRAY['a', NULL, 'b c'] AS list,
  timestamptz '2026-11-21 04:10:00.5+00' + make_interval(secs => i) AS at, date '2026-11-21' AS day,
  jsonb_build_object('i', i) AS doc, NULL::text AS none FROM generate_series(1, 5) AS i`;

test('values are those that pg gives', async () => {
  await withSession(pool, async (session) => {
    const [values] = await session.pipeline(valuesQuery(statement(MIXED)));
    assert.deepEqual(values, await session.rows(statement(MIXED)));
    const [none] = await session.pipeline(valuesQuery(statement('SELECT 1 AS one WHERE false')));
    assert.deepEqual(none, []);
  });
});

test('statements together give what they give alone, whatever the number and size of their rows', async () => {
  const sizes = fc.array(fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: 3_000 })), {
    minLength: 1,
    maxLength: 6,
  });
  await withSession(pool, async (session) => {
    await fc.assert(
      fc.asyncProperty(sizes, fc.nat({ max: 7 }), async (rows, left) => {
        const queries = rows.map((n, i) => (i === left ? undefined : valuesQuery(count(n), i % 2 === 0)));
        const answers = await session.pipeline(...queries);
        const expected = rows.map((n, i) =>
          i === left ? undefined : Array.from({ length: n }, (_, j) => ({ i: j + 1 })),
        );
        assert.deepEqual(answers, expected);
      }),
      { numRuns: 50 },
    );
  });
});

test('a page beside other statements, and how many rows all had', async () => {
  const counted: number[] = [];
  const work = async (session: Parameters<Parameters<typeof withSession>[1]>[0]) => {
    const [before, page, after] = await session.pipeline(
      valuesQuery(count(2)),
      jsonQuery(count(5), { limit: 4, keep: ['i'] }),
      valuesQuery(count(1)),
    );
    assert.deepEqual([before.length, after.length], [2, 1]);
    assert.deepEqual(JSON.parse(page.bytes.toString()), [{ i: 1 }, { i: 2 }, { i: 3 }, { i: 4 }]);
    assert.deepEqual([page.count, page.more, page.last], [4, true, { i: '4' }]);
  };
  await withSession(pool, work, { onRows: (rows) => counted.push(rows) });
  assert.deepEqual(counted, [8]);
});

test('they see each other, and none is run behind one that fails', async () => {
  await withSession(pool, async (session) => {
    await session.client.query('CREATE TEMPORARY TABLE steps (n int)');
    const insert = (n: string) => statement(`INSERT INTO steps VALUES (${n}) RETURNING n`);
    const all = () => valuesQuery(statement('SELECT n FROM steps ORDER BY n'));
    const [, , seen] = await session.pipeline(valuesQuery(insert('1')), valuesQuery(insert('2')), all());
    assert.deepEqual(seen, [{ n: 1 }, { n: 2 }]);

    const failing: Statement<unknown> = insert('1 / 0');
    await assert.rejects(
      session.pipeline(valuesQuery(insert('3')), valuesQuery(failing), valuesQuery(insert('4'))),
      (error) => error instanceof pg.DatabaseError && error.code === '22012',
    );
    const [left] = await session.pipeline(all());
    assert.deepEqual(left, [{ n: 1 }, { n: 2 }], 'they are one transaction');

    await transaction(session, async (inside) => {
      await inside.pipeline(valuesQuery(insert('5'), true));
      assert.equal((await inside.pipeline(all()))[0].length, 3);
      throw new Error('thought better of it');
    }).catch((error: Error) => assert.match(error.message, /thought better/));
    assert.equal((await session.pipeline(all()))[0].length, 2);
  });
});
