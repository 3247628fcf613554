import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Database, RequestContext, Written } from '#platform/database/database.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { RefusedError } from '#platform/resilience/refused.ts';
import { callRow } from '#tests/calls.ts';
import { testDatabase } from '#tests/postgres.ts';
import type { ImportSourceOptions } from './import_source.ts';
import { createPostBatches, MAX_WAITING_ROWS } from './post_batches.ts';
import type { RowOutcome } from './rows.ts';

const { pool } = await testDatabase();
const context: RequestContext = {
  priority: 'operator',
  tenant: 'x',
  deadline: Number.POSITIVE_INFINITY,
  signal: new AbortController().signal,
};
const options: ImportSourceOptions = {
  file: 'POST /cdrs',
  format: 'posted-fields',
  source: 'switch',
  readOptions: {},
  newAccounts: { currency: 'EUR', timeZone: 'UTC', country: null },
};
const outcomesOf = async (taken: Promise<Written<RowOutcome[]>>) => (await taken).value;

/** The database's own queue has tests of its own: here work goes straight through, and is counted. */
function straightThrough(): {
  database: Database;
  transactions: () => number;
  fail: (error: Error | undefined) => void;
} {
  let count = 0;
  let failure: Error | undefined;
  const database: Database = {
    read: () => assert.fail('not used here'),
    readForWrite: () => assert.fail('not used here'),
    readBypassingQueue: () => assert.fail('not used here'),
    withWritePool: async (_context, work) => {
      count++;
      if (failure) throw failure;
      return { value: await work(pool, new AbortController().signal), position: '0/1' };
    },
  };
  const fail = (error: Error | undefined) => {
    failure = error;
  };
  return { database, transactions: () => count, fail };
}

test('posts that come while one is being stored share the next transaction, and each gets its own answers', async () => {
  const { database, transactions } = straightThrough();
  const batches = createPostBatches(database);
  const rows = Array.from({ length: 40 }, () => callRow());
  const answers = await Promise.all(
    rows.map((row, i) => outcomesOf(batches.take(context, options, i % 2 ? [row] : [row, row]))),
  );
  assert.equal(transactions(), 2);
  answers.forEach((outcomes, i) => {
    assert.deepEqual(
      outcomes.map((o) => o.kind),
      i % 2 ? ['stored'] : ['stored', 'duplicate'],
    );
  });
  const ids = answers.map((outcomes) => (outcomes[0]!.kind === 'stored' ? outcomes[0]!.iCdr : 0));
  assert.equal(new Set(ids).size, 40);
  const found = await pool.query('SELECT call_id FROM calls.cdrs WHERE i_cdr = $1', [ids[7]]);
  const seventh = rows[7]!.parsed;
  assert.equal(found.rows[0].call_id, seventh.kind === 'record' && seventh.record.callId);
});

test('a database that fails fails every post that waited for it, and the next one starts anew', async () => {
  const { database, fail } = straightThrough();
  const batches = createPostBatches(database);
  fail(new Error('down'));
  const failed = await Promise.allSettled([1, 2, 3].map(() => batches.take(context, options, [callRow()])));
  assert.deepEqual(
    failed.map((f) => f.status),
    ['rejected', 'rejected', 'rejected'],
  );
  fail(undefined);
  assert.equal((await outcomesOf(batches.take(context, options, [callRow()])))[0]!.kind, 'stored');
});

test('more than may wait is turned away at once', async () => {
  const started = Promise.withResolvers<void>();
  const batches = createPostBatches({
    read: () => assert.fail('not used here'),
    readForWrite: () => assert.fail('not used here'),
    readBypassingQueue: () => assert.fail('not used here'),
    withWritePool: () => started.promise as never,
  });
  const row = callRow();
  const many = Array.from({ length: MAX_WAITING_ROWS }, () => row);
  const waiting = [
    batches.take(context, options, [row]),
    batches.take(context, options, many),
    batches.take(context, options, [row]),
  ];
  await assert.rejects(
    batches.take(context, options, [row]),
    (error) => error instanceof RefusedError && error.refusal === 'queue_overload',
  );
  started.reject(new Error('end'));
  await Promise.allSettled(waiting);
});

test('a post that waits is refused at its own deadline and not stored; another key does not wait at all', async () => {
  const { database, transactions } = straightThrough();
  const first = Promise.withResolvers<void>();
  const batches = createPostBatches({
    ...database,
    withWritePool: async (its, work) => {
      if (its.tenant === 'posts:x') await first.promise;
      return database.withWritePool(its, work);
    },
  });
  const long = batches.take(context, options, [callRow()]);
  const hasty = callRow();
  await assert.rejects(
    batches.take({ ...context, deadline: systemClock.monotonic() + 20 }, options, [hasty]),
    (error) => error instanceof RefusedError && error.refusal === 'deadline' && error.details.waitedMs >= 20,
  );
  const [other] = await outcomesOf(batches.take({ ...context, tenant: 'y' }, options, [callRow()]));
  assert.equal(other!.kind, 'stored');
  first.resolve();
  assert.equal((await outcomesOf(long))[0]!.kind, 'stored');
  assert.equal(transactions(), 2);
  const [again] = await outcomesOf(batches.take(context, options, [hasty]));
  assert.equal(again!.kind, 'stored', 'it was not stored before');
});
