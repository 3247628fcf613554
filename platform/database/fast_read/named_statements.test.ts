import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { sql } from 'kysely';
import pg from 'pg';
import { findPgBouncer, startPgBouncer } from '#tests/pgbouncer.ts';
import { testDatabase } from '#tests/postgres.ts';
import { createPool, type Pool, withSession } from '../pool.ts';
import { type Session, transaction } from '../session.ts';
import { type Statement, sqlBuilder } from '../statement.ts';
import { NAMES_PER_CONNECTION } from './named_statements.ts';
import { jsonQuery } from './rows_json.ts';
import { valuesQuery } from './rows_values.ts';
import type { ResultFormat } from './wire_messages.ts';

const database = await testDatabase();
const build = sqlBuilder<unknown>();
const text = (sqlText: string): Statement<Record<string, unknown>> =>
  sql.raw<Record<string, unknown>>(sqlText).compile(build);
const double = (n: unknown, note = '') =>
  sql<{ n: number }>`SELECT 2 * ${n}::int AS n ${sql.raw(note === '' ? '' : `/* ${note} */`)}`.compile(build);

/** Connections of it learn with their first statements whether they may have names. */
function smallPool(url: string, size = 1): Pool {
  const pool = createPool({ url, applicationName: 'named', size, onIdleError: () => undefined });
  after(() => pool.end());
  return pool;
}

/** What the server keeps for this connection: each statement, and how often it was run. */
async function kept({ client }: Session): Promise<{ statement: string; runs: number }[]> {
  const { rows } = await client.query(
    `SELECT statement, (generic_plans + custom_plans)::int AS runs FROM pg_prepared_statements ORDER BY prepare_time`,
  );
  return rows;
}

const ask = async (session: Session, statement: Statement<unknown>) =>
  (await session.pipeline(valuesQuery(statement, true)))[0];
const detectPooler = (session: Session) => ask(session, double(0));

test('a statement is read once and run again by its name, with other parameters', async () => {
  const pool = smallPool(database.url);
  await withSession(pool, async (session) => {
    await detectPooler(session);
    assert.deepEqual(await kept(session), []);
    for (const n of [1, 2, 3, 4, 5, 6, 7]) assert.deepEqual(await ask(session, double(n)), [{ n: 2 * n }]);
    assert.deepEqual(await kept(session), [{ statement: double(1).sql, runs: 7 }]);
  });
  await withSession(pool, async (session) => {
    const page = async (n: number) => {
      const statement = { ...double(n), prepared: true };
      const [{ bytes, last }] = await session.pipeline(jsonQuery(statement, { keep: ['n'] }));
      return [bytes.toString(), last];
    };
    for (const n of [8, 9]) assert.deepEqual(await page(n), [`[{"n":${2 * n}}]`, { n: `${2 * n}` }]);
    assert.equal((await kept(session))[0]?.runs, 9, 'the connection keeps it from one use to the next');
    await session.pipeline(valuesQuery(double(1, 'not prepared')));
    assert.equal((await kept(session)).length, 1);
  });
});

test('one statement whose columns come in several forms is known by each', async () => {
  const pool = smallPool(database.url);
  await withSession(pool, async (session) => {
    await detectPooler(session);
    const sql = `SELECT timestamptz '2026-11-21 04:10:00.5+00' AS at, $1::int AS n`;
    const decoded = (formats?: readonly ResultFormat[]) =>
      jsonQuery({ sql, parameters: [7], formats, prepared: true });
    const expected = '[{"at":"2026-11-21T04:10:00.5Z","n":7}]';
    for (let i = 0; i < 2; i++) {
      for (const queries of [
        [undefined],
        [[1, 0]],
        [undefined, [1, 0], undefined],
        [
          [1, 0],
          [0, 0],
        ],
      ] as const) {
        for (const page of await session.pipeline(...queries.map((formats) => decoded(formats))))
          assert.equal(page.bytes.toString(), expected);
      }
    }
  });
});

test('a connection keeps so many, and forgets what was not used for longest', async () => {
  const pool = smallPool(database.url);
  await withSession(pool, async (session) => {
    await detectPooler(session);
    for (let i = 0; i < NAMES_PER_CONNECTION; i++) await ask(session, double(1, `statement ${i}`));
    await ask(session, double(1, 'statement 0'));
    for (const i of [20, 21, 22]) await ask(session, double(1, `statement ${i}`));
    await session.pipeline(valuesQuery(double(1)));
    const numbers = (await kept(session)).map(({ statement }) =>
      Number(/statement (\d+)/.exec(statement)?.[1]),
    );
    const expected = Array.from({ length: 23 }, (_, i) => i).filter((i) => ![1, 2, 3].includes(i));
    assert.deepEqual(
      numbers.toSorted((a, b) => a - b),
      expected,
    );
    assert.deepEqual(await ask(session, double(4, 'statement 1')), [{ n: 8 }], 'a forgotten one comes back');
  });
});

