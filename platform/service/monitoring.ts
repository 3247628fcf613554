/** What an operator's dashboard shows of a service, as JSON and as it changes, and its circuit breakers by hand. */
import type { FastifyRequest } from 'fastify';
import { type TSchema, Type } from 'typebox';
import { type AtOnceOptions, createAtOnce } from '#platform/access/at_once.ts';
import { type Authenticator, KEY_CACHE_MS } from '#platform/access/authenticator.ts';
import { readCredentials } from '#platform/access/credentials.ts';
import type { Api } from '#platform/access/protected_routes.ts';
import { type MonitoringReport, monitoringReport, startedNow } from '#platform/database/monitoring.ts';
import type { ServiceDatabase } from '#platform/database/service_database.ts';
import { answer, elapsed, failures, NO_QUERY, oneOf } from '#platform/http/answers.ts';
import { clientOf } from '#platform/http/client_address.ts';
import { httpError } from '#platform/http/errors.ts';
import { createEventStreams } from '#platform/http/event_stream.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';

export interface MoreToShow {
  readonly schema: Readonly<Record<string, TSchema>>;
  current(): object;
}

export interface MonitoringRoutesNeeds {
  readonly database: ServiceDatabase;
  readonly clock: Clock;
  readonly authenticator: Authenticator;
  /** What the service shows beside its database. */
  readonly more?: MoreToShow | undefined;
  /** Aborted when the service stops: events end. */
  readonly stopping: AbortSignal;
}

/** How often the dashboard's events come. */
export const EVENT_INTERVAL_MS = 1_000;

export const EVENT_STREAMS: AtOnceOptions = {
  what: 'streams of events',
  perCaller: 10,
  inAll: 200,
  retryAfterS: 10,
};

const reportOf = (more: MoreToShow | undefined) =>
  Type.Unsafe<MonitoringReport>(
    Type.Object(
      {
        status: Type.String({ description: 'healthy, degraded or down' }),
        uptime_s: Type.Number(),
        last_restart: Type.String(),
        servers: Type.Array(Type.Any(), {
          description: 'Each PostgreSQL with its health, circuit breaker and request queue',
        }),
        ...more?.schema,
        recent_activity: Type.Array(Type.Object({ at: Type.String(), text: Type.String() })),
      },
      { title: 'MonitoringReport' },
    ),
  );

const BreakerOrder = Type.Object(
  {
    server: Type.String({ maxLength: 40, description: 'As in the report: primary, replica 1 …' }),
    action: oneOf(
      ['open', 'close', 'release'],
      'open: let nothing through until closed or released by hand; close: let all through; release: find out by probes',
    ),
  },
  { additionalProperties: false },
);

export function monitoringRoutes(api: Api, needs: MonitoringRoutesNeeds): void {
  const { database, clock, authenticator, more, stopping } = needs;
  const started = startedNow(clock);
  const Report = reportOf(more);
  const report = (): MonitoringReport => ({
    ...monitoringReport(database, started, clock),
    ...more?.current(),
  });
  const streams = createEventStreams({ intervalMs: EVENT_INTERVAL_MS, current: report, clock, stopping });
  const atOnce = createAtOnce(EVENT_STREAMS);

  api.get(
    '/monitoring',
    {
      exposeHeadRoute: false,
      config: { scopes: ['operator'], bypassQueue: true },
      schema: {
        tags: ['operation'],
        summary: 'State of the databases, queues and breakers',
        description: 'With `Accept: text/event-stream` a new report each second.',
        security: [{ bearer: [] }],
        querystring: NO_QUERY,
        response: { 200: answer(Report), ...failures(401, 403, 429) },
      },
    },
    async (request, reply) => {
      if (request.headers.accept?.includes('text/event-stream')) {
        atOnce.enter(request.caller!.id, reply.raw);
        return streams.open(reply, mayStill(request)) as never;
      }
      return { success: true as const, data: report(), duration_ms: elapsed(reply) };
    },
  );

  api.post(
    '/monitoring/breaker',
    {
      config: { scopes: ['operator'], bypassQueue: true },
      schema: {
        tags: ['operation'],
        summary: 'Open or close a circuit breaker by hand',
        description: 'Who did it is shown in the report and in the log.',
        security: [{ bearer: [] }],
        querystring: NO_QUERY,
        body: BreakerOrder,
        response: { 200: answer(Report), ...failures(400, 401, 403, 404, 429) },
      },
    },
    async (request, reply) => {
      const { server: name, action } = request.body;
      const found = database.servers.find(({ server }) => server.name === name);
      if (!found) {
        const names = database.servers.map(({ server }) => server.name).join(', ');
        throw httpError('not_found', { message: `There is no server "${name}"; there are: ${names}` });
      }
      const { breaker } = found.server;
      const by = request.caller!.name;
      if (action === 'open') breaker.openByHand(by);
      else if (action === 'close') breaker.closeByHand(by);
      else breaker.releaseByHand(by);
      return { success: true as const, data: report(), duration_ms: elapsed(reply) };
    },
  );

  /** Whether a stream's key still lets it see reports, as far as is known: it is asked beside the reports, which matter
   * most while the database, which knows the keys, does not answer. */
  function mayStill(request: FastifyRequest): () => boolean {
    let may = true;
    let askedAt = clock.monotonic();
    return () => {
      if (clock.monotonic() - askedAt >= KEY_CACHE_MS) {
        askedAt = clock.monotonic();
        void isOperator(request).then((is) => {
          may = is;
        });
      }
      return may;
    };
  }

  /** Whether the key of this request still is an operator's; where that can't be told now, it is. */
  async function isOperator(request: FastifyRequest): Promise<boolean> {
    const credentials = readCredentials(request.headers.authorization, false);
    try {
      const caller = await authenticator.identifyBypassingQueue(credentials, `address:${clientOf(request)}`);
      return caller?.scope === 'operator';
    } catch {
      return true;
    }
  }
}
