/**
 * THE architecture on one page: the modules that Trunkline is made of and what each needs. `trunkline up` starts them
 * all in one process, `trunkline serve calls` those named and what they need. Stopping goes in reverse.
 *
 *   calls ──▶ schema ──▶ postgres
 *   monitor              needs none of them, so that it can tell of any that is down
 */
import { join } from 'node:path';
import type { Config } from '#config';
import { startCluster } from '#engines/cluster/cluster.ts';
import { runningTier, type TierAddresses, tierFolder } from '#engines/cluster/tier.ts';
import { EMBEDDED_DATABASE, postgresFolder } from '#engines/postgres.ts';
import { keepPostgres } from '#engines/postgres_keeper.ts';
import { createPool, waitForPostgres } from '#platform/database/pool.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import type { AnyModule, Module } from '#platform/lifecycle/modules.ts';
import { errorText } from '#platform/telemetry/error_text.ts';
import { createLogger } from '#platform/telemetry/logger.ts';
import { type Calls, startCalls } from '#services/calls/module.ts';
import { bringUpToDate } from '#services/calls/schema.ts';
import { type MonitorService, startMonitor } from '#services/monitor/module.ts';

/** The database that the program runs on, embedded or of the provider's own. */
export interface PostgresPart {
  readonly url: string;
  readonly replicaUrls: readonly string[];
  /** The program's own: embedded, or the local cluster. */
  readonly embedded: boolean;
  /** What it is, for people. */
  readonly what: string;
}

export interface SystemOptions {
  /** Run the PostgreSQL tier on this machine (engines/cluster) instead of one embedded server. */
  readonly cluster: boolean;
  /** The tier takes the ports from here on; the well-known ones when left out. */
  readonly clusterPortBase?: number | undefined;
}

/** What each module gives to those that need it. */
export interface Parts {
  postgres: PostgresPart;
  schema: { readonly ran: readonly string[] };
  calls: Calls;
  monitor: MonitorService;
}

/** Modules that `trunkline serve` can be asked for; the others come along where they are needed. */
export const SERVICES = ['calls', 'monitor'] as const;

/** The modules, for one configuration. */
export function systemModules(config: Config, options: SystemOptions): AnyModule<Parts>[] {
  const logger = (service: string) => createLogger(service, config.LOG_LEVEL);

  const postgres: Module<Parts, 'postgres', never> = {
    name: 'postgres',
    needs: [],
    purpose: 'DATABASE_URL, the embedded PostgreSQL in DATA_DIR, or the tier of `up --cluster`',
    start: async (_needs, lifetime) => {
      const url = config.DATABASE_URL_CALLS ?? config.DATABASE_URL;
      if (url && options.cluster) throw new Error('DATABASE_URL: leave it out with --cluster');
      if (url)
        return { url, replicaUrls: config.DATABASE_REPLICA_URL, embedded: false, what: 'DATABASE_URL' };
      if (options.cluster) {
        const data = tierFolder(config);
        const running = await runningTier(config);
        if (running) return tierPart(running, `PostgreSQL tier in ${data}, which ran already and stays up`);
        const log = logger('tier');
        const cluster = await startCluster({
          data,
          portBase: options.clusterPortBase,
          signal: lifetime.stopping,
          report: ({ part, what, detail }) => {
            const expected = what === 'started' || lifetime.stopping.aborted;
            log[expected ? 'info' : 'warn']({ part, detail }, what);
          },
        });
        lifetime.onStop('PostgreSQL tier', cluster.stop);
        return tierPart(cluster, `PostgreSQL tier in ${data}`);
      }
      const log = logger('postgres');
      const embedded = await keepPostgres(
        {
          folder: postgresFolder(config),
          database: EMBEDDED_DATABASE,
          port: config.EMBEDDED_POSTGRES_PORT || undefined,
        },
        systemClock,
        (event, error) =>
          event === 'restarted' ? log.info('up again') : log.error({ reason: error && String(error) }, event),
      );
      lifetime.onStop('embedded PostgreSQL', embedded.stop);
      const what = `embedded PostgreSQL in ${config.DATA_DIR}`;
      return { url: embedded.url, replicaUrls: config.DATABASE_REPLICA_URL, embedded: true, what };
    },
  };

  const schema: Module<Parts, 'schema', 'postgres'> = {
    name: 'schema',
    needs: ['postgres'],
    purpose: 'brings the embedded database up to date; of any other, checks that it is',
    start: async (needs, lifetime) => {
      const pool = createPool({
        url: needs.postgres.url,
        applicationName: 'trunkline-schema',
        size: 1,
        onIdleError: () => undefined,
      });
      try {
        const report = (attempt: number, error: unknown) =>
          logger('schema').warn({ attempt, reason: errorText(error) }, 'PostgreSQL does not answer yet');
        await waitForPostgres(pool, systemClock, report, lifetime.stopping);
        return { ran: await bringUpToDate(pool, needs.postgres) };
      } finally {
        await pool.end();
      }
    },
  };

  const calls: Module<Parts, 'calls', 'postgres' | 'schema'> = {
    name: 'calls',
    needs: ['postgres', 'schema'],
    purpose: 'the API of calls and consumption',
    start: (needs, lifetime) =>
      startCalls(
        {
          settings: callsSettings(config),
          databaseUrl: needs.postgres.url,
          replicaUrls: needs.postgres.replicaUrls,
          clock: systemClock,
          random: Math.random,
          logger: logger('calls'),
        },
        lifetime,
      ),
  };

  const monitor: Module<Parts, 'monitor', never> = {
    name: 'monitor',
    needs: [],
    purpose: 'watches the PostgreSQL tier and the services, and tells people',
    start: async (_needs, lifetime) =>
      startMonitor(
        {
          settings: await monitorSettings(config),
          clock: systemClock,
          random: Math.random,
          logger: logger('monitor'),
        },
        lifetime,
      ),
  };

  return [postgres, schema, calls, monitor];
}

