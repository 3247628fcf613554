/** Dead letters: looked at by cause, or put back into their queue. */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import { isBehind } from './queue.ts';

const build = sqlBuilder<unknown>();

export interface DeadLetter {
  readonly i_dead_letter: number;
  readonly queue: string;
  readonly cause: string;
  readonly error: string | null;
  readonly died_at: string;
  readonly id: string;
  readonly topic: string;
  readonly version: number;
  readonly key: string | null;
  readonly attempt: number;
  readonly published_at: string;
}

/** Undefined: any. */
export interface DeadLetterFilter {
  readonly queue?: string | undefined;
  readonly cause?: string | undefined;
  readonly ids?: readonly number[] | undefined;
}

const matching = ({ queue, cause, ids }: DeadLetterFilter) => sql`
  (${queue ?? null}::text IS NULL OR queue = ${queue ?? null})
  AND (${cause ?? null}::text IS NULL OR cause = ${cause ?? null})
  AND (${ids ?? null}::bigint[] IS NULL OR i_dead_letter = ANY (${ids ?? null}::bigint[]))`;

const columns = sql`i_dead_letter, queue, cause, error, died_at, id, topic, version, key, attempt, published_at`;
const isOpen = sql`coalesce(expires_at > now(), true)`;

/** Bodies may hold personal data, so a list has none. The oldest first. @param after the number of the last one that was shown; 0 begins */
export const listDeadLetters = (
  filter: DeadLetterFilter,
  after: number,
  limit: number,
): Statement<DeadLetter> =>
  sql<DeadLetter>`
    SELECT ${columns}
    FROM messaging.dead_letters WHERE ${matching(filter)} AND i_dead_letter > ${after}
    ORDER BY i_dead_letter LIMIT ${limit}`.compile(build);

/** One with all that there is of it. */
export interface WholeDeadLetter extends DeadLetter {
  readonly headers: Readonly<Record<string, string>> | null;
  readonly body: unknown;
}

export const deadLetter = (queue: string, iDeadLetter: number): Statement<WholeDeadLetter> =>
  sql<WholeDeadLetter>`
    SELECT ${columns}, headers, body FROM messaging.dead_letters
    WHERE queue = ${queue} AND i_dead_letter = ${iDeadLetter}`.compile(build);

/** How many can be replayed, and how many can't, since they have expired. */
export const countDeadLetters = (filter: DeadLetterFilter): Statement<{ dead: number; expired: number }> =>
  sql<{ dead: number; expired: number }>`
    SELECT count(*) FILTER (WHERE ${isOpen}) AS dead, count(*) FILTER (WHERE NOT ${isOpen}) AS expired
    FROM messaging.dead_letters WHERE ${matching(filter)}`.compile(build);

export interface RecentDeadLetters {
  readonly queue: string;
  readonly cause: string;
  readonly letters: number;
}

/** Of all that there are the newest are read, and no more than so many. */
const RECENT_LIMIT = 1_000;

/** Those of the last 10 minutes, by queue and cause. A cause that is in the queue still, and not recently, counts 0. */
export const recentDeadLetters = (): Statement<RecentDeadLetters> =>
  sql<RecentDeadLetters>`
    SELECT queue, cause, count(*) FILTER (WHERE died_at > now() - interval '10 minutes') AS letters
    FROM (SELECT queue, cause, died_at FROM messaging.dead_letters ORDER BY i_dead_letter DESC LIMIT ${sql.lit(RECENT_LIMIT)}) AS newest
    GROUP BY queue, cause`.compile(build);

/**
 * Puts dead letters back into their queues, the oldest first, with all their attempts before them. What has expired stays dead.
 * @param limit so many at most; the rest stay
 */
export const replayDeadLetters = (filter: DeadLetterFilter, limit: number): Statement<{ id: string }> =>
  sql<{ id: string }>`
    WITH gone AS (
      DELETE FROM messaging.dead_letters WHERE i_dead_letter = ANY (ARRAY (
        SELECT i_dead_letter FROM messaging.dead_letters
        WHERE ${matching(filter)} AND ${isOpen}
        ORDER BY i_dead_letter LIMIT ${limit} FOR UPDATE SKIP LOCKED))
      RETURNING *
    )
    INSERT INTO messaging.messages (queue, state, priority, id, topic, version, key, expires_at, published_at, headers, body)
    SELECT queue, CASE WHEN ${isBehind} THEN 'blocked' ELSE 'ready' END,
      priority, id, topic, version, key, expires_at, published_at, headers, body
    FROM (SELECT i_dead_letter AS n, gone.* FROM gone) AS placed ORDER BY n
    RETURNING id`.compile(build);

/** The cause of dead letters that were under way when the restored back-up was made. */
export const RESTORED_CAUSE = 'restored';

/** What waits or is under way becomes dead letters: nobody knows what of it was delivered after the back-up. */
export const buryRestored = (): Statement<unknown> =>
  sql`
    WITH gone AS (DELETE FROM messaging.messages RETURNING *)
    INSERT INTO messaging.dead_letters
      (queue, cause, error, id, topic, version, key, priority, attempt, expires_at, published_at, headers, body)
    SELECT queue, ${RESTORED_CAUSE}, error, id, topic, version, key, priority, attempt, expires_at, published_at, headers, body
    FROM gone ORDER BY i_message`.compile(build);
