/** Which queue gets which event. Subscriptions are rows: a publisher need not know who runs, and a consumer may be away. */
import { sql } from 'kysely';
import { hasGivenWay, LOCK_PAUSE_MS, LOCK_TIMEOUT_MS, LOCK_TRIES } from '#platform/database/give_way.ts';
import { type Pool, withTransaction } from '#platform/database/pool.ts';
import type { Session } from '#platform/database/session.ts';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { isBehind } from './queue.ts';

const build = sqlBuilder<unknown>();

/** From when on a new subscription gets events: those that are still in the log (KEEP_EVENTS_DAYS), or later ones alone. */
export type Since = 'now' | 'kept' | Date;

/**
 * Subscribes a queue to events, once; a subscription that is there stays as it is.
 * @returns whether it is new
 * @throws what PostgreSQL answered, after LOCK_TRIES where transactions that publish leave no gap
 */
export async function subscribe(
  pool: Pool,
  queue: string,
  topics: readonly string[],
  since: Since,
  clock: Clock,
): Promise<boolean> {
  for (let tries = LOCK_TRIES; ; tries--) {
    try {
      return await withTransaction(pool, (session) => subscribeNow(session, queue, topics, since));
    } catch (error) {
      if (tries === 1 || !hasGivenWay(error)) throw error;
      await clock.sleep(LOCK_PAUSE_MS);
    }
  }
}

async function subscribeNow(
  session: Session,
  queue: string,
  topics: readonly string[],
  since: Since,
): Promise<boolean> {
  const there = new Set((await session.rows(subscribed(queue))).map(({ topic }) => topic));
  const wanted = topics.filter((topic) => !there.has(topic));
  if (wanted.length === 0) return false;
  // A transaction that has looked up the subscriptions would not see a new one: all that publish are waited for.
  await session.run(sql`SET LOCAL lock_timeout = ${sql.lit(LOCK_TIMEOUT_MS)}`.compile(build));
  await session.run(sql`LOCK TABLE messaging.subscriptions IN ACCESS EXCLUSIVE MODE`.compile(build));
  for (const topic of wanted) {
    if ((await session.run(addSubscription(topic, queue))) === 0 || since === 'now') continue;
    await session.run(fillFromLog(topic, queue, since === 'kept' ? null : since));
  }
  return true;
}

const subscribed = (queue: string): Statement<{ topic: string }> =>
  sql<{ topic: string }>`SELECT topic FROM messaging.subscriptions WHERE queue = ${queue}`.compile(build);

const addSubscription = (topic: string, queue: string): Statement<unknown> =>
  sql`INSERT INTO messaging.subscriptions (topic, queue) VALUES (${topic}, ${queue}) ON CONFLICT DO NOTHING`.compile(
    build,
  );

const fillFromLog = (topic: string, queue: string, since: Date | null): Statement<unknown> =>
  sql`
    INSERT INTO messaging.messages (queue, state, priority, id, topic, version, key, expires_at, published_at, headers, body)
    SELECT queue, CASE WHEN ${isBehind} THEN 'blocked' ELSE 'ready' END,
      priority, id, topic, version, key, expires_at, published_at, headers, body
    FROM (
      SELECT ${queue}::text AS queue, i_event AS n, events.* FROM messaging.events
      WHERE topic = ${topic} AND published_at >= coalesce(${since}::timestamptz, '-infinity')
    ) AS placed
    ORDER BY n`.compile(build);
