/** Queues as an operator sees them: how much waits and for how long, what is dead, and whether a queue is paused. */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';

const build = sqlBuilder<unknown>();

/** A consumer that has not been seen for longer is gone; it shows itself every CONSUMER_SEEN_EVERY_MS. */
const CONSUMER_GONE_S = 30;
export const CONSUMER_SEEN_EVERY_MS = 10_000;

export interface QueueState {
  readonly queue: string;
  /** `event`: it gets events that it has subscribed to; else `work`. */
  readonly mode: 'work' | 'event';
  readonly ready: number;
  readonly leased: number;
  readonly delayed: number;
  readonly blocked: number;
  /** With the broker, and not yet through. */
  readonly sent: number;
  readonly dead: number;
  readonly dead_by_cause: Readonly<Record<string, number>>;
  /** How long ago the oldest message that is ready was published, in seconds; null where none is. */
  readonly oldest_ready_s: number | null;
  /** Processes that take from it now. */
  readonly consumers: number;
  /** RFC 3339; null: it is not paused. */
  readonly paused_at: string | null;
  readonly paused_by: string | null;
  /** The events that it gets; none for a queue of work. */
  readonly topics: readonly string[];
}

/** Which queues; undefined: all. */
export interface QueuePage {
  readonly queue?: string | undefined;
  /** Only those whose name comes after this one. */
  readonly after?: string | undefined;
  readonly limit?: number | undefined;
}

/** Queues by name: all that there is anything of. */
export const listQueues = ({ queue, after, limit }: QueuePage = {}): Statement<QueueState> =>
  sql<QueueState>`
    WITH waiting AS (
      SELECT queue,
        count(*) FILTER (WHERE state = 'ready') AS ready, count(*) FILTER (WHERE state = 'leased') AS leased,
        count(*) FILTER (WHERE state = 'delayed') AS delayed, count(*) FILTER (WHERE state = 'blocked') AS blocked,
        count(*) FILTER (WHERE state = 'sent') AS sent,
        extract(epoch FROM now() - min(published_at) FILTER (WHERE state = 'ready'))::float8 AS oldest_ready_s
      FROM messaging.messages WHERE ${isWanted(queue)} GROUP BY queue
    ), dead AS (
      SELECT queue, sum(letters)::bigint AS dead, json_object_agg(cause, letters ORDER BY cause) AS dead_by_cause
      FROM (SELECT queue, cause, count(*) AS letters FROM messaging.dead_letters WHERE ${isWanted(queue)} GROUP BY queue, cause) AS causes
      GROUP BY queue
    ), subscribed AS (
      SELECT queue, array_agg(topic ORDER BY topic) AS topics FROM messaging.subscriptions WHERE ${isWanted(queue)} GROUP BY queue
    ), consuming AS (
      SELECT queue, count(*) FILTER (WHERE seen_at > now() - ${sql.lit(CONSUMER_GONE_S)} * interval '1 s') AS consumers
      FROM messaging.consumers WHERE ${isWanted(queue)} GROUP BY queue
    ), paused AS (
      SELECT queue, paused_at, paused_by FROM messaging.queues WHERE ${isWanted(queue)}
    ), named AS (
      SELECT queue FROM waiting UNION SELECT queue FROM dead UNION SELECT queue FROM subscribed
      UNION SELECT queue FROM consuming UNION SELECT queue FROM paused
    )
    SELECT queue, CASE WHEN topics IS NULL THEN 'work' ELSE 'event' END AS mode,
      coalesce(ready, 0) AS ready, coalesce(leased, 0) AS leased, coalesce(delayed, 0) AS delayed,
      coalesce(blocked, 0) AS blocked, coalesce(sent, 0) AS sent, coalesce(dead, 0) AS dead,
      coalesce(dead_by_cause, '{}') AS dead_by_cause, oldest_ready_s, coalesce(consumers, 0) AS consumers,
      paused_at, paused_by, coalesce(topics, '{}') AS topics
    FROM named LEFT JOIN waiting USING (queue) LEFT JOIN dead USING (queue) LEFT JOIN subscribed USING (queue)
      LEFT JOIN consuming USING (queue) LEFT JOIN paused USING (queue)
    WHERE (${after ?? null}::text IS NULL OR queue > ${after ?? null})
    ORDER BY queue LIMIT ${limit ?? null}`.compile(build);

const isWanted = (queue: string | undefined) =>
  sql`(${queue ?? null}::text IS NULL OR queue = ${queue ?? null})`;

/** A process shows that it takes from these queues. */
export const showConsumers = (process: string, queues: readonly string[]): Statement<unknown> =>
  sql`
    INSERT INTO messaging.consumers (queue, process) SELECT unnest(${queues}::text[]), ${process}
    ON CONFLICT (queue, process) DO UPDATE SET seen_at = now()`.compile(build);

/** A process takes nothing any more. */
export const hideConsumers = (process: string): Statement<unknown> =>
  sql`DELETE FROM messaging.consumers WHERE process = ${process}`.compile(build);

/** Pauses a queue in all processes; each notices within a second. */
export const pauseQueue = (queue: string, by: string): Statement<unknown> =>
  sql`
    INSERT INTO messaging.queues (queue, paused_at, paused_by) VALUES (${queue}, now(), ${by})
    ON CONFLICT (queue) DO UPDATE SET paused_at = excluded.paused_at, paused_by = excluded.paused_by
    WHERE queues.paused_at IS NULL`.compile(build);

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
    ), consumers AS (
      DELETE FROM messaging.consumers WHERE seen_at < now() - interval '1 hour'
    )
    DELETE FROM messaging.broadcasts WHERE sent_at < now() - ${sql.lit(KEEP_BROADCASTS_MINUTES)} * interval '1 minute'`.compile(
    build,
  );