test('an error spoils neither the statement nor its name', async () => {
  const pool = smallPool(database.url);
  await withSession(pool, async (session) => {
    const fails = (n: unknown, code: string) =>
      assert.rejects(
        ask(session, double(n)),
        (error) => error instanceof pg.DatabaseError && error.code === code,
      );
    await detectPooler(session);
    await fails('one', '22P02'); // at its first use, when PostgreSQL has read it but not told its columns
    assert.deepEqual(await ask(session, double(21)), [{ n: 42 }]);
    await fails(2 ** 31 - 1, '22003');
    assert.deepEqual(await ask(session, double(4)), [{ n: 8 }]);
    await assert.rejects(ask(session, text('SELEKT')), { code: '42601' });
    await assert.rejects(ask(session, text('SELEKT')), { code: '42601' });
    assert.equal((await kept(session)).length, 1);
  });
});

test('where the columns have changed, the statement is run anew without a name', async () => {
  const pool = smallPool(database.url);
  await database.pool.query(
    'CREATE TABLE changing AS SELECT i, i::text AS word FROM generate_series(1, 3) AS i',
  );
  const statement = text('SELECT * FROM changing ORDER BY i');
  const both = (session: Session) =>
    session.pipeline(jsonQuery({ ...double(3), prepared: true }), valuesQuery(statement, true));
  await withSession(pool, async (session) => {
    await detectPooler(session);
    assert.equal((await both(session))[1].length, 3);
    await database.pool.query('ALTER TABLE changing ADD COLUMN more int DEFAULT 7');
    const [page, rows] = await both(session);
    assert.deepEqual(rows[2], { i: 3, word: '3', more: 7 });
    assert.equal(page.bytes.toString(), '[{"n":6}]', 'what came before the error is not told twice');
    const before = await kept(session);
    assert.equal((await both(session))[1].length, 3);
    assert.deepEqual(await kept(session), before, 'this connection uses no name any more');
  });
});

test('rows of the first try that were there no more at the second count for nothing', async () => {
  const pool = smallPool(database.url);
  await database.pool.query('CREATE SEQUENCE tries; CREATE TABLE growing AS SELECT 1 AS i');
  // A sequence is not rolled back: the statement has a row each time but every third.
  const once = { ...text(`SELECT 7 AS n WHERE nextval('tries') % 3 > 0`), prepared: true };
  await withSession(pool, async (session) => {
    await detectPooler(session);
    const both = () =>
      session.pipeline(jsonQuery(once, { keep: ['n'] }), valuesQuery(text('SELECT * FROM growing'), true));
    assert.deepEqual((await both())[0].last, { n: '7' });
    await database.pool.query('ALTER TABLE growing ADD COLUMN j int DEFAULT 2');
    const [page, rows] = await both();
    assert.deepEqual([page.bytes.toString(), page.count, page.last], ['[]', 0, undefined]);
    assert.deepEqual(rows, [{ i: 1, j: 2 }]);
  });
});

test('a statement that stands twice among those together is read once', async () => {
  const pool = smallPool(database.url);
  await withSession(pool, async (session) => {
    await detectPooler(session);
    const twice = (n: number) =>
      session.pipeline(valuesQuery(double(n), true), valuesQuery(double(n + 1), true));
    for (const n of [1, 5]) assert.deepEqual(await twice(n), [[{ n: 2 * n }], [{ n: 2 * n + 2 }]]);
    assert.deepEqual(await kept(session), [{ statement: double(1).sql, runs: 4 }]);
  });
});

test('what the connection was made to forget is asked again without a name', async () => {
  for (const forget of ['DEALLOCATE ALL', 'DISCARD ALL']) {
    await withSession(smallPool(database.url), async (session) => {
      await detectPooler(session);
      await ask(session, double(1));
      await session.client.query(forget);
      for (const n of [2, 3]) assert.deepEqual(await ask(session, double(n)), [{ n: 2 * n }]);
      assert.deepEqual(await kept(session), []);
    });
  }
});

test('in a transaction no name is used: one that is refused would end it', async () => {
  const pool = smallPool(database.url);
  await withSession(pool, async (session) => {
    await detectPooler(session);
    await transaction(session, async (inside) => assert.deepEqual(await ask(inside, double(1)), [{ n: 2 }]));
    assert.deepEqual(await kept(session), []);
  });
});

const skip = findPgBouncer() ? false : 'PgBouncer is not installed';

describe('through PgBouncer in transaction mode', { skip }, async () => {
  if (skip) return;
  const bouncer = await startPgBouncer({ url: database.url, poolSize: 3 });
  after(() => bouncer.stop());

  test('no statement is given a name, and every answer is right', async () => {
    const pool = smallPool(bouncer.url, 12);
    const one = (i: number) =>
      withSession(pool, async (session) => {
        const kind = i % 4;
        const [[row], page, left] = await session.pipeline(
          valuesQuery(double(i, `kind ${kind}`), true),
          jsonQuery({ ...double(i + kind, `page ${kind}`), prepared: true }),
          valuesQuery(text('SELECT name FROM pg_prepared_statements')),
        );
        assert.deepEqual(row, { n: 2 * i });
        assert.equal(page.bytes.toString(), `[{"n":${2 * (i + kind)}}]`);
        assert.deepEqual(left, []);
      });
    for (let round = 0; round < 10; round++) {
      await Promise.all(Array.from({ length: 48 }, (_, i) => one(100 * round + i)));
    }
  });
});
