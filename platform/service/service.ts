/**
 * Runs a service: its server, its database, who asks, health, monitoring, metrics, jobs and consumers, started and stopped in the
 * reference's order. What the service itself does is in its definition.
 *
 *   start: server, connections, wait for PostgreSQL (30 tries, 2 s apart), health monitors, the service's own parts and jobs,
 *          consumers, routes, listen
 *   stop:  take no more messages, accept no more requests, stop the health monitors, give what runs a moment, close the server, close the connections
 */
import { createAuthenticator, lookUpIn } from '#platform/access/authenticator.ts';
import { protectedRoutes } from '#platform/access/protected_routes.ts';
import { createRecentWrites, READ_AFTER_HEADER } from '#platform/access/read_your_writes.ts';
import { SECRET_BYTES } from '#platform/access/seal.ts';
import {
  createTokenVerifier,
  type RightsOfClaims,
  type TokenVerifier,
} from '#platform/access/token_verifier.ts';
import { openCache } from '#platform/cache/cache.ts';
import { createProcessStore } from '#platform/cache/process_store.ts';
import { auditTrail } from '#platform/database/audit.ts';
import type { Pool } from '#platform/database/pool.ts';
import { listeningUrl } from '#platform/http/address.ts';
import { watchDescriptors } from '#platform/http/descriptors.ts';
import { translateDatabaseError, translateRefusal } from '#platform/http/refusals.ts';
import { createServer, type Server } from '#platform/http/server.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { runJob } from '#platform/lifecycle/job.ts';
import { type Lifetime, STOP_STEP_LIMIT_MS } from '#platform/lifecycle/lifetime.ts';
import { version } from '#platform/lifecycle/version.ts';
import { createQueueFigures } from '#platform/messaging/figures.ts';
import { createRegistry } from '#platform/telemetry/metrics.ts';
import { exportTraceMetrics } from '#platform/telemetry/tracing/tracing.ts';
import { asyncApiRoute } from './async_api.ts';
import { type OpenDatabases, openServiceDatabases } from './databases.ts';
import type { AnyDatabaseService, AnyPlainService, AnyService } from './definition.ts';
import { databaseHealth, healthRoutes } from './health.ts';
import { messageTools, startMessages } from './messages.ts';
import { monitoringRoutes } from './monitoring.ts';
import { queueRoutes } from './queue_routes.ts';
import { sharedSecret } from './shared_secret.ts';
import type {
  DatabaseParts,
  DatabaseSettings,
  ListenSettings,
  ServiceParts,
  StartedPlainService,
  StartedService,
} from './tools.ts';

/** The running service. */
export interface RunningService {
  readonly url: string;
  /** Of the primary, for what is no request; a service without tables has none. */
  readonly pool?: Pool;
}

export interface RunningOnDatabase extends RunningService {
  readonly pool: Pool;
}

/** How long a client may take to read an answer that is ready, at a stop. */
const ANSWER_LIMIT_MS = 500;

/**
 * Starts a service.
 * @throws Error when a setting is wrong, PostgreSQL does not answer or the port is taken; what was started is in
 *   `lifetime` to be undone
 */
export function startService(
  definition: AnyDatabaseService,
  parts: ServiceParts<DatabaseSettings> & DatabaseParts,
  lifetime: Lifetime,
): Promise<RunningOnDatabase>;
export function startService(
  definition: AnyService,
  parts: ServiceParts<ListenSettings> & Partial<DatabaseParts>,
  lifetime: Lifetime,
): Promise<RunningService>;
export function startService(
  definition: AnyService,
  parts: ServiceParts<DatabaseSettings | ListenSettings> & Partial<DatabaseParts>,
  lifetime: Lifetime,
): Promise<RunningService> {
  return definition.migrations
    ? startOnDatabase(definition, parts as ServiceParts<DatabaseSettings> & DatabaseParts, lifetime)
    : startPlain(definition, parts, lifetime);
}

