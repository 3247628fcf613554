/**
 * Publishing: messages are rows, written in the transaction of the change that they tell of. So a change that is rolled back
 * tells nobody, and one that is committed tells everybody, whatever dies next.
 */
import { randomUUIDv7 } from 'node:crypto';
import { sql } from 'kysely';
import type { Session } from '#platform/database/session.ts';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import { inSpan, type Span } from '#platform/telemetry/tracing/tracing.ts';
import { headersWithin, publishingSpan } from './message_spans.ts';
import { isBehind } from './queue.ts';
import { MAX_PRIORITY, type Outgoing, type Topic } from './topic.ts';

const build = sqlBuilder<unknown>();

/**
 * Publishes messages in the transaction that `session` is in.
 * @returns their ids, in order: the same in every queue and at every attempt
 * @throws RangeError for a message that can't be one; what PostgreSQL answers, which ends the transaction
 */
export async function publish(session: Session, messages: readonly Outgoing[]): Promise<string[]> {
  if (messages.length === 0) return [];
  const span = publishingSpan(messages);
  try {
    const rows = messages.map((message, n) => rowOf(message, n, span));
    await inSpan(span, () => write(session, rows));
    span?.end();
    wakeConsumers();
    return rows.map(({ id }) => id);
  } catch (error) {
    span?.end((error as Error).name);
    throw error;
  }
}

/** Tells every living process something; what is told is not kept. @throws as publish does */
export async function announce<Body>(
  session: Session,
  topic: Topic<Body, 'broadcast'>,
  body: Body,
): Promise<void> {
  await session.run(
    sql`INSERT INTO messaging.broadcasts (topic, body) VALUES (${topic.name}, ${JSON.stringify(body)})`.compile(
      build,
    ),
  );
  wakeConsumers();
}

const listeners = new Set<() => void>();

/** Tells of messages that this process has published and will soon commit: a consumer in it need not wait for its next look. */
export function onPublished(listener: () => void): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

/** Consumers of this process look for messages soon, and not only at their next poll. */
export function wakeConsumers(): void {
  for (const listener of listeners) listener();
}

interface Row {
  /** Their order. */
  readonly n: number;
  readonly id: string;
  readonly topic: string;
  readonly version: number;
  readonly event: boolean;
  readonly key: string | undefined;
  readonly priority: number;
  readonly not_before: Date | undefined;
  readonly expires_at: Date | undefined;
  readonly headers: unknown;
  readonly body: unknown;
}

function rowOf(
  { topic, body, key, priority = 0, notBefore, expiresAt, headers }: Outgoing,
  n: number,
  span: Span | undefined,
): Row {
  if (!Number.isInteger(priority) || priority < 0 || priority > MAX_PRIORITY)
    throw new RangeError(
      `${topic.name}: priority ${priority} is not a whole number from 0 to ${MAX_PRIORITY}`,
    );
  if (body === undefined) throw new RangeError(`${topic.name}: a message has a body`);
  for (const [name, at] of Object.entries({ notBefore, expiresAt }))
    if (at && Number.isNaN(at.getTime())) throw new RangeError(`${topic.name}: ${name} is no instant`);
  return {
    n,
    id: randomUUIDv7(),
    topic: topic.name,
    version: topic.version,
    event: topic.kind === 'event',
    key,
    priority,
    not_before: notBefore,
    expires_at: expiresAt,
    headers: headersWithin(span, headers),
    body,
  };
}

/**
 * An event goes into the log, from which later subscriptions are filled, and into the queue of each subscription; work goes into
 * the queue of its topic's name. Most events have no subscription: so the first statement writes the log and says whether there is
 * one, for a third of what the second one would cost. A subscription that comes meanwhile waits for this transaction.
 */
async function write(session: Session, rows: readonly Row[]): Promise<void> {
  const events = rows.filter(({ event }) => event);
  const isSubscribed = events.length > 0 && (await session.row(logEvents(events)))!.is_subscribed;
  const placed = isSubscribed ? rows : rows.filter(({ event }) => !event);
  if (placed.length > 0) await session.run(placeMessages(placed));
}

const given = (rows: readonly Row[]) => sql`
  json_to_recordset(${JSON.stringify(rows)}) AS given (
    n integer, id uuid, topic text, version smallint, event boolean, key text, priority smallint,
    not_before timestamptz, expires_at timestamptz, headers json, body json)`;

const logEvents = (events: readonly Row[]): Statement<{ is_subscribed: boolean }> =>
  sql<{ is_subscribed: boolean }>`
    WITH logged AS (
      INSERT INTO messaging.events (id, topic, version, key, priority, expires_at, headers, body)
      SELECT id, topic, version, key, priority, expires_at, headers, body FROM ${given(events)} ORDER BY n
    )
    SELECT EXISTS (
      SELECT FROM messaging.subscriptions WHERE topic = ANY (${[...new Set(events.map(({ topic }) => topic))]}::text[])
    ) AS is_subscribed`.compile(build);

/**
 * One statement for any number of messages, whoever gets them. What none of the messages needs is left out: work without a key is
 * a third cheaper so.
 *
 * A message whose key has another one before it is blocked until that one is through. A transaction that overlaps may hide
 * that one; then two of a key are open at once, and `take` (queue.ts) gives out only the older.
 */
const placeMessages = (rows: readonly Row[]): Statement<unknown> => {
  const state = rows.some(({ key }) => key !== undefined) ? keyedState : openState;
  const ofWork = sql`SELECT topic AS queue, given.* FROM ${given(rows)}`;
  const ofAll = sql`
    SELECT coalesce(subscriptions.queue, given.topic) AS queue, given.* FROM ${given(rows)}
    LEFT JOIN messaging.subscriptions ON given.event AND subscriptions.topic = given.topic
    WHERE NOT given.event OR subscriptions.queue IS NOT NULL`;
  return sql`
    INSERT INTO messaging.messages (queue, state, priority, id, topic, version, key, due_at, expires_at, headers, body)
    SELECT queue, ${state}, priority, id, topic, version, key, not_before, expires_at, headers, body
    FROM (${rows.some(({ event }) => event) ? ofAll : ofWork}) AS placed ORDER BY n`.compile(build);
};

const openState = sql`CASE WHEN not_before > now() THEN 'delayed' ELSE 'ready' END`;

const keyedState = sql`CASE WHEN ${isBehind} THEN 'blocked' ELSE ${openState} END`;
