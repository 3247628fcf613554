/**
 * The queues of a service's database, for operators: what waits, dead letters, pause. Every service on a database has these
 * routes, so there is one to ask whichever of them run; services that share a database answer alike.
 */
import { type Static, Type } from 'typebox';
import { contextOf } from '#platform/access/http_context.ts';
import type { Api } from '#platform/access/protected_routes.ts';
import type { AuditTrail } from '#platform/database/audit.ts';
import { withTransaction } from '#platform/database/pool.ts';
import type { ServiceDatabase } from '#platform/database/service_database.ts';
import { answer, closed, elapsed, failures, NO_QUERY, text } from '#platform/http/answers.ts';
import { httpError } from '#platform/http/errors.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { listDeadLetters } from '#platform/messaging/dead_letters.ts';
import {
  dryReplay,
  lookAt,
  type QueueCare,
  queueNamed,
  REPLAY_LIMIT,
  replay,
  setPaused,
} from '#platform/messaging/queue_care.ts';
import { listQueues } from '#platform/messaging/queues.ts';

export interface QueueRoutesNeeds {
  readonly database: ServiceDatabase;
  readonly clock: Clock;
  /** Where changes are noted. */
  readonly trail: AuditTrail;
}

const DEFAULT_PAGE = 100;
const MAX_PAGE = 1_000;
const LAST_NUMBER = Number.MAX_SAFE_INTEGER;

const orNull = (type: string, description: string) =>
  Type.Unsafe<never>({ type: [type, 'null'], description });
const queueName = text('Name of a queue, as `GET /queues` shows it', 200);
const pageSize = Type.Optional(
  Type.Integer({ minimum: 1, maximum: MAX_PAGE, default: DEFAULT_PAGE, description: 'Rows of a page' }),
);
const cause = Type.Optional(text('Only dead letters with this cause', 100));

const Queue = Type.Object(
  {
    queue: Type.String(),
    mode: Type.String({ description: 'work, or event: it has subscribed to the events in `topics`' }),
    ready: Type.Integer({ description: 'Messages that may be taken' }),
    leased: Type.Integer({ description: 'Taken, by a consumer or by the relay to RabbitMQ' }),
    delayed: Type.Integer({ description: 'For later: retries, and messages with a time' }),
    blocked: Type.Integer({ description: 'Behind another message of their key' }),
    sent: Type.Integer({ description: 'Of those with a key: with RabbitMQ, and not handled yet' }),
    dead: Type.Integer(),
    dead_by_cause: Type.Record(Type.String(), Type.Integer()),
    oldest_ready_s: orNull('number', 'Age of the oldest message that is ready, in seconds'),
    consumers: Type.Integer({ description: 'Processes that take from it now' }),
    paused_at: orNull('string', 'RFC 3339; null: it is not paused'),
    paused_by: orNull('string', 'Who paused it'),
    topics: Type.Array(Type.String()),
  },
  { title: 'Queue' },
);
const letter = {
  i_dead_letter: Type.Integer(),
  queue: Type.String(),
  cause: Type.String(),
  error: orNull('string', 'The last error'),
  died_at: Type.String({ description: 'RFC 3339' }),
  id: Type.String({ description: 'The same at every attempt' }),
  topic: Type.String(),
  version: Type.Integer(),
  key: orNull('string', 'Messages of one key are handled in their order'),
  attempt: Type.Integer({ description: 'Attempts that were made' }),
  published_at: Type.String({ description: 'RFC 3339' }),
};
const DeadLetter = Type.Object(letter, { title: 'DeadLetter' });
const WholeDeadLetter = Type.Object(
  {
    ...letter,
    headers: Type.Unsafe<never>({ type: ['object', 'null'], additionalProperties: true }),
    body: Type.Unsafe<never>({ description: 'As it was published; it may hold personal data' }),
  },
  { title: 'WholeDeadLetter' },
);
const ReplayBody = Type.Object(
  {
    limit: Type.Integer({
      minimum: 1,
      maximum: REPLAY_LIMIT,
      description: 'So many at most, the oldest first',
    }),
    cause,
    ids: Type.Optional(
      Type.Array(Type.Integer({ minimum: 1, maximum: LAST_NUMBER }), {
        minItems: 1,
        maxItems: 1_000,
        description: 'Only these, by `i_dead_letter`',
      }),
    ),
    dry_run: Type.Optional(Type.Boolean({ description: 'Only count' })),
  },
  closed,
);
const Replayed = Type.Object({
  replayed: Type.Integer({ description: 'Put back; in a dry run: would be' }),
  left: Type.Integer({ description: 'Could be replayed as well; they are beyond the limit' }),
  expired: Type.Integer({ description: 'Stay dead, since their time is over' }),
  dry_run: Type.Boolean(),
});

