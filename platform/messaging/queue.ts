/**
 * The queue in PostgreSQL, a statement each: how a message goes from one state to the next.
 *
 *   ready ──take──▶ leased ──done──▶ (deleted)
 *     ▲               │ ├──retry──▶ delayed ──its time──▶ ready
 *     │               │ ├──die────▶ (a dead letter)
 *     │               │ └──giveBack─▶ ready, the attempt not counted
 *     ├──lease over───┘
 *     └──released── blocked: the message of its key before it is through
 *
 * Whoever has taken a message names it by its number and its attempt. A process that was frozen for longer than its lease finds
 * that the attempt is another's by now, and changes nothing (it is fenced off).
 *
 * All statements work in batches, and skip what another process has locked. `= ANY (ARRAY (…))` rather than `IN (…)`: the
 * latter may be planned as a join that locks more rows than the limit.
 */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';

const build = sqlBuilder<unknown>();

/** A message as it was taken. */
export interface Taken {
  readonly i_message: number;
  readonly id: string;
  readonly topic: string;
  readonly version: number;
  readonly key: string | null;
  readonly priority: number;
  /** 1 for the first. */
  readonly attempt: number;
  /** How often the process that had it was lost. */
  readonly lost: number;
  /** RFC 3339, as all instants here. */
  readonly expires_at: string | null;
  readonly published_at: string;
  readonly headers: Readonly<Record<string, string>> | null;
  readonly body: unknown;
}

/** In the order in which they are to be handled; a statement gives its rows in any. */
export const inOrder = (taken: readonly Taken[]): Taken[] =>
  [...taken].sort((a, b) => b.priority - a.priority || a.i_message - b.i_message);

/** A message in somebody's hands: its number, and which attempt that is. */
export type Held = Pick<Taken, 'i_message' | 'attempt' | 'key'>;

/** A message that was lost so often with its process is suspected of having killed it: it is taken alone. */
export const SUSPECT_LOSSES = 2;

/**
 * Whether a row of `placed`, which is about to go into its queue, has another one of its key before it: among those placed, by
 * their order `n`, or in the queue. The queue is asked twice, since each question is answered by an index of its own.
 */
export const isBehind = sql`
  (key IS NOT NULL AND (
    row_number() OVER (PARTITION BY queue, key ORDER BY n) > 1
    OR EXISTS (SELECT FROM messaging.messages AS open
               WHERE open.queue = placed.queue AND open.key = placed.key AND open.state <> 'blocked')
    OR EXISTS (SELECT FROM messaging.messages AS behind
               WHERE behind.queue = placed.queue AND behind.key = placed.key AND behind.state = 'blocked')))`;

/**
 * Takes messages that are ready: the most urgent first, then the oldest.
 * @param suspects take those that are suspected, or those that are not
 */
export const take = (queue: string, limit: number, leaseMs: number, suspects: boolean): Statement<Taken> =>
  sql<Taken>`
    UPDATE messaging.messages
    SET state = 'leased', attempt = attempt + 1, due_at = now() + ${leaseMs} * interval '1 ms'
    WHERE i_message = ANY (ARRAY (
      SELECT i_message FROM messaging.messages AS ready
      WHERE queue = ${queue} AND state = 'ready'
        AND ${suspects ? sql`lost >= ${sql.lit(SUSPECT_LOSSES)}` : sql`lost < ${sql.lit(SUSPECT_LOSSES)}`}
        AND (key IS NULL OR NOT EXISTS (
          SELECT FROM messaging.messages AS open
          WHERE open.queue = ready.queue AND open.key = ready.key AND open.state <> 'blocked'
            AND open.i_message <> ready.i_message
            AND (open.i_message < ready.i_message OR open.state IN ('leased', 'sent'))))
      ORDER BY priority DESC, i_message LIMIT ${limit} FOR UPDATE SKIP LOCKED))
    RETURNING i_message, id, topic, version, key, priority, attempt, lost, expires_at, published_at, headers, body`.compile(
    build,
  );

/**
 * The rows of what is held, as far as they are still the holder's. An array of numbers is looked up in the primary key; a join
 * with a list of pairs is planned by guess, and now and then reads the whole table. Number and attempt make one number, which
 * PostgreSQL finds by its hash.
 */
export const heldRows = (held: readonly Held[], state = sql`state = 'leased'`) => sql`
  i_message = ANY (${held.map(({ i_message }) => i_message)}::bigint[]) AND ${state}
  AND i_message * ${sql.lit(ATTEMPTS)} + attempt = ANY (${held.map(
    ({ i_message, attempt }) => i_message * ATTEMPTS + attempt,
  )}::bigint[])`;

/** More than a message has attempts. */
const ATTEMPTS = 1_000;

/** What is behind messages that are through (their queue and key in `gone`) may be taken. */
export const released = sql`
  released AS (
    UPDATE messaging.messages
    SET state = CASE WHEN due_at > now() THEN 'delayed' ELSE 'ready' END
    WHERE state = 'blocked' AND i_message = ANY (ARRAY (
      SELECT (SELECT i_message FROM messaging.messages AS behind
              WHERE behind.state = 'blocked' AND behind.queue = through.queue AND behind.key = through.key
              ORDER BY i_message LIMIT 1)
      FROM (SELECT DISTINCT queue, key FROM gone WHERE key IS NOT NULL) AS through)))`;

