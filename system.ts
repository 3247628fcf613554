/**
 * THE architecture on one page: the modules of Trunkline and the needs of each module. `trunkline up` starts all modules
 * in one process; `trunkline serve calls` starts the named modules and their needs. Modules stop in the reverse order.
 *
 *   calls ──▶ schema ──▶ postgres
 *         └─▶ cache
 *   monitor              needs none of them, so that it can report any of them as down
 */
import { join } from 'node:path';
import { type Config as ConfigOf, databaseOf, readConfig as readConfigOf, sharedSettings } from '#config';
import { runningTier, type TierAddresses, tierFolder } from '#engines/cluster/tier.ts';
import { watchedParts } from '#engines/cluster/watched.ts';
import { warnOfFormerData } from '#engines/former_data.ts';
import { EMBEDDED_DATABASE, postgresFolder, startOfPostgres } from '#engines/postgres.ts';
import { type PostgresEvent, supervisePostgres } from '#engines/postgres_supervisor.ts';
import type { FindKey } from '#platform/access/authenticator.ts';
import type { CacheStore } from '#platform/cache/cache.ts';
import { startCacheStore } from '#platform/cache/start.ts';
import type { DatabasePlace } from '#platform/database/address.ts';
import { auditTrail } from '#platform/database/audit.ts';
import { listBackups } from '#platform/database/backup/backup_files.ts';
import { backupTimesText } from '#platform/database/backup/scheduled.ts';
import { createPool, type Pool, waitForPostgres } from '#platform/database/pool.ts';
import { createDatabases, type Databases } from '#platform/database/shared_database.ts';
import { bringUpToDate } from '#platform/database/upgrade.ts';
import { listeningAt } from '#platform/http/address.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import type { AnyModule, Module } from '#platform/lifecycle/modules.ts';
import { makeDataFolder } from '#platform/lifecycle/own_files.ts';
import { startBackups } from '#platform/service/backups.ts';
import { type AnyService, byDatabase, runningOf, schemasOf, tabledOf } from '#platform/service/definition.ts';
import { type RunningService, startService } from '#platform/service/service.ts';
import type { DatabaseParts, DatabaseSettings, ServiceParts } from '#platform/service/tools.ts';
import { messagesOf, publishersOf } from '#platform/service/topics.ts';
import { errorText } from '#platform/telemetry/error_text.ts';
import { createLogger } from '#platform/telemetry/logger.ts';
import { accountWithCode } from '#services/calls/accounts/accounts.ts';
import type { CallsCommandParts } from '#services/calls/commands/tools.ts';
import { closedFrom } from '#services/calls/store/account_life.ts';
import { codesOfAccounts } from '#services/calls/store/accounts.ts';
import { formerKeys } from '#services/calls/store/former_keys.ts';
import type { IdentityCommandParts } from '#services/identity/commands/tools.ts';
import { rightsOfClaims } from '#services/identity/contract.ts';
import { createFirstKey, findKey, type KeyPlaces } from '#services/identity/keys.ts';
import type { BackupSource } from '#services/monitor/backup_reader.ts';
import type { MonitorCommandParts } from '#services/monitor/commands/tools.ts';
import { brokersOf, keepersOf } from '#services/monitor/keepers.ts';
import type { ServerSource } from '#services/monitor/server_watch.ts';
import type { ServiceSource } from '#services/monitor/service_reader.ts';
import type { MonitorSettings } from '#services/monitor/settings.ts';
import { EMBEDDED_NODE, primaryRoom, watchedDisks } from './postgres_disks.ts';

/** The database of the program: embedded, or the provider's own. */
export interface PostgresPart extends Partial<Pick<TierAddresses, 'brokerUrl'>> {
  /** The database with a service's tables. */
  of(service: string): DatabasePlace;
  /** The program's own database: embedded, or the local cluster. */
  readonly embedded: boolean;
  /** Its description for people. */
  readonly what: string;
}

export interface SystemOptions {
  /** Run the PostgreSQL tier on this machine (engines/cluster) instead of one embedded server. */
  readonly cluster: boolean;
  /** The tier takes the ports from here on; without it, the well-known ports. */
  readonly clusterPortBase?: number | undefined;
}

/** The part that each module gives to the modules that need it. */
export interface Parts {
  postgres: PostgresPart;
  schema: { readonly ran: readonly string[] };
  cache: CacheStore;
  /** The schedule of automatic back-ups, in words; null: there is none. */
  backups: { readonly times: string | null };
  /** Every running service, by its name. */
  [service: string]: unknown;
}

