/** The calls service: what it is made of, in the order in which it starts. Stopping goes in reverse. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { type Pool, withSession } from '#platform/database/pool.ts';
import { openServiceDatabase, type ServiceDatabase } from '#platform/database/service_database.ts';
import { translateRefusal } from '#platform/http/refusals.ts';
import { createServer, type Server } from '#platform/http/server.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { type Lifetime, STOP_STEP_LIMIT_MS } from '#platform/lifecycle/lifetime.ts';
import type { Logger } from '#platform/telemetry/logger.ts';
import { createRegistry } from '#platform/telemetry/metrics.ts';
import { guardedApi } from './api/api.ts';
import { createAuthenticator } from './api/auth.ts';
import { FRESHNESS_HEADERS } from './api/calls_export.ts';
import { createCursors } from './api/cursor.ts';
import { createTokenVerifier, type TokenVerifier } from './api/jwt.ts';
import { createRecentWrites, READ_AFTER_HEADER } from './api/read_after.ts';
import { cdrRoutes } from './api/routes_cdrs.ts';
import { consumptionRoutes } from './api/routes_consumption.ts';
import { healthRoutes } from './api/routes_health.ts';
import { ingestRoutes } from './api/routes_ingest.ts';
import { monitoringRoutes } from './api/routes_monitoring.ts';
import { SECRET_BYTES } from './api/seal.ts';
import { translateDatabaseError } from './errors.ts';
import { runMaintenance } from './maintenance.ts';
import { getSecret, putSecret } from './store/keys.ts';

export interface CallsSettings {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  /** Origins of pages that may call the API; none when empty. */
  readonly corsOrigins: readonly string[];
  /** Connections to each PostgreSQL; as many requests run at once. */
  readonly poolSize: number;
  readonly queueOrder: 'fifo' | 'adaptive';
  /** Probe a database before the breaker's 60 s are over, once its health check passes again. */
  readonly earlyProbe: boolean;
  readonly queryTimeoutMs: number;
  /** No connection to PostgreSQL is kept for longer; renewed between two requests. */
  readonly connectionLifetimeMs: number;
  /** A replica further behind is left out while another is not. */
  readonly maxReplicaLagS: number;
  readonly bodyLimitBytes: number;
  /** Requests of one key. */
  readonly rateLimitPerMinute: number;
  /** Keys of an identity provider whose tokens are taken; with it goes who issues them, and for whom. */
  readonly jwksUrl: string | undefined;
  readonly jwtIssuer: string | undefined;
  readonly jwtAudience: string | undefined;
  /** Whole months of calls to keep beside the current one; 0 keeps all. */
  readonly retentionMonths: number;
  /** How long running requests may take to end at a stop. */
  readonly shutdownGraceMs: number;
  /** Accounts that a post makes. */
  readonly newAccounts: { readonly currency: string; readonly timeZone: string };
}

export interface CallsNeeds {
  readonly settings: CallsSettings;
  readonly databaseUrl: string;
  /** Read replicas; all reads go to them where there are any. */
  readonly replicaUrls: readonly string[];
  readonly clock: Clock;
  /** From 0 up to, not including, 1; Math.random in production. */
  readonly random: () => number;
  readonly logger: Logger;
}

/** The running service. */
export interface Calls {
  readonly url: string;
  /** Of the primary, for what is no request. */
  readonly pool: Pool;
}

/** How long a client may take to read an answer that is ready, at a stop. */
const ANSWER_LIMIT_MS = 500;

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

/**
 * Starts in the reference's order: server, pool, wait for PostgreSQL, health monitor, routes, listen.
 * @throws Error when a setting is wrong, PostgreSQL does not answer or the port is taken; what was started is in
 *   `lifetime` to be undone
 */
