/**
 * Messages for a service whose tables stand on another server. It takes them from the publisher's server and puts each into a queue
 * on its own, where it is handled as if it had been published there.
 *
 *   publisher's server: queue ──take──▶ own server: queue, and a note of the message's id, in one transaction ──▶ done
 *
 * Where the process dies before `done`, the message is taken again, found in the note, and not copied twice. Messages of one key
 * arrive in their order: the next one is not given out before the one before it is copied.
 */
import { sql } from 'kysely';
import { type Pool, withTransaction } from '#platform/database/pool.ts';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import type { Handler, Incoming } from './consumer.ts';
import { once } from './once.ts';
import { wakeConsumers } from './publish.ts';
import { isBehind } from './queue.ts';
import type { RetryPolicy } from './retry_policy.ts';

const build = sqlBuilder<unknown>();

/** A server that is down is no reason to give a message up: for more than a week it is tried each half minute. */
export const COPY_RETRY: RetryPolicy = { maxAttempts: 30_000, baseMs: 500, maxMs: 30_000 };

/** Handles messages by putting them into `queue` on the database of `pool`. */
export const copyingInto =
  (pool: Pool, queue: string): Handler =>
  async (message, { signal }) => {
    const note = `copied to ${queue}`;
    await withTransaction(
      pool,
      (session) =>
        once(session, note, message.id, async () => {
          await session.run(insertCopy(queue, message));
          wakeConsumers();
        }),
      { signal },
    );
    return 'done';
  };

const insertCopy = (
  queue: string,
  { id, topic, version, key, priority, expiresAt, publishedAt, headers, body }: Incoming,
): Statement<unknown> =>
  sql`
    INSERT INTO messaging.messages (queue, state, priority, id, topic, version, key, expires_at, published_at, headers, body)
    SELECT queue, CASE WHEN ${isBehind} THEN 'blocked' ELSE 'ready' END,
      ${priority}::smallint, ${id}::uuid, ${topic}, ${version}::smallint, key, ${expiresAt}::timestamptz,
      ${publishedAt}::timestamptz, ${JSON.stringify(headers)}::json, ${JSON.stringify(body)}::json
    FROM (SELECT ${queue}::text AS queue, ${key}::text AS key, 1 AS n) AS placed`.compile(build);
