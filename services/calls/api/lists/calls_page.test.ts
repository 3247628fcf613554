import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Caller } from '#platform/access/caller.ts';
import { withSession } from '#platform/database/pool.ts';
import type { Session } from '#platform/database/session.ts';
import { callRow, testImportSource } from '#tests/calls.ts';
import { testDatabase } from '#tests/postgres.ts';
import { takeIn } from '../../intake/intake.ts';
import { readCallsQuery } from './call_query.ts';
import { readPage } from './calls_page.ts';

const { pool } = await testDatabase();
const NOW = Date.parse('2026-11-25T12:00:00Z');
const CALLS = 12;

const account = async (code: string, iParent: number | null = null): Promise<number> => {
  const { rows } = await pool.query(
    `INSERT INTO calls.accounts (code, name, currency, time_zone, i_parent) VALUES ($1, $1, 'EUR', 'UTC', $2)
     RETURNING i_account`,
    [code, iParent],
  );
  return rows[0].i_account;
};
const acme = await account('acme');
const branch = await account('branch', acme);
const other = await account('other');
const startOf = (n: number) => NOW - n * 60_000;
await takeIn(
  pool,
  await testImportSource(pool),
  ['acme', 'branch', 'other'].flatMap((accountCode) =>
    Array.from({ length: CALLS }, (_, n) =>
      callRow({ accountCode, callId: `${accountCode} ${n}`, startTime: startOf(n), connectTime: startOf(n) }),
    ),
  ),
);

const operator: Caller = { account: null, scope: 'operator', id: 'o', name: 'operator' };
const support: Caller = { account: null, scope: 'support', id: 's', name: 'support' };
const customer: Caller = { scope: 'customer', id: 'c', name: 'customer', account: acme };

/** Reads a page; tells how often PostgreSQL was asked, and of how many statements together each time. */
async function read(caller: Caller, query: Parameters<typeof readCallsQuery>[0]) {
  const asked: number[] = [];
  const page = withSession(pool, (session) => {
    const counting: Session = {
      ...session,
      row: (statement) => {
        asked.push(1);
        return session.row(statement);
      },
      pipeline: (...queries) => {
        asked.push(queries.filter(Boolean).length);
        return session.pipeline(...queries);
      },
    };
    return readPage(counting, readCallsQuery(query, caller), undefined, caller, NOW);
  });
  return { page, asked };
}

async function numbersOf(caller: Caller, query: Parameters<typeof readCallsQuery>[0]) {
  const { page, asked } = await read(caller, query);
  const { total, next, answer } = await page;
  const { data, mark } = JSON.parse(answer({ mark: 'é"' }).toString());
  assert.equal(mark, 'é"');
  return { calls: data.length, total, more: next !== undefined, asked };
}

test('what everybody may see that asks takes one way to PostgreSQL', async () => {
  const page = { calls: 5, total: CALLS, more: true, asked: [3] };
  assert.deepEqual(await numbersOf(operator, { i_account: other, limit: 5 }), page);
  assert.deepEqual(await numbersOf(support, { i_account: other, limit: 5 }), page);
  assert.deepEqual(await numbersOf(customer, { limit: 5 }), page);
  const withoutTotal = { ...page, total: undefined, asked: [2] };
  assert.deepEqual(await numbersOf(customer, { limit: 5, with_total: false }), withoutTotal);
});

test('an account below is asked about first', async () => {
  const page = { calls: 5, total: CALLS, more: true, asked: [1, 2] };
  assert.deepEqual(await numbersOf(customer, { i_account: branch, limit: 5 }), page);
});

test("nobody's and somebody else's account are the same: no calls are looked for", async () => {
  for (const iAccount of [other, 999_999]) {
    const { page, asked } = await read(customer, { i_account: iAccount });
    await assert.rejects(page, { status: 404 });
    assert.deepEqual(asked, [1]);
  }
  const { page } = await read(operator, { i_account: 999_999 });
  await assert.rejects(page, { status: 404 });
});

test('a page that is all there is has its own total, wherever its calls are found', async () => {
  // Two months, a year, all: each wider window is looked through, since the page is not full.
  const page = { calls: CALLS, total: CALLS, more: false, asked: [3, 1, 1] };
  assert.deepEqual(await numbersOf(operator, { i_account: acme }), page);
});

test('a total of a range waits for the zone of the account, one of a filter for its count', async () => {
  const range = { from: new Date(startOf(8)).toISOString() };
  const ranged = await numbersOf(operator, { i_account: acme, limit: 5, ...range });
  assert.deepEqual([ranged.calls, ranged.total, ranged.more], [5, 9, true]);
  const counted = await numbersOf(operator, {
    i_account: acme,
    limit: 5,
    direction: 'outbound',
    with_total: true,
  });
  assert.deepEqual([counted.calls, counted.total, counted.asked.at(-1)], [5, CALLS, 1]);
});
