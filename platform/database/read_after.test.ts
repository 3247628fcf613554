import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '#platform/lifecycle/fake_clock.ts';
import { RefusedError } from '#platform/resilience/refused.ts';
import type { RequestContext } from '#platform/resilience/request_context.ts';
import { testDatabase } from '#tests/postgres.ts';
import { withSession } from './pool.ts';
import { createReadAfter, READ_AFTER_WAIT_MS, walPosition } from './read_after.ts';
import type { Read, Session } from './session.ts';

const POOL_SIZE = 10;

/** Replicas that have what is wanted from the given question on, and a primary that takes `primaryMs` to read. */
function servers(reachedAt: number, primaryMs = 0) {
  const clock = createFakeClock();
  const questions: number[] = [];
  const outcomes: string[] = [];
  const statements: string[] = [];
  const startedAt = clock.monotonic();
  let onPrimary = 0;
  let mostOnPrimary = 0;
  const client = {
    query: async (sql: string) => {
      if (!sql.startsWith('SELECT')) statements.push(sql);
      return { rows: [{ reached: questions.length >= reachedAt }] };
    },
  };
  const readAfter = createReadAfter({
    readReplica: async <T>(_context: RequestContext, work: Read<T>) => {
      questions.push(clock.monotonic() - startedAt);
      return work({ client } as unknown as Session, { replicaLagS: 1 });
    },
    readPrimary: async (_context, work) => {
      onPrimary++;
      mostOnPrimary = Math.max(mostOnPrimary, onPrimary);
      await clock.sleep(primaryMs);
      onPrimary--;
      return work({} as Session);
    },
    poolSize: POOL_SIZE,
    clock,
    onOutcome: (outcome) => outcomes.push(outcome),
  });
  const read = ({ timeoutMs = 30_000, signal = new AbortController().signal } = {}) =>
    readAfter(
      { priority: 'customer', tenant: 'a', deadline: clock.monotonic() + timeoutMs, signal },
      async (_session, { replicaLagS }) => (replicaLagS === null ? 'primary' : 'replica'),
      ['0/1'],
    );
  return { clock, read, questions, outcomes, statements, mostOnPrimary: () => mostOnPrimary };
}

test('a replica that has the write reads, in the transaction in which it was asked', async () => {
  const { read, questions, outcomes, statements } = servers(1);
  assert.equal(await read(), 'replica');
  assert.deepEqual([questions, outcomes, statements], [[0], ['replica'], ['BEGIN', 'COMMIT']]);
});

test('replicas that are behind are asked again, ever later', async () => {
  const { clock, read, questions, outcomes } = servers(4);
  const reading = read();
  await clock.advance(READ_AFTER_WAIT_MS);
  assert.equal(await reading, 'replica');
  assert.deepEqual([questions, outcomes], [[0, 10, 30, 70], ['replica_waited']]);
});

test('the primary reads when no replica had it within the time', async () => {
  const { clock, read, questions, outcomes } = servers(Number.POSITIVE_INFINITY);
  const reading = read();
  await clock.advance(READ_AFTER_WAIT_MS);
  assert.equal(await reading, 'primary');
  assert.deepEqual(outcomes, ['primary']);
  assert.equal(questions.at(-1), READ_AFTER_WAIT_MS);
  assert.equal(clock.pendingTimers, 0);
});

test('it is read before the deadline, and not for a client that is gone', async () => {
  const { clock, read, outcomes } = servers(Number.POSITIVE_INFINITY);
  const gone = new AbortController();
  const reads = Promise.allSettled([read({ timeoutMs: 50 }), read({ signal: gone.signal })]);
  gone.abort(new Error('gone'));
  await clock.advance(READ_AFTER_WAIT_MS);
  const [hasty, left] = await reads;
  assert.ok(hasty.status === 'rejected' && refused('deadline')(hasty.reason));
  assert.ok(left.status === 'rejected' && refused('client_gone')(left.reason));
  assert.deepEqual(outcomes, []);
});

test('few read on the primary at once, few wait, and the others are refused', async () => {
  const { clock, read, mostOnPrimary } = servers(Number.POSITIVE_INFINITY, 1_000);
  const reads = Promise.allSettled(Array.from({ length: 30 }, () => read()));
  await clock.advance(30_000);
  const ended = await reads;
  assert.equal(mostOnPrimary(), POOL_SIZE / 5);
  const answered = ended.filter(({ status }) => status === 'fulfilled');
  assert.equal(answered.length, POOL_SIZE / 5 + 20);
  for (const end of ended) if (end.status === 'rejected') assert.ok(refused('queue_overload')(end.reason));
});

const refused = (refusal: string) => (error: unknown) =>
  error instanceof RefusedError && error.refusal === refusal;

test('the position is behind what the connection has committed, with and without synchronous_commit', async () => {
  const { pool } = await testDatabase();
  await withSession(pool, async (session) => {
    const { client } = session;
    for (const synchronous of ['on', 'off']) {
      await client.query(`SET synchronous_commit = ${synchronous}`);
      const before = await walPosition(session);
      await client.query("SELECT pg_logical_emit_message(true, 'test', 'a record')");
      const { rows } = await client.query('SELECT $1::pg_lsn > $2::pg_lsn AS later', [
        await walPosition(session),
        before,
      ]);
      assert.equal(rows[0].later, true, synchronous);
    }
    await client.query('RESET synchronous_commit');
  });
});