/** The services among the running modules. */
export const servicesIn = (
  parts: Partial<Parts>,
): { readonly name: string; readonly running: RunningService }[] =>
  runningOf(SERVICES).flatMap(({ name }) => {
    const running = parts[name] as RunningService | undefined;
    return running ? [{ name, running }] : [];
  });

/** THE list of services: migrations, back-ups, `doctor`, `up`, `serve` and the tests' template are derived from it. */
export const SERVICES = [
  (await import('#services/calls/service.ts')).calls,
  (await import('#services/identity/service.ts')).identity,
  (await import('#services/monitor/service.ts')).monitor,
] as const;

type ServiceName = (typeof SERVICES)[number]['name'];

/** The settings of the program and of its services. */
export type Config = ConfigOf<typeof SERVICES>;

/** @throws ConfigError naming all faults */
export const readConfig = (environment: Readonly<Record<string, string | undefined>>): Config =>
  readConfigOf(environment, SERVICES);

/** The tables of all services. */
export const SCHEMAS = schemasOf(SERVICES);

/** Every service with tables has an audit trail. */
export const AUDIT_TRAILS = SERVICES.flatMap(({ name, migrations }) =>
  migrations ? { service: name, trail: auditTrail(migrations.schema) } : [],
);

/** The functions that the calls service gives to identity: its former keys, and their accounts. */
const callsOfKeys = { formerKeys, closedFrom, codesOf: codesOfAccounts };

/** The store of keys, on identity's database. @param callsPool if calls have another database */
export const keyPlaces = (pool: Pool, callsPool = pool): KeyPlaces => ({
  pool,
  calls: { pool: callsPool, ...callsOfKeys },
});

/** Makes the first operator key; undefined if the program has a key. @param pools by service */
export const firstKey = (poolOf: (service: string) => Pool): Promise<string | undefined> =>
  createFirstKey(keyPlaces(poolOf('identity'), poolOf('calls')));

/** The configured database of a service; undefined: the program's own, embedded or a tier. */
export const givenPlace = (config: Config, service: string): DatabasePlace | undefined =>
  databaseOf(config, config[service as ServiceName]);

/** Its primary's URL. */
export const givenUrl = (config: Config, service: string): string | undefined =>
  givenPlace(config, service)?.url;

/** Finds a key in any database with keys. */
export const findAnyKey: FindKey = (on, hash) => findKey(on, callsOfKeys, hash);

