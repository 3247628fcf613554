import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '#platform/lifecycle/fake_clock.ts';
import { createCircuitBreaker } from '#platform/resilience/circuit_breaker.ts';
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
  const breaker = createCircuitBreaker({ clock });
  const readAfter = createReadAfter({
    primaryBreaker: breaker,
    readReplica: async <T>(_context: RequestContext, work: Read<T>) => {
      questions.push(clock.monotonic() - startedAt);
      return work({ client } as unknown as Session, { replicaLagS: 1 });
    },
    readPrimary: async ({ signal }, work) => {
      if (breaker.blocked)
        await new Promise<never>((_, give) => {
          signal.addEventListener('abort', () => give(new RefusedError('client_gone', { waitedMs: 0 })));
        });
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
  const read = ({ timeoutMs = 30_000, signal = new AbortController().signal, demanded = false } = {}) =>
    readAfter(
      { priority: 'customer', tenant: 'a', deadline: clock.monotonic() + timeoutMs, signal },
      async (_session, { replicaLagS }) => (replicaLagS === null ? 'primary' : 'replica'),
      [{ position: '0/1', demanded }],
    );
  return { clock, breaker, read, questions, outcomes, statements, mostOnPrimary: () => mostOnPrimary };
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

test('when the primary is lost, a replica answers as it is, unless the client demands its write', async () => {
  const { clock, breaker, read, outcomes } = servers(Number.POSITIVE_INFINITY);
  breaker.openByHand('test');
  const demanding = new AbortController();
  const reads = [read(), read({ demanded: true, signal: demanding.signal })] as const;
  await clock.advance(READ_AFTER_WAIT_MS);
  assert.equal(await reads[0], 'replica');
  assert.deepEqual(outcomes, ['replica_behind']);
  demanding.abort();
  await assert.rejects(reads[1], refused('client_gone'));
});

test('a wait for the primary ends when the primary is found to be lost', async () => {
  const { clock, breaker, read, outcomes } = servers(Number.POSITIVE_INFINITY, 60_000);
  breaker.openByHand('test');
  breaker.releaseByHand('test');
  breaker.databaseUp(clock.monotonic());
  const waiting = read();
  await clock.advance(READ_AFTER_WAIT_MS);
  assert.deepEqual(outcomes, []);
  breaker.databaseDown(new Error('lost'));
  await clock.flush();
  assert.equal(await waiting, 'replica');
  assert.deepEqual(outcomes, ['replica_behind']);
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
