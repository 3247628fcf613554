/**
 * Whether a service lives and can answer. `/health/live`: the process answers; restart it when it does not.
 * `/health/ready`: requests would be served; send them elsewhere when not. `/health`: in words and figures, for people.
 */
import { type TSchema, Type } from 'typebox';
import {
  monitoringReport,
  readServers,
  type ServerReport,
  startedNow,
  works,
} from '#platform/database/monitoring.ts';
import type { ServiceDatabase } from '#platform/database/service_database.ts';
import { failures, Words } from '#platform/http/answers.ts';
import { httpError } from '#platform/http/errors.ts';
import type { Server } from '#platform/http/server.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { RefusedError } from '#platform/resilience/refused.ts';

export interface Health {
  /** What `/health` answers beside `success`. */
  readonly schema: TSchema;
  readonly summary: string;
  /** @throws ApiError or RefusedError where requests would not be served */
  requireReady(): void;
  /** @throws ApiError where the service is down */
  report(): object;
}

export function healthRoutes(server: Server, health: Health): void {
  const schema = <Answer extends TSchema>(summary: string, answer: Answer) => ({
    tags: ['health'],
    summary,
    security: [],
    response: { 200: answer, ...failures(503) },
  });
  server.get('/health/live', { schema: schema('The process answers', Words) }, async () => ({
    success: true as const,
    status: 'live',
  }));
  server.get('/health/ready', { schema: schema('Requests would be served', Words) }, async () => {
    health.requireReady();
    return { success: true as const, status: 'ready' };
  });
  server.get('/health', { schema: schema(health.summary, health.schema) }, async () => {
    return { success: true as const, ...health.report() } as never; // what the schema describes
  });
}

const DatabaseHealth = Type.Object({
  success: Type.Literal(true),
  status: Type.String({ description: 'healthy, degraded or down' }),
  uptime_s: Type.Number(),
  healthy: Type.Boolean(),
  consecutiveFailures: Type.Integer(),
  consecutiveSuccesses: Type.Integer(),
  uptimePercent: Type.Union([Type.Number(), Type.Null()]),
  timeSinceDown: Type.Union([Type.Number(), Type.Null()], { description: 'Seconds' }),
  lastCheck: Type.Union([Type.String(), Type.Null()]),
});

const RETRY_AFTER_S = 2;

const HELD_BACK = 'The database answers its health check, but requests wait: its circuit breaker is open';

/** The health of a service that stands on a database: the database's. */
export function databaseHealth(database: ServiceDatabase, clock: Clock): Health {
  const started = startedNow(clock);
  const report = () => monitoringReport(database, started, clock);
  return {
    summary: 'Health of the database that reads go to',
    schema: DatabaseHealth,
    requireReady: () => {
      if (database.stopping) throw new RefusedError('shutting_down', { waitedMs: 0 });
      const { status, servers } = report();
      if (status === 'down') throw notServing(servers);
    },
    report: () => {
      const { status, uptime_s, servers } = report();
      // Of several, the one that is best off speaks for them.
      const readable = readServers(servers);
      const { healthy, consecutiveFailures, consecutiveSuccesses, uptimePercent, timeSinceDown, lastCheck } =
        readable.find(works) ?? readable.find((server) => server.healthy) ?? readable[0]!;
      const figures = {
        status,
        uptime_s,
        // A health check that passes is no health where no request is let through.
        healthy: healthy && status !== 'down',
        consecutiveFailures,
        consecutiveSuccesses,
        uptimePercent,
        timeSinceDown,
        lastCheck,
      };
      if (status === 'down') throw notServing(servers, figures);
      return figures;
    },
  };
}

/** The answer while no read is answered: it says whether the database or its circuit breaker is the reason. */
function notServing(servers: readonly ServerReport[], fields: Readonly<Record<string, unknown>> = {}) {
  const heldBack = readServers(servers).some((server) => server.healthy);
  return httpError('unavailable', {
    ...(heldBack && { message: HELD_BACK }),
    fields,
    retryAfterS: RETRY_AFTER_S,
  });
}
