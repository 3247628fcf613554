/** Queues as an operator sees them: how much waits and for how long, what is dead, and whether a queue is paused. */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';

const build = sqlBuilder<unknown>();

export interface QueueState {
  readonly queue: string;
  readonly ready: number;
  readonly leased: number;
  readonly delayed: number;
  readonly blocked: number;
  /** With the broker, and not yet through. */
  readonly sent: number;
  readonly dead: number;
  /** How long the oldest message has been ready, in seconds; null where none is. */
  readonly oldest_ready_s: number | null;
  /** RFC 3339; null: it is not paused. */
  readonly paused_at: string | null;
  readonly paused_by: string | null;
  /** The events that it gets; none for a queue of work. */
  readonly topics: readonly string[];
}

/** All queues that there is anything of. */
export const listQueues = (): Statement<QueueState> =>
  sql<QueueState>`
    WITH waiting AS (
      SELECT queue,
        count(*) FILTER (WHERE state = 'ready') AS ready, count(*) FILTER (WHERE state = 'leased') AS leased,
        count(*) FILTER (WHERE state = 'delayed') AS delayed, count(*) FILTER (WHERE state = 'blocked') AS blocked,
        count(*) FILTER (WHERE state = 'sent') AS sent,
        extract(epoch FROM now() - min(published_at) FILTER (WHERE state = 'ready'))::float8 AS oldest_ready_s
      FROM messaging.messages GROUP BY queue
    ), dead AS (SELECT queue, count(*) AS dead FROM messaging.dead_letters GROUP BY queue
    ), subscribed AS (
      SELECT queue, array_agg(topic ORDER BY topic) AS topics FROM messaging.subscriptions GROUP BY queue
    ), named AS (
      SELECT queue FROM waiting UNION SELECT queue FROM dead UNION SELECT queue FROM subscribed
      UNION SELECT queue FROM messaging.queues
    )
    SELECT queue, coalesce(ready, 0) AS ready, coalesce(leased, 0) AS leased, coalesce(delayed, 0) AS delayed,
      coalesce(blocked, 0) AS blocked, coalesce(sent, 0) AS sent, coalesce(dead, 0) AS dead, oldest_ready_s,
      paused_at, paused_by, coalesce(topics, '{}') AS topics
    FROM named LEFT JOIN waiting USING (queue) LEFT JOIN dead USING (queue) LEFT JOIN subscribed USING (queue)
      LEFT JOIN messaging.queues USING (queue)
    ORDER BY queue`.compile(build);

/** Pauses a queue in all processes; each notices within a second. */
export const pauseQueue = (queue: string, by: string): Statement<unknown> =>
  sql`
    INSERT INTO messaging.queues (queue, paused_at, paused_by) VALUES (${queue}, now(), ${by})
    ON CONFLICT (queue) DO UPDATE SET paused_at = coalesce(queues.paused_at, excluded.paused_at),
      paused_by = coalesce(queues.paused_by, excluded.paused_by)`.compile(build);

export const resumeQueue = (queue: string): Statement<unknown> =>
  sql`UPDATE messaging.queues SET paused_at = NULL, paused_by = NULL WHERE queue = ${queue} AND paused_at IS NOT NULL`.compile(
    build,
  );

export const pausedQueues = (): Statement<{ queue: string }> =>
  sql<{ queue: string }>`SELECT queue FROM messaging.queues WHERE paused_at IS NOT NULL`.compile(build);

/** How long events are kept for subscriptions that come later, and what was handled is known. */
export const KEEP_EVENTS_DAYS = 7;
export const KEEP_HANDLED_DAYS = 30;
export const KEEP_BROADCASTS_MINUTES = 10;

/** What has been kept for long enough goes, `limit` rows of each at most. */
export const forgetOld = (limit: number): Statement<unknown> =>
  sql`
    WITH events AS (
      DELETE FROM messaging.events WHERE i_event = ANY (ARRAY (
        SELECT i_event FROM messaging.events WHERE published_at < now() - ${sql.lit(KEEP_EVENTS_DAYS)} * interval '1 day'
        ORDER BY published_at LIMIT ${limit}))
    ), handled AS (
      DELETE FROM messaging.handled WHERE (queue, id) IN (
        SELECT queue, id FROM messaging.handled WHERE handled_at < now() - ${sql.lit(KEEP_HANDLED_DAYS)} * interval '1 day'
        ORDER BY handled_at LIMIT ${limit})
    )
    DELETE FROM messaging.broadcasts WHERE sent_at < now() - ${sql.lit(KEEP_BROADCASTS_MINUTES)} * interval '1 minute'`.compile(
    build,
  );