/** The modules, for one configuration. @param wanted the modules that are to run */
export function systemModules(
  config: Config,
  wanted: readonly string[],
  options: SystemOptions,
): AnyModule<Parts>[] {
  const logger = (service: string) => createLogger(service, config.LOG_LEVEL);

  const postgres: Module<Parts, 'postgres', never> = {
    name: 'postgres',
    needs: [],
    purpose: 'DATABASE_URL, the embedded PostgreSQL in DATA_DIR, or the tier of `up --cluster`',
    start: async (_needs, lifetime) => {
      const isGiven = givenUrl(config, 'calls') !== undefined;
      if (isGiven && options.cluster) throw new Error('DATABASE_URL: leave it out with --cluster');
      if (isGiven)
        return { of: (service) => givenPlace(config, service)!, embedded: false, what: 'DATABASE_URL' };
      if (options.cluster) {
        await prepareDataFolder(config);
        await warnOfFormerData(config.DATA_DIR, (words) => logger('tier').warn(words));
        const data = tierFolder(config);
        const running = await runningTier(config);
        if (running) return tierPart(running, `PostgreSQL tier in ${data}, which ran already and stays up`);
        const log = logger('tier');
        const { startCluster } = await import('#engines/cluster/cluster.ts');
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
      await prepareDataFolder(config);
      const log = logger('postgres');
      await warnOfFormerData(config.DATA_DIR, (words) => log.warn(words));
      const embedded = await supervisePostgres(
        {
          folder: postgresFolder(config),
          database: EMBEDDED_DATABASE,
          port: config.EMBEDDED_POSTGRES_PORT || undefined,
        },
        systemClock,
        (event, error) => {
          const { level, words } = POSTGRES_EVENTS[event];
          log[level]({ reason: error && String(error) }, words);
        },
      );
      lifetime.onStop('embedded PostgreSQL', embedded.stop);
      const what = `embedded PostgreSQL in ${config.DATA_DIR}`;
      return { of: () => ({ url: embedded.url, replicaUrls: [] }), embedded: true, what };
    },
  };

  const schema: Module<Parts, 'schema', 'postgres'> = {
    name: 'schema',
    needs: ['postgres'],
    purpose: 'brings the embedded database up to date; of any other, checks that it is',
    start: async ({ postgres: { of, embedded } }, lifetime) => {
      const ran: string[] = [];
      for (const { url, services } of byDatabase(SERVICES, (service) => of(service).url)) {
        const applicationName = 'trunkline-schema';
        const pool = createPool({ url, applicationName, size: 1, onIdleError: () => undefined });
        try {
          const report = (attempt: number, error: unknown) =>
            logger('schema').warn({ attempt, reason: errorText(error) }, 'PostgreSQL does not answer yet');
          await waitForPostgres(pool, systemClock, report, lifetime.stopping);
          ran.push(...(await bringUpToDate(pool, schemasOf(services), { embedded })));
        } finally {
          await pool.end();
        }
      }
      return { ran };
    },
  };

  const backups: Module<Parts, 'backups', 'postgres' | 'schema'> = {
    name: 'backups',
    needs: ['postgres', 'schema'],
    purpose: 'makes back-ups into BACKUP_DIR, where BACKUP_AT says when',
    start: ({ postgres: { of } }, lifetime) => {
      const { BACKUP_AT: times, BACKUP_DIR: folder, BACKUP_KEEP: keep, BACKUP_KEY: secret } = config;
      const given = { services: SERVICES, urlOf: (service: string) => of(service).url, times, folder };
      return startBackups(
        { ...given, keep, secret, clock: systemClock, logger: logger('backups') },
        lifetime,
      );
    },
  };

  const cache: Module<Parts, 'cache', never> = {
    name: 'cache',
    needs: [],
    purpose: 'what is kept for a while: in this process, or in Redis (REDIS_URL)',
    start: (_needs, lifetime) => {
      const place = { url: config.REDIS_URL, prefix: config.REDIS_PREFIX };
      return startCacheStore({ ...place, clock: systemClock, logger: logger('cache') }, lifetime);
    },
  };

  const sharing = wanted.filter((name) => tabledOf(SERVICES).some((one) => one.name === name && one.start));
  const applicationName = `trunkline-${sharing.length === 1 ? sharing[0] : 'services'}`;
  const databases = createDatabases({ applicationName, logger: logger('postgres') });
  publishersOf(SERVICES); // throws where messages do not fit together
  const services = runningOf(SERVICES).map((service) => serviceModule(service, config, databases));
  return [postgres, schema, cache, ...services, backups];
}

/** The parts that `system.ts` gives to single services, besides those of every service. */
const OWN_PARTS: Readonly<Record<string, (config: Config, postgres?: PostgresPart) => Promise<object>>> = {
  calls: async (config, postgres) => {
    return { room: primaryRoom(config, postgres!.of('calls').url) };
  },
  identity: async (config) => ({ folder: join(config.DATA_DIR, 'identity') }),
  monitor: async (config) => {
    await prepareDataFolder(config);
    return { settings: await monitorSettings(config) };
  },
};

/** The parts of a service's commands: its settings, and the needs of single services. */
export const commandParts = ({ name }: AnyService, config: Config) => ({
  settings: settingsOf(name, config),
  ...OWN_COMMAND_PARTS[name]?.(config),
});

const OWN_COMMAND_PARTS: Readonly<Record<string, (config: Config) => object>> = {
  calls: (config): Omit<CallsCommandParts, 'settings'> => {
    return { schemas: SCHEMAS.map(({ schema }) => schema), roomAt: (url) => primaryRoom(config, url) };
  },
  identity: (): IdentityCommandParts => {
    return { keyPlaces, accountWithCode };
  },
  monitor: (config): Omit<MonitorCommandParts, 'settings'> => {
    return { folder: monitorFolder(config), callsUrl: listeningAt(config.HOST, config.calls.port) };
  },
};

/** A service as a module of the program. */
function serviceModule(service: AnyService, config: Config, databases: Databases): AnyModule<Parts> {
  return {
    name: service.name,
    needs: service.migrations ? ['postgres', 'schema', 'cache'] : [],
    purpose: service.purpose,
    start: async ({ postgres, cache }: Pick<Parts, 'postgres' | 'cache'>, lifetime) => {
      const parts = {
        settings: settingsOf(service.name, config),
        clock: systemClock,
        random: Math.random,
        logger: createLogger(service.name, config.LOG_LEVEL),
        ...(service.migrations && {
          databases,
          cache,
          databaseUrl: postgres.of(service.name).url,
          replicaUrls: postgres.of(service.name).replicaUrls,
          messages: messagesOf(SERVICES, config.RABBITMQ_URL ?? postgres.brokerUrl, postgres.of),
          keysAt: { identity: postgres.of('identity'), calls: postgres.of('calls') },
          findKey: findAnyKey,
          rightsOf: rightsOfClaims,
        }),
        ...(await OWN_PARTS[service.name]?.(config, postgres)),
      };
      return startService(
        service,
        parts as unknown as ServiceParts<DatabaseSettings> & DatabaseParts,
        lifetime,
      );
    },
  };
}

/** Events of the embedded PostgreSQL, as the log shows them. */
const POSTGRES_EVENTS = {
  died: { level: 'error', words: 'died' },
  restarted: { level: 'info', words: 'up again' },
  restart_failed: { level: 'error', words: 'restart failed' },
  ballast_released: {
    level: 'error',
    words: 'its disk is full: it was started with the room of the ballast file, which is gone; make room',
  },
  ballast_made: { level: 'info', words: 'a ballast file of 64 MiB keeps room for it on a full disk' },
  ballast_failed: { level: 'warn', words: 'the ballast file could not be made' },
} as const satisfies Record<PostgresEvent, { level: 'info' | 'warn' | 'error'; words: string }>;

function tierPart({ writeUrl, readUrl, brokerUrl }: TierAddresses, what: string): PostgresPart {
  return { of: () => ({ url: writeUrl, replicaUrls: [readUrl] }), embedded: true, what, brokerUrl };
}

const settingsOf = (name: string, config: Config) => ({
  ...sharedSettings(config),
  ...config[name as ServiceName],
});

/** Files and folders in DATA_DIR: the embedded server, a tier, the monitor's key and state, identity's encryption keys. */
const IN_DATA_FOLDER = ['postgres', 'cluster', 'monitor', 'identity'];

/** Makes DATA_DIR, readable by its owner alone. @throws Error when it can't be made so */
export const prepareDataFolder = (config: Pick<Config, 'DATA_DIR'>): Promise<void> =>
  makeDataFolder(config.DATA_DIR, IN_DATA_FOLDER);

const monitorFolder = (config: Config) => join(config.DATA_DIR, 'monitor');

/** The services of this installation except the monitor. Ports chosen at the start are not known here. */
function watchedServices(config: Config): ServiceSource[] {
  return runningOf(SERVICES).flatMap(({ name }) => {
    const { port } = config[name as ServiceName];
    return name === 'monitor' || port === 0 ? [] : [{ name, url: listeningAt(config.HOST, port) }];
  });
}

/** The monitor's settings, with defaults from this installation where they are unset. */
async function monitorSettings(config: Config): Promise<MonitorSettings> {
  const running = await runningTier(config);
  const tier = running && watchedParts(running.layout, running.secrets);
  const { haproxies, doors, bouncers, etcd, services } = config.monitor;
  const brokers = brokersOf(config.RABBITMQ_URL, tier?.brokers);
  const given = <T>(list: readonly T[], otherwise: readonly T[] = []) =>
    (list.length > 0 ? list : otherwise) as T[];
  return {
    ...config.monitor,
    ...{ host: config.HOST, corsOrigins: [], trustedProxies: config.TRUSTED_PROXIES },
    folder: monitorFolder(config),
    haproxies: given(haproxies, tier?.haproxies),
    doors: given(doors, tier?.doors),
    bouncers: given(bouncers, tier?.bouncers),
    services: given(services, watchedServices(config)),
    keepers: keepersOf(given(etcd, tier?.etcd), running?.parts, config.REDIS_URL, brokers),
    disks: await watchedDisks(config, running, isElsewhere(config)),
    server: running || isElsewhere(config) ? undefined : embeddedServer(config),
    backup: watchedBackups(config),
  };
}

function watchedBackups({
  BACKUP_DIR: folder,
  BACKUP_AT,
  BACKUP_MAX_AGE_H,
}: Config): BackupSource | undefined {
  if (folder === undefined) return undefined;
  const newest = async () => (await listBackups(folder))[0]?.at;
  const times = BACKUP_AT ? backupTimesText(BACKUP_AT) : undefined;
  return { folder, maxAgeS: BACKUP_MAX_AGE_H * 3_600, times, newest };
}

/** Whether PostgreSQL runs elsewhere, so that the embedded one is not used. */
const isElsewhere = (config: Config): boolean =>
  givenUrl(config, 'calls') !== undefined || config.monitor.haproxies.length > 0;

const embeddedServer = (config: Config): ServerSource => ({
  name: EMBEDDED_NODE,
  read: () => startOfPostgres(postgresFolder(config)),
});
