/**
 * How messages go to a broker and come back: a statement each. The rows stay the truth until the broker has confirmed a message.
 *
 *   without a key   its row goes once the broker has it. What comes back (a retry, a dead letter) is written anew
 *   with a key      its row stays, `sent`, until it is through: the next one of its key is blocked behind it
 */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import { type Held, heldRows, released, type Taken } from './queue.ts';

const build = sqlBuilder<unknown>();

/** Queues in which something is ready. Each is found by one step in the index, however much is in it. */
export const readyQueues = (): Statement<{ queue: string }> =>
  sql<{ queue: string }>`
    WITH RECURSIVE step AS (
      (SELECT queue FROM messaging.messages WHERE state = 'ready' ORDER BY queue LIMIT 1)
      UNION ALL
      SELECT (SELECT queue FROM messaging.messages AS next WHERE next.state = 'ready' AND next.queue > step.queue
              ORDER BY queue LIMIT 1)
      FROM step WHERE step.queue IS NOT NULL
    )
    SELECT queue FROM step WHERE queue IS NOT NULL
      AND NOT EXISTS (SELECT FROM messaging.queues WHERE queues.queue = step.queue AND paused_at IS NOT NULL)`.compile(
    build,
  );

/** The broker has confirmed these. */
export const confirmed = (held: readonly Held[]): Statement<unknown> =>
  sql`
    WITH gone AS (DELETE FROM messaging.messages WHERE ${heldRows(held)} AND key IS NULL)
    UPDATE messaging.messages SET state = 'sent', due_at = NULL WHERE ${heldRows(held)} AND key IS NOT NULL`.compile(
    build,
  );

/** The broker did not take these: they are tried again, their attempt not counted. */
export const refused = (held: readonly Held[], delayMs: number, error: string): Statement<unknown> =>
  sql`
    UPDATE messaging.messages
    SET state = 'delayed', due_at = now() + ${delayMs} * interval '1 ms', attempt = attempt - 1, error = ${error}
    WHERE ${heldRows(held)}`.compile(build);

/** A message as it travels. */
export type Travelling = Taken & { readonly queue: string };

/** The row of a message with a key, whether its relay has noted the confirmation yet or not. */
const sentRows = (sent: readonly Travelling[]) => heldRows(sent, sql`state IN ('sent', 'leased')`);

/** Messages with a key that were handled: what is behind them may go. */
export const doneSent = (sent: readonly Travelling[]): Statement<unknown> =>
  sql`
    WITH gone AS (
      DELETE FROM messaging.messages WHERE ${sentRows(sent)} RETURNING i_message, queue, key
    ), ${released}
    SELECT FROM gone`.compile(build);

/** What becomes of a message that came back from the broker. */
export interface Returning {
  readonly message: Travelling;
  readonly attempt: number;
  readonly lost: number;
  /** 0: it is ready at once. */
  readonly delayMs: number;
  readonly error: string | null;
}

/** Back into the queue: the row of those with a key is there, the others are written anew. */
export const putBack = (returning: readonly Returning[]): Statement<unknown> => {
  const keyed = returning.filter(({ message }) => message.key !== null).map(({ message }) => message);
  return sql`
    WITH given AS MATERIALIZED (SELECT * FROM ${rowsOf(returning)}
    ), kept AS (
      UPDATE messaging.messages AS messages
      SET state = CASE WHEN given.delay_ms > 0 THEN 'delayed' ELSE 'ready' END, attempt = given.now_attempt, lost = given.now_lost,
        due_at = CASE WHEN given.delay_ms > 0 THEN now() + given.delay_ms * interval '1 ms' END, error = given.now_error
      FROM given
      WHERE messages.i_message = given.i_message AND messages.attempt = given.attempt AND messages.state IN ('sent', 'leased')
        AND messages.i_message = ANY (${keyed.map(({ i_message }) => i_message)}::bigint[])
    )
    INSERT INTO messaging.messages
      (queue, state, priority, id, topic, version, due_at, expires_at, attempt, lost, published_at, error, headers, body)
    SELECT queue, CASE WHEN delay_ms > 0 THEN 'delayed' ELSE 'ready' END, priority, id, topic, version,
      CASE WHEN delay_ms > 0 THEN now() + delay_ms * interval '1 ms' END, expires_at, now_attempt, now_lost, published_at,
      now_error, headers, body
    FROM given WHERE key IS NULL`.compile(build);
};

/** Those that no attempt is made for any more. @param returning `error` is the last one; with the cause of each */
export const buryReturned = (
  returning: readonly (Returning & { readonly cause: string })[],
): Statement<unknown> => {
  const keyed = returning.filter(({ message }) => message.key !== null).map(({ message }) => message);
  return sql`
    WITH given AS MATERIALIZED (SELECT * FROM ${rowsOf(returning)}
    ), gone AS (
      DELETE FROM messaging.messages WHERE ${sentRows(keyed)} RETURNING i_message, queue, key
    ), ${released}
    INSERT INTO messaging.dead_letters
      (queue, cause, error, id, topic, version, key, priority, attempt, expires_at, published_at, headers, body)
    SELECT queue, cause, now_error, id, topic, version, key, priority, now_attempt, expires_at, published_at, headers, body
    FROM given WHERE key IS NULL OR i_message IN (SELECT i_message FROM gone)`.compile(build);
};

const rowsOf = (returning: readonly (Returning & { readonly cause?: string })[]) => sql`
  json_to_recordset(${JSON.stringify(
    returning.map(({ message, attempt, lost, delayMs, error, cause }) => ({
      ...message,
      ...{ now_attempt: attempt, now_lost: lost, delay_ms: delayMs, now_error: error, cause },
    })),
  )}) AS given (
    i_message bigint, queue text, id uuid, topic text, version smallint, key text, priority smallint, attempt smallint,
    expires_at timestamptz, published_at timestamptz, headers json, body json,
    now_attempt smallint, now_lost smallint, delay_ms float8, now_error text, cause text)`;
