/** What the operator's dashboard shows, as JSON and as it changes, and the breaker by hand. */
import { Readable } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { type MonitoringReport, monitoringReport } from '#platform/database/monitoring.ts';
import type { ServiceDatabase } from '#platform/database/service_database.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { answer, failures, oneOf } from '../contract.ts';
import { callsError } from '../errors.ts';
import type { Api } from './api.ts';
import { type Authenticator, KEY_CACHE_MS, readCredentials } from './auth.ts';
import { elapsed } from './ticket.ts';

export interface MonitoringRoutesNeeds {
  readonly database: ServiceDatabase;
  readonly clock: Clock;
  readonly authenticator: Authenticator;
  /** Aborted when the service stops: events end. */
  readonly stopping: AbortSignal;
}

/** How often the dashboard's events come. */
export const EVENT_INTERVAL_MS = 1_000;

const Report = Type.Unsafe<MonitoringReport>(
  Type.Object(
    {
      status: Type.String({ description: 'healthy, degraded or down' }),
      uptime_s: Type.Number(),
      last_restart: Type.String(),
      servers: Type.Array(Type.Any(), {
        description: 'Each PostgreSQL with its health, circuit breaker and request queue',
      }),
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
  const { database, clock, authenticator, stopping } = needs;
  const startedAt = clock.now();
  const report = () => monitoringReport(database, startedAt, clock.now());
  const closed = { type: 'object', additionalProperties: false, properties: {} } as const;

  api.get(
    '/monitoring',
    {
      exposeHeadRoute: false,
      config: { scopes: ['operator'], aside: true },
      schema: {
        tags: ['operation'],
        summary: 'State of the databases, queues and breakers',
        description: 'With `Accept: text/event-stream` a new report each second.',
        security: [{ bearer: [] }],
        querystring: closed,
        response: { 200: answer(Report), ...failures(401, 403, 429) },
      },
    },
    async (request, reply) => {
      if (request.headers.accept?.includes('text/event-stream')) {
        return reply
          .type('text/event-stream; charset=utf-8')
          .header('cache-control', 'no-store')
          .send(Readable.from(events(request)) as never);
      }
      return { success: true as const, data: report(), duration_ms: elapsed(reply) };
    },
  );

  api.post(
    '/monitoring/breaker',
    {
      config: { scopes: ['operator'], aside: true },
      schema: {
        tags: ['operation'],
        summary: 'Open or close a circuit breaker by hand',
        description: 'Who did it is shown in the report and in the log.',
        security: [{ bearer: [] }],
        querystring: closed,
        body: BreakerOrder,
        response: { 200: answer(Report), ...failures(400, 401, 403, 404, 429) },
      },
    },
    async (request, reply) => {
      const { server: name, action } = request.body;
      const found = database.servers.find(({ server }) => server.name === name);
      if (!found) {
        const names = database.servers.map(({ server }) => server.name).join(', ');
        throw callsError('not_found', { message: `There is no server "${name}"; there are: ${names}` });
      }
      const { breaker } = found.server.guard;
      const by = request.caller!.name;
      if (action === 'open') breaker.openByHand(by);
      else if (action === 'close') breaker.closeByHand(by);
      else breaker.releaseByHand(by);
      return { success: true as const, data: report(), duration_ms: elapsed(reply) };
    },
  );

  /** One report at once and one each second, until the client goes, may not see it any more, or the service stops. */
  async function* events(request: FastifyRequest): AsyncGenerator<string> {
    let mayStill = true;
    let askedAt = clock.monotonic();
    while (!request.raw.socket.destroyed && !stopping.aborted) {
      if (clock.monotonic() - askedAt >= KEY_CACHE_MS) {
        askedAt = clock.monotonic();
        // Beside the reports: they matter most while the database, which knows the keys, does not answer.
        void isOperator(request).then((is) => {
          mayStill = is;
        });
      }
      if (!mayStill) return;
      yield `data: ${JSON.stringify(report())}\n\n`;
      await clock.sleep(EVENT_INTERVAL_MS, stopping).catch(() => undefined);
    }
  }

  /** Whether the key of this request still is an operator's; where that can't be told now, it is. */
  async function isOperator(request: FastifyRequest): Promise<boolean> {
    const credentials = readCredentials(request.headers.authorization, false);
    try {
      const caller = await authenticator.identifyAside(credentials, `address:${request.ip}`);
      return caller?.scope === 'operator';
    } catch {
      return true;
    }
  }
}
