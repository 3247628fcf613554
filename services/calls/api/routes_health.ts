/**
 * Whether the service lives and can answer. `/health/live`: the process answers; restart it when it does not.
 * `/health/ready`: requests would be served; send them elsewhere when not. `/health`: in words and figures, for people.
 */
import { Type } from 'typebox';
import { monitoringReport, readServers, type ServerReport, works } from '#platform/database/monitoring.ts';
import type { ServiceDatabase } from '#platform/database/service_database.ts';
import type { Server } from '#platform/http/server.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { RefusedError } from '#platform/resilience/refused.ts';
import { failures } from '../contract.ts';
import { callsError } from '../errors.ts';

const Words = Type.Object({ success: Type.Literal(true), status: Type.String() });

const Health = Type.Object({
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

export function healthRoutes(server: Server, database: ServiceDatabase, clock: Clock): void {
  const startedAt = clock.now();
  const report = () => monitoringReport(database, startedAt, clock.now());
  const schema = <Answer>(summary: string, answer: Answer) => ({
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
    if (database.stopping) throw new RefusedError('shutting_down', { waitedMs: 0 });
    const { status, servers } = report();
    if (status === 'down') throw notServing(servers);
    return { success: true as const, status: 'ready' };
  });

  server.get('/health', { schema: schema('Health of the database that reads go to', Health) }, async () => {
    const { status, uptime_s, servers } = report();
    // Of several, the one that is best off speaks for them.
    const readable = readServers(servers);
    const { healthy, consecutiveFailures, consecutiveSuccesses, uptimePercent, timeSinceDown, lastCheck } =
      readable.find(works) ?? readable.find((server) => server.healthy) ?? readable[0]!;
    const figures = {
      status,
      uptime_s,
      healthy,
      consecutiveFailures,
      consecutiveSuccesses,
      uptimePercent,
      timeSinceDown,
      lastCheck,
    };
    if (status === 'down') throw notServing(servers, figures);
    return { success: true as const, ...figures };
  });
}

/** That no read is answered, and whose doing it is: the database's, or its circuit breaker's. */
function notServing(servers: readonly ServerReport[], fields: Readonly<Record<string, unknown>> = {}) {
  const heldBack = readServers(servers).some((server) => server.healthy);
  return callsError('unavailable', {
    ...(heldBack && { message: HELD_BACK }),
    fields,
    retryAfterS: RETRY_AFTER_S,
  });
}