/** Those that were handled go. @returns the numbers of those that were still the caller's */
export const done = (held: readonly Held[]): Statement<{ i_message: number }> => {
  const gone = sql<{
    i_message: number;
  }>`DELETE FROM messaging.messages WHERE ${heldRows(held)} RETURNING i_message`;
  if (held.every(({ key }) => key === null)) return gone.compile(build);
  return sql<{
    i_message: number;
  }>`WITH gone AS (${gone}, queue, key), ${released} SELECT i_message FROM gone`.compile(build);
};

export interface Retried extends Held {
  readonly delayMs: number;
  readonly error: string;
}

/** Those that are to be tried again, each after its delay. */
export const retryLater = (held: readonly Retried[]): Statement<{ i_message: number }> =>
  sql<{ i_message: number }>`
    UPDATE messaging.messages AS messages
    SET state = 'delayed', due_at = now() + held.delay_ms * interval '1 ms', error = held.error
    FROM unnest(${held.map((one) => one.i_message)}::bigint[], ${held.map((one) => one.attempt)}::smallint[],
      ${held.map((one) => one.delayMs)}::float8[], ${held.map((one) => one.error)}::text[])
      AS held (i_message, attempt, delay_ms, error)
    WHERE messages.i_message = held.i_message AND messages.attempt = held.attempt AND state = 'leased'
    RETURNING messages.i_message`.compile(build);

export interface Dead extends Held {
  readonly cause: string;
  readonly error: string | null;
}

/** Those for which no attempt is made any more become dead letters. */
export const die = (held: readonly Dead[]): Statement<{ i_message: number }> =>
  sql<{ i_message: number }>`
    WITH gone AS (
      DELETE FROM messaging.messages AS messages
      USING unnest(${held.map((one) => one.i_message)}::bigint[], ${held.map((one) => one.attempt)}::smallint[],
        ${held.map((one) => one.cause)}::text[], ${held.map((one) => one.error)}::text[])
        AS held (i_message, attempt, cause, error)
      WHERE messages.i_message = held.i_message AND messages.attempt = held.attempt AND state = 'leased'
      RETURNING messages.*, held.cause, coalesce(held.error, messages.error) AS last_error
    ), buried AS (
      INSERT INTO messaging.dead_letters
        (queue, cause, error, id, topic, version, key, priority, attempt, expires_at, published_at, headers, body)
      SELECT queue, cause, last_error, id, topic, version, key, priority, attempt, expires_at, published_at, headers, body
      FROM gone ORDER BY i_message
    ), ${released}
    SELECT i_message FROM gone`.compile(build);

/** Those that no handler has looked at go back as they were. */
export const giveBack = (held: readonly Held[]): Statement<{ i_message: number }> =>
  sql<{ i_message: number }>`
    UPDATE messaging.messages SET state = 'ready', due_at = NULL, attempt = attempt - 1
    WHERE ${heldRows(held)} RETURNING i_message`.compile(build);

/** Leases of messages that are still being handled go on. @returns those that were still the caller's */
export const renew = (held: readonly Held[], leaseMs: number): Statement<{ i_message: number }> =>
  sql<{ i_message: number }>`
    UPDATE messaging.messages SET due_at = now() + ${leaseMs} * interval '1 ms'
    WHERE ${heldRows(held)} RETURNING i_message`.compile(build);

/** So many rows time moves on at once. */
const DUE_LIMIT = 1_000;

/** What time moves on: delays that are over, and leases of processes that are gone. */
export const moveOn = (): Statement<unknown> =>
  sql`
    UPDATE messaging.messages
    SET state = 'ready', lost = lost + (state = 'leased')::int, due_at = NULL,
      error = CASE WHEN state = 'leased' THEN 'the process that had it did not say how it ended' ELSE error END
    WHERE i_message = ANY (ARRAY (
      SELECT i_message FROM messaging.messages
      WHERE state IN ('leased', 'delayed') AND due_at <= now()
      ORDER BY due_at LIMIT ${sql.lit(DUE_LIMIT)} FOR UPDATE SKIP LOCKED))
      AND state IN ('leased', 'delayed') AND due_at <= now()`.compile(build);

/**
 * Releases what nobody has released: a message that was published, blocked, by a transaction which was still open when the
 * message before it was through.
 */
export const releaseForgotten = (): Statement<unknown> =>
  sql`
    UPDATE messaging.messages SET state = CASE WHEN due_at > now() THEN 'delayed' ELSE 'ready' END
    WHERE state = 'blocked' AND i_message = ANY (ARRAY (
      SELECT min(i_message) FROM messaging.messages AS blocked WHERE state = 'blocked' GROUP BY queue, key
      HAVING NOT EXISTS (
        SELECT FROM messaging.messages AS open
        WHERE open.queue = blocked.queue AND open.key = blocked.key AND open.state <> 'blocked')))`.compile(
    build,
  );