async function startOnDatabase(
  definition: AnyDatabaseService,
  parts: ServiceParts<DatabaseSettings> & DatabaseParts,
  lifetime: Lifetime,
): Promise<RunningOnDatabase> {
  const { name, migrations } = definition;
  const { settings, clock, random, logger } = parts;
  const verifyToken = tokenVerifier(settings, parts.rightsOf, clock);
  const { registry, server } = await openServer(definition, parts);
  const databases = openServiceDatabases(definition, parts, registry);
  const database = databases.own;
  // Waited for last: the connections of jobs are closed with the others.
  let jobs: Promise<unknown> = Promise.resolve();
  lifetime.onStop('jobs', () => jobs);
  const { shutdownGraceMs } = settings;
  const stopLimitMs = shutdownGraceMs + STOP_STEP_LIMIT_MS;
  lifetime.onStop(`${name} service`, () => stop(server, databases, shutdownGraceMs), stopLimitMs);

  await database.waitUntilUp(lifetime.stopping);
  databases.startMonitors();
  const { pool } = database;
  const secret = await sharedSecret(pool, migrations.schema, 'cursor', SECRET_BYTES);
  const recentWrites = createRecentWrites(secret, settings.maxReplicaLagS * 1000, clock);
  const authenticator = createAuthenticator({
    lookUpKey: lookUpIn(databases.of, parts.findKey),
    verifyToken,
    clock,
  });
  const figures = createQueueFigures({ registry, pool, clock });
  const cache = openCache(parts.cache ?? createProcessStore(clock), name, registry, clock);
  const own = { registry, lifetime, database, cache, secret, recentWrites };
  const tools = { ...parts, ...messageTools(definition, figures), ...own };
  const started: StartedService = await definition.start!(tools);
  const onFailure = (job: string, error: unknown) =>
    logger.error({ job, err: error }, 'a job failed; it is tried again');
  const running = [...(started.jobs ?? []), figures.job].map((job) =>
    runJob(job, { clock, random, onFailure }, lifetime.stopping),
  );
  jobs = Promise.all([...running, ...(started.background ?? [])]);

  await startMessages(definition, { ...parts, figures }, database, started.handlers ?? [], lifetime);

  asyncApiRoute(server, definition, version);
  healthRoutes(server, databaseHealth(database, clock));
  const { rateLimitPerMinute } = settings;
  const { onRefused } = started;
  const access = { clock, cache, authenticator, rateLimitPerMinute, ...(onRefused && { onRefused }) };
  await started.openRoutes?.(server);
  await protectedRoutes(server, access, (api) => {
    started.routes?.(api);
    const { stopping } = lifetime;
    queueRoutes(api, { database, clock, trail: auditTrail(migrations.schema) });
    monitoringRoutes(api, { database, clock, authenticator, more: started.monitoring, stopping });
  });
  return { url: await listen(name, server, parts, lifetime), pool };
}

async function startPlain(
  definition: AnyPlainService,
  parts: ServiceParts<ListenSettings>,
  lifetime: Lifetime,
): Promise<RunningService> {
  const { registry, server } = await openServer(definition, parts);
  lifetime.onStop(`${definition.name} server`, async () => {
    server.server.closeAllConnections();
    await server.close();
  });
  const started: StartedPlainService = await definition.start({ ...parts, registry, lifetime });
  healthRoutes(server, started.health);
  await started.addRoutes(server);
  const url = await listen(definition.name, server, parts, lifetime);
  const running = started.run?.(lifetime.stopping);
  lifetime.onStop(definition.name, () => running);
  return { url };
}

async function openServer(about: AnyService, { settings, logger }: ServiceParts<ListenSettings>) {
  const registry = createRegistry(about.name);
  exportTraceMetrics(registry, about.name);
  const server = await createServer({
    name: about.name,
    title: `Trunkline ${about.name}`,
    description: about.description,
    version,
    logger,
    registry,
    corsOrigins: settings.corsOrigins,
    trustedProxies: settings.trustedProxies,
    exposedHeaders: [READ_AFTER_HEADER, ...(about.exposedHeaders ?? [])],
    translateError: (error) => translateRefusal(error) ?? translateDatabaseError(error),
  });
  return { registry, server };
}

/** @returns the address at which the server is reached */
async function listen(
  name: string,
  server: Server,
  { settings, clock, logger }: ServiceParts<ListenSettings>,
  lifetime: Lifetime,
): Promise<string> {
  try {
    await server.listen({ host: settings.host, port: settings.port });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    const taken = `port ${settings.port} of ${settings.host} is taken, perhaps by another Trunkline`;
    throw new Error(`${taken}: set ${name.toUpperCase()}_PORT to another one`, { cause: error });
  }
  const watching = watchDescriptors({ logger, clock, server: server.server }, lifetime.stopping);
  lifetime.onStop('watch of file descriptors', () => watching);
  return listeningUrl(settings.host, server.server);
}

/** What is cut off answers with an error; an export in the middle breaks its connection. */
async function stop(server: Server, databases: OpenDatabases, graceMs: number): Promise<void> {
  server.server.close();
  await databases.stopMonitors();
  await databases.finishWork(graceMs);
  const closed = server.close();
  // Answers that are complete keep nothing open; what is left are exports, and clients that don't read.
  const cut = setTimeout(() => server.server.closeAllConnections(), ANSWER_LIMIT_MS);
  await closed;
  clearTimeout(cut);
  await databases.close();
}

function tokenVerifier(
  settings: DatabaseSettings,
  rightsOf: RightsOfClaims,
  clock: Clock,
): TokenVerifier | undefined {
  const { jwksUrl, jwtIssuer: issuer, jwtAudience: audience } = settings;
  if (jwksUrl === undefined) return undefined;
  if (issuer === undefined || audience === undefined) {
    throw new Error(
      'JWKS_URL needs JWT_ISSUER and JWT_AUDIENCE: without them a token of any other program would pass',
    );
  }
  return createTokenVerifier({ jwksUrl, issuer, audience }, rightsOf, clock);
}
