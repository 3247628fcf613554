/** The calls service: what it is made of, in the order in which it starts. Stopping goes in reverse. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { createDatabase } from '#platform/database/database.ts';
import type { Migrations } from '#platform/database/migrate.ts';
import { createPool, type Pool, waitForPostgres, withSession } from '#platform/database/pool.ts';
import { createServer, type Server } from '#platform/http/server.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import type { Lifetime } from '#platform/lifecycle/lifetime.ts';
import type { Logger } from '#platform/telemetry/logger.ts';
import { createRegistry } from '#platform/telemetry/metrics.ts';
import { guardedApi } from './api.ts';
import { createAuthenticator } from './auth.ts';
import { createCursors, SECRET_BYTES } from './cursor.ts';
import { translateDatabaseError } from './errors.ts';
import { createTokenVerifier, type TokenVerifier } from './jwt.ts';
import { runMaintenance } from './maintenance.ts';
import { cdrRoutes } from './routes_cdrs.ts';
import { consumptionRoutes } from './routes_consumption.ts';
import { healthRoutes } from './routes_health.ts';
import { ingestRoutes } from './routes_ingest.ts';
import { getSecret, putSecret } from './store_keys.ts';

export const callsMigrations: Migrations = {
  schema: 'calls',
  folder: fileURLToPath(new URL('./migrations', import.meta.url)),
};

export interface CallsSettings {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  /** Origins of pages that may call the API; none when empty. */
  readonly corsOrigins: readonly string[];
  /** Connections to PostgreSQL. */
  readonly poolSize: number;
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
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The running service. */
export interface Calls {
  readonly url: string;
  readonly pool: Pool;
}

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

/**
 * Starts in the reference's order: server, pool, wait for PostgreSQL, routes, listen.
 * @throws Error when a setting is wrong, PostgreSQL does not answer or the port is taken; what was started is in
 *   `lifetime` to be undone
 */
export async function startCalls(needs: CallsNeeds, lifetime: Lifetime): Promise<Calls> {
  const { settings, clock, logger } = needs;
  const verifyToken = tokenVerifier(settings, clock);
  const server = await createServer({
    title: 'Trunkline calls',
    description: 'Calls and consumption of accounts, and the way in for switches.',
    version,
    logger,
    registry: createRegistry('calls'),
    corsOrigins: settings.corsOrigins,
    bodyLimitBytes: settings.bodyLimitBytes,
    translateError: translateDatabaseError,
  });

  const pool = createPool({
    url: needs.databaseUrl,
    applicationName: 'trunkline-calls',
    size: settings.poolSize,
    onIdleError: (error) => logger.warn({ reason: error.message }, 'an idle connection to PostgreSQL broke'),
  });
  lifetime.onStop('database pool', () => pool.end());
  lifetime.onStop('HTTP server', () => closeServer(server, clock, settings.shutdownGraceMs));

  await waitForPostgres(
    pool,
    clock,
    (attempt, error) => logger.warn({ attempt, reason: String(error) }, 'PostgreSQL does not answer yet'),
    lifetime.stopping,
  );
  const maintenance = runMaintenance(
    { pool, clock, logger, retentionMonths: settings.retentionMonths },
    lifetime.stopping,
  );
  lifetime.onStop('maintenance of months', () => maintenance);

  const database = createDatabase(pool);
  const cursors = createCursors(await sharedSecret(pool, 'cursor'));
  const authenticator = createAuthenticator(database, clock, verifyToken);
  healthRoutes(server, pool, clock);
  const { rateLimitPerMinute } = settings;
  await guardedApi(server, { database, clock, authenticator, rateLimitPerMinute }, (api) => {
    cdrRoutes(api, { database, clock, cursors });
    consumptionRoutes(api, { database, clock });
    ingestRoutes(api, { database, pool, clock, newAccounts: { ...settings.newAccounts, country: null } });
  });

  await server.listen({ host: settings.host, port: settings.port });
  const { port } = server.server.address() as AddressInfo;
  const host = settings.host.includes(':') ? `[${settings.host}]` : settings.host;
  return { url: `http://${host}:${port}`, pool };
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

/** Stops accepting, lets what runs end for `graceMs`, then cuts the rest: an export that is cut shows it. */
async function closeServer(server: Server, clock: Clock, graceMs: number): Promise<void> {
  const closed = server.close();
  const cancel = clock.after(graceMs, () => server.server.closeAllConnections());
  await closed;
  cancel();
}