export async function startCalls(needs: CallsNeeds, lifetime: Lifetime): Promise<Calls> {
  const { settings, clock, logger } = needs;
  const verifyToken = tokenVerifier(settings, clock);
  const registry = createRegistry('calls');
  const server = await createServer({
    title: 'Trunkline calls',
    description: 'Calls and consumption of accounts, and the way in for switches.',
    version,
    logger,
    registry,
    corsOrigins: settings.corsOrigins,
    exposedHeaders: [READ_AFTER_HEADER, ...FRESHNESS_HEADERS],
    bodyLimitBytes: settings.bodyLimitBytes,
    translateError: (error) => translateRefusal(error) ?? translateDatabaseError(error),
  });
  const database = openServiceDatabase({
    ...settings,
    applicationName: 'trunkline-calls',
    primaryUrl: needs.databaseUrl,
    replicaUrls: needs.replicaUrls,
    heartbeatTable: 'calls.heartbeat',
    clock,
    random: needs.random,
    logger,
    registry,
  });
  // Stopped last: its connection is closed with the others.
  let maintenance = Promise.resolve();
  lifetime.onStop('maintenance of months', () => maintenance);
  const { shutdownGraceMs } = settings;
  const stopLimitMs = shutdownGraceMs + STOP_STEP_LIMIT_MS;
  lifetime.onStop('calls service', () => stop(server, database, shutdownGraceMs), stopLimitMs);

  await database.waitUntilUp(lifetime.stopping);
  database.startMonitors();
  const { pool } = database.primary;
  const { retentionMonths } = settings;
  maintenance = runMaintenance({ pool, clock, logger, retentionMonths }, lifetime.stopping);

  const secret = await sharedSecret(pool, 'cursor');
  const cursors = createCursors(secret);
  const recentWrites = createRecentWrites(secret, settings.maxReplicaLagS * 1000, clock);
  const authenticator = createAuthenticator(database, clock, verifyToken);
  healthRoutes(server, database, clock);
  const { rateLimitPerMinute } = settings;
  await guardedApi(server, { database, clock, authenticator, rateLimitPerMinute }, (api) => {
    cdrRoutes(api, { database, clock, cursors, recentWrites });
    consumptionRoutes(api, { database, clock, recentWrites });
    const newAccounts = { ...settings.newAccounts, country: null };
    ingestRoutes(api, { database, clock, recentWrites, newAccounts });
    monitoringRoutes(api, { database, clock, authenticator, stopping: lifetime.stopping });
  });

  await server.listen({ host: settings.host, port: settings.port });
  const { port } = server.server.address() as AddressInfo;
  const host = settings.host.includes(':') ? `[${settings.host}]` : settings.host;
  return { url: `http://${host}:${port}`, pool };
}

/**
 * As the reference stops: accept no more, stop the health monitors, give what runs a moment, close the server, close the
 * connections. What is cut off answers with an error; an export in the middle breaks its connection.
 */
async function stop(server: Server, database: ServiceDatabase, graceMs: number): Promise<void> {
  server.server.close();
  await database.stopMonitors();
  await database.finishWork(graceMs);
  const closed = server.close();
  // Answers that are through keep nothing open; what is left are exports and clients that don't read.
  const cut = setTimeout(() => server.server.closeAllConnections(), ANSWER_LIMIT_MS);
  await closed;
  clearTimeout(cut);
  await database.close();
}

function tokenVerifier(settings: CallsSettings, clock: Clock): TokenVerifier | undefined {
  const { jwksUrl, jwtIssuer: issuer, jwtAudience: audience } = settings;
  if (jwksUrl === undefined) return undefined;
  if (issuer === undefined || audience === undefined) {
    throw new Error(
      'JWKS_URL needs JWT_ISSUER and JWT_AUDIENCE: without them a token of any other program would pass',
    );
  }
  return createTokenVerifier({ jwksUrl, issuer, audience }, clock);
}

/** A secret that all processes on this database share: the first one makes it. */
async function sharedSecret(pool: Pool, name: string): Promise<Buffer> {
  return withSession(pool, async (session) => {
    await session.run(putSecret(name, randomBytes(SECRET_BYTES)));
    return (await session.row(getSecret(name)))!.value;
  });
}