function tierPart({ writeUrl, readUrl }: TierAddresses, what: string): PostgresPart {
  return { url: writeUrl, replicaUrls: [readUrl], embedded: true, what };
}

function callsSettings(config: Config): Parameters<typeof startCalls>[0]['settings'] {
  return {
    host: config.HOST,
    port: config.CALLS_PORT,
    corsOrigins: config.CORS_ORIGINS,
    poolSize: config.CALLS_POOL_SIZE,
    queueOrder: config.QUEUE_ORDER,
    earlyProbe: config.BREAKER_EARLY_PROBE,
    queryTimeoutMs: config.QUERY_TIMEOUT_MS,
    connectionLifetimeMs: config.POOL_MAX_LIFETIME_S * 1000,
    maxReplicaLagS: config.MAX_REPLICA_LAG_S,
    bodyLimitBytes: config.BODY_LIMIT_MB * 1_000_000,
    rateLimitPerMinute: config.RATE_LIMIT_PER_MINUTE,
    jwksUrl: config.JWKS_URL,
    jwtIssuer: config.JWT_ISSUER,
    jwtAudience: config.JWT_AUDIENCE,
    retentionMonths: config.CDR_RETENTION_MONTHS,
    shutdownGraceMs: config.SHUTDOWN_GRACE_MS,
    newAccounts: { currency: config.DEFAULT_CURRENCY, timeZone: config.IMPORT_TIME_ZONE },
  };
}

export const monitorFolder = (config: Config) => join(config.DATA_DIR, 'monitor');

/** Where this machine reaches its own services, as it stands in a URL: what listens everywhere is asked on loopback. */
export function reachableHost({ HOST }: Pick<Config, 'HOST'>): string {
  const host = ['0.0.0.0', '::'].includes(HOST) ? '127.0.0.1' : HOST;
  return host.includes(':') ? `[${host}]` : host;
}

async function monitorSettings(config: Config): Promise<Parameters<typeof startMonitor>[0]['settings']> {
  const calls = { name: 'calls', url: `http://${reachableHost(config)}:${config.CALLS_PORT}` };
  // A port that is chosen at the start is not known here.
  const own = config.CALLS_PORT === 0 ? [] : [calls];
  return {
    host: config.HOST,
    port: config.MONITOR_PORT,
    folder: monitorFolder(config),
    key: config.MONITOR_KEY,
    haproxies: config.MONITOR_HAPROXY.length > 0 ? config.MONITOR_HAPROXY : await ownHaproxies(config),
    services: config.MONITOR_SERVICES.length > 0 ? config.MONITOR_SERVICES : own,
    pollIntervalMs: config.MONITOR_POLL_MS,
    heartbeat: config.MONITOR_HEARTBEAT,
    routes: config.ALERT_ROUTES,
    slackWebhookUrl: config.SLACK_WEBHOOK_URL,
    pagerDutyKey: config.PAGERDUTY_ROUTING_KEY,
    pagerDutyUrl: config.PAGERDUTY_URL,
    webhookUrl: config.ALERT_WEBHOOK_URL,
    webhookSecret: config.ALERT_WEBHOOK_SECRET,
    smtpUrl: config.SMTP_URL,
    emailFrom: config.ALERT_EMAIL_FROM,
    emailTo: config.ALERT_EMAIL_TO,
    runbookUrl: config.RUNBOOK_URL,
  };
}

/** Those of the tier that runs in DATA_DIR; none where none runs. */
async function ownHaproxies(
  config: Config,
): Promise<Parameters<typeof startMonitor>[0]['settings']['haproxies']> {
  const tier = await runningTier(config);
  return (tier?.layout.haproxies ?? []).map(({ name, host, statsPort, socket }) => {
    return { name, pageUrl: `http://${host}:${statsPort}/stats`, socket };
  });
}
