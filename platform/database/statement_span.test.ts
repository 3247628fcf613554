import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sql } from 'kysely';
import { inSpan, startTrace } from '#platform/telemetry/tracing/tracing.ts';
import { testDatabase } from '#tests/postgres.ts';
import { traceThisProcess } from '#tests/traced.ts';
import { valuesQuery } from './fast_read/fast_read.ts';
import { withSession, withTransaction } from './pool.ts';
import { sqlBuilder } from './statement.ts';
import { summaryOf } from './statement_span.ts';

const build = sqlBuilder<unknown>();
const NUMBER = '493023125001';

test('a statement is named by what it does and its tables', () => {
  for (const [text, summary] of [
    ['SELECT 1', 'SELECT'],
    ['select * from "calls"."cdrs" where i_account = $1', 'SELECT calls.cdrs'],
    [
      'WITH a AS (SELECT x FROM calls.accounts), b AS (SELECT FROM a) INSERT INTO calls.cdrs SELECT * FROM b',
      'WITH calls.accounts calls.cdrs',
    ],
    ['UPDATE ONLY messaging.messages SET x = 1', 'UPDATE messaging.messages'],
    ['  DELETE FROM calls.cdrs USING x', 'DELETE calls.cdrs'],
    ['SELECT FROM calls.cdrs JOIN calls.cdrs AS again ON true', 'SELECT calls.cdrs'],
    ['COPY calls.cdrs (a) FROM STDIN', 'COPY calls.cdrs'],
    ['', 'EMPTY'],
  ] as const)
    assert.equal(summaryOf(text), summary);
});

test('whatever values a statement is written with, its name holds none of their digits', () => {
  const value = fc.oneof(fc.string(), fc.constant(NUMBER), fc.constant(`x FROM ${NUMBER}.${NUMBER}`));
  fc.assert(
    fc.property(value, (text) => {
      const statement = `SELECT * FROM calls.cdrs WHERE cli = '${text.replaceAll(/[a-z_]/gi, '')}'`;
      assert.equal(summaryOf(statement), 'SELECT calls.cdrs');
    }),
  );
});

test('statements of a recorded request are spans of their own, without their values; others are none', async () => {
  const { pool, url } = await testDatabase();
  const { receiver, stop } = await traceThisProcess();
  const named = sql<{
    n: number;
  }>`SELECT relname FROM pg_catalog.pg_class WHERE relname <> ${NUMBER} LIMIT 3`;
  const statement = named.compile(build);
  const root = startTrace('test', () => ({ name: 'GET', kind: 'server' }))!;
  await withSession(pool, (session) => session.rows(statement));
  await inSpan(root, async () => {
    await withSession(pool, (session) => session.rows(statement));
    await withSession(pool, (session) =>
      session.pipeline(valuesQuery(statement), undefined, valuesQuery(sql`SELECT 1 AS one`.compile(build))),
    );
    const failing = withTransaction(pool, (session) =>
      session.run(sql`SELECT ${NUMBER}::text::integer`.compile(build)),
    );
    await assert.rejects(failing);
    await withTransaction(pool, (session) => session.run(statement));
  });
  root.end();
  await stop();
  const { hostname, port } = new URL(url);
  const statements = receiver.spans.filter(({ kind }) => kind === 'client');
  const common = {
    'db.system.name': 'postgresql',
    'server.address': hostname,
    'server.port': Number(port),
  };
  const SELECT = 'SELECT pg_catalog.pg_class';
  const of = (name: string, more: object) => [name, { ...common, 'db.query.summary': name, ...more }];
  assert.deepEqual(
    statements.map(({ name, attributes }) => [name, attributes]),
    [
      of(SELECT, { 'db.response.returned_rows': 3 }),
      of(`${SELECT}; SELECT`, { 'db.operation.batch.size': 2 }),
      of('SELECT', { 'db.response.status_code': '22003', 'error.type': '22003' }),
      of(SELECT, { 'db.response.returned_rows': 3 }),
      of('COMMIT', {}),
    ],
  );
  assert.ok(statements.every(({ parentId }) => parentId === root.spanId));
  assert.ok(!receiver.bytes().includes(NUMBER));
  assert.deepEqual(receiver.faults, []);
});