const OfQueue = Type.Object({ queue: queueName });

const operation = (summary: string, description: string) => ({
  tags: ['operation'],
  ...{ summary, description, security: [{ bearer: [] as string[] }] },
});
const config = { scopes: ['operator'] };

export function queueRoutes(api: Api, { database, clock, trail }: QueueRoutesNeeds): void {
  type Request = Parameters<typeof contextOf>[0];
  type Reply = Parameters<typeof contextOf>[1];
  const context = (request: Request, reply: Reply) => contextOf(request, reply, clock, request.caller);
  /** In a transaction of its own, with its caller for the audit trail. */
  const change = async <T>(request: Request, reply: Reply, work: (care: QueueCare) => Promise<T>) => {
    const by = request.caller!;
    const { value } = await database.withWritePool(context(request, reply), (pool, signal) =>
      withTransaction(pool, (session) => work({ session, trail, by }), { signal }),
    );
    return value;
  };

  api.get(
    '/queues',
    {
      config,
      schema: {
        ...operation('Queues of messages, by name', 'What waits, since when, and what is dead.'),
        querystring: Type.Object(
          { after: Type.Optional(text('`next_after` of the page before', 200)), limit: pageSize },
          closed,
        ),
        response: {
          200: answer(Type.Array(Queue), { next_after: orNull('string', 'null: it is the last page') }),
          ...failures(400, 401, 403, 429, 503),
        },
      },
    },
    async (request, reply) => {
      const { after, limit } = request.query;
      const found = await database.read(context(request, reply), (session) =>
        session.rows(listQueues({ after, limit: limit! + 1 })),
      );
      const data = found.slice(0, limit);
      const next_after = found.length > data.length ? data.at(-1)!.queue : null;
      return { success: true as const, data, next_after, duration_ms: elapsed(reply) } as never;
    },
  );

  api.get(
    '/queues/:queue',
    {
      config,
      schema: {
        ...operation('One queue', 'As `GET /queues` shows it.'),
        params: OfQueue,
        querystring: NO_QUERY,
        response: { 200: answer(Queue), ...failures(400, 401, 403, 404, 429, 503) },
      },
    },
    async (request, reply) => {
      const { queue } = request.params;
      const data = await database.read(context(request, reply), (session) => queueNamed(session, queue));
      if (!data) throw noQueue(queue);
      return { success: true as const, data, duration_ms: elapsed(reply) } as never;
    },
  );

  api.get(
    '/queues/:queue/dead',
    {
      config,
      schema: {
        ...operation('Dead letters of a queue, the oldest first', 'Without their bodies.'),
        params: OfQueue,
        querystring: Type.Object(
          {
            cause,
            after: Type.Optional(
              Type.Integer({
                minimum: 0,
                maximum: LAST_NUMBER,
                description: '`next_after` of the page before',
              }),
            ),
            limit: pageSize,
          },
          closed,
        ),
        response: {
          200: answer(Type.Array(DeadLetter), { next_after: orNull('integer', 'null: it is the last page') }),
          ...failures(400, 401, 403, 404, 429, 503),
        },
      },
    },
    async (request, reply) => {
      const { queue } = request.params;
      const { cause, after = 0, limit } = request.query;
      const found = await database.read(context(request, reply), async (session) => {
        const letters = await session.rows(listDeadLetters({ queue, cause }, after, limit! + 1));
        return letters.length > 0 || (await queueNamed(session, queue)) ? letters : undefined;
      });
      if (!found) throw noQueue(queue);
      const data = found.slice(0, limit);
      const next_after = found.length > data.length ? data.at(-1)!.i_dead_letter : null;
      return { success: true as const, data, next_after, duration_ms: elapsed(reply) } as never;
    },
  );

  api.get(
    '/queues/:queue/dead/:i_dead_letter',
    {
      // A look at a body is noted; HEAD would note one that nobody has seen.
      exposeHeadRoute: false,
      config,
      schema: {
        ...operation('One dead letter with its body', 'The audit trail names the caller.'),
        params: Type.Object({
          queue: queueName,
          i_dead_letter: Type.Integer({ minimum: 1, maximum: LAST_NUMBER, description: 'Its number' }),
        }),
        querystring: NO_QUERY,
        response: { 200: answer(WholeDeadLetter), ...failures(400, 401, 403, 404, 429, 503) },
      },
    },
    async (request, reply) => {
      const { queue, i_dead_letter: iDeadLetter } = request.params;
      const data = await change(request, reply, (care) => lookAt(care, queue, iDeadLetter));
      if (!data)
        throw httpError('not_found', { message: `Queue ${queue} has no dead letter ${iDeadLetter}` });
      return { success: true as const, data, duration_ms: elapsed(reply) } as never;
    },
  );

  api.post(
    '/queues/:queue/replay',
    {
      config,
      schema: {
        ...operation(
          'Put dead letters of a queue back into it',
          'With all their attempts before them. The audit trail names the caller.',
        ),
        params: OfQueue,
        querystring: NO_QUERY,
        body: ReplayBody,
        response: { 200: answer(Replayed), ...failures(400, 401, 403, 404, 413, 415, 429, 503) },
      },
    },
    async (request, reply) => {
      const { queue } = request.params;
      const { limit, cause, ids, dry_run = false } = request.body;
      const filter = { queue, cause, ids };
      await requireQueue(request, reply, queue);
      const counts = dry_run
        ? await database.readForWrite(context(request, reply), (session) => dryReplay(session, filter, limit))
        : await change(request, reply, (care) => replay(care, filter, limit));
      return { success: true as const, data: { ...counts, dry_run }, duration_ms: elapsed(reply) };
    },
  );

  const pauseSchema = (summary: string, description: string) => ({
    ...operation(summary, `${description} The audit trail names the caller.`),
    params: OfQueue,
    querystring: NO_QUERY,
    response: { 200: answer(Queue), ...failures(400, 401, 403, 404, 429, 503) },
  });
  const pauser = (paused: boolean) => async (request: Request, reply: Reply) => {
    const { queue } = request.params as Static<typeof OfQueue>;
    const data = await change(request, reply, async (care) => {
      if (!(await queueNamed(care.session, queue))) throw noQueue(queue);
      await setPaused(care, queue, paused);
      return queueNamed(care.session, queue);
    });
    return { success: true as const, data, duration_ms: elapsed(reply) } as never;
  };
  const pauses = 'Each process notices within a second. No attempt is counted.';
  api.post('/queues/:queue/pause', { config, schema: pauseSchema('Pause a queue', pauses) }, pauser(true));
  api.post(
    '/queues/:queue/resume',
    { config, schema: pauseSchema('Let a paused queue go on', 'Each process notices within a second.') },
    pauser(false),
  );

  async function requireQueue(request: Request, reply: Reply, queue: string): Promise<void> {
    const found = await database.readForWrite(context(request, reply), (session) =>
      queueNamed(session, queue),
    );
    if (!found) throw noQueue(queue);
  }
}

const noQueue = (queue: string) => httpError('not_found', { message: `There is no queue ${queue}` });
