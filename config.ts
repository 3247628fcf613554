/**
 * The environment: the settings that the whole program shares. Each service declares its own settings beside its code. All
 * faults are reported at once, before anything starts. scripts/derived.ts writes docs/CONFIGURATION.md from these tables.
 */
import {
  asFolder,
  asHeaders,
  asNetworks,
  asOneOf,
  asOrigins,
  asPattern,
  asPort,
  asPostgresUrl,
  asShare,
  asText,
  asUrl,
  asWhole,
  Fault,
} from '#platform/config/readers.ts';
import {
  environmentName,
  missing,
  optional,
  readSettings,
  type SettingNeed,
  type SettingsGroup,
  type SettingsTable,
  setting,
  type ValuesOf,
} from '#platform/config/settings.ts';
import { addressOf, type DatabasePlace } from '#platform/database/address.ts';
import { readBackupTimes } from '#platform/database/backup/scheduled.ts';
import { BROKER_ADDRESS_FORM, readBrokerUrls } from '#platform/messaging/broker_address.ts';
import type { AnyService } from '#platform/service/definition.ts';
import type { DatabaseSettings } from '#platform/service/tools.ts';

function asBackupTimes(text: string) {
  const times = readBackupTimes(text);
  if (!times) throw new Fault('a time of day such as 03:15, or an interval such as 90m, 6h or 1d');
  return times;
}

function asBroker(text: string): string {
  if (!readBrokerUrls(text)) throw new Fault(BROKER_ADDRESS_FORM);
  return text;
}

/** Removed settings whose names do not begin with a service's name: they are not refused as unknown, and have no effect. */
export const REMOVED_SETTINGS: Readonly<Record<string, string>> = {
  BREAKER_EARLY_PROBE: 'an open circuit breaker always tries the database as soon as a health check passes',
};

const asPostgresUrls = (text: string): string[] =>
  text === '' ? [] : text.split(',').map((url) => asPostgresUrl(url.trim()));

/** Every setting, in the order in which the documentation lists them. */
export const SETTINGS = {
  DATA_DIR: setting(
    'data',
    'Folder of the embedded engines; commands find a running program in it',
    asFolder,
  ),
  DATABASE_URL: optional('PostgreSQL to use instead of the embedded one', asPostgresUrl, { secret: true }),
  DATABASE_REPLICA_URL: setting(
    '',
    'Read replicas, separated by commas; if there are any, all reads go to them',
    asPostgresUrls,
    { secret: true },
  ),
  EMBEDDED_POSTGRES_PORT: setting('0', 'Port of the embedded PostgreSQL on loopback; 0: a free one', asPort),
  HOST: setting('127.0.0.1', 'Address that the services listen on', asText),
  POOL_SIZE: setting(
    '10',
    'Connections of this process to each PostgreSQL; its services share them, and as many requests run at once',
    asWhole(1, 1_000),
  ),
  POOL_MAX_LIFETIME_S: setting(
    '300',
    'The longest time that a connection to PostgreSQL is kept, in seconds; each is kept for at least half of it',
    asWhole(1, 86_400),
  ),
  QUERY_TIMEOUT_MS: setting(
    '30000',
    'How long one statement may take, in milliseconds',
    asWhole(100, 3_600_000),
  ),
  QUEUE_ORDER: setting(
    'fifo',
    'Order of the request queue: fifo, or adaptive (newest first while the queue does not get shorter)',
    asOneOf('fifo', 'adaptive'),
  ),
  MAX_REPLICA_LAG_S: setting(
    '30',
    'A replica with a greater lag gets no reads while another has a smaller one, in seconds',
    asWhole(1, 86_400),
  ),
  TRUSTED_PROXIES: setting(
    '',
    'Addresses or networks of the proxies in front, separated by commas: failures count for the client that their `X-Forwarded-For` names',
    asNetworks,
  ),
  CORS_ORIGINS: setting('', 'Origins whose pages may call the API, separated by commas', (text) =>
    text === '' ? [] : asOrigins(text),
  ),
  RATE_LIMIT_PER_MINUTE: setting('600', 'Requests a minute that one key may make', asWhole(1, 10_000_000)),
  RABBITMQ_URL: optional(
    'RabbitMQ, through which messages between services go; unset: they stay in PostgreSQL',
    asBroker,
    { secret: true },
  ),
  REDIS_URL: optional(
    'Redis, in which all processes count requests together and share what they cache; without it each process does so for itself',
    asUrl('redis:', 'rediss:'),
    { secret: true },
  ),
  REDIS_PREFIX: setting(
    'trunkline',
    'What all names in Redis begin with; installations that share a Redis need one each',
    asPattern(/^[\w-]{1,40}$/, 'up to 40 letters, digits, _ and -'),
  ),
  JWKS_URL: optional(
    'Keys of an identity provider; its tokens are accepted as bearer tokens',
    asUrl('https:', 'http:'),
    { secret: true },
  ),
  JWT_ISSUER: optional('The `iss` that such a token must have', asText),
  JWT_AUDIENCE: optional('The `aud` that such a token must have', asText),
  BACKUP_DIR: optional(
    'Folder of back-ups: `backup` writes there, and `restore` and its drill look for the newest there',
    asFolder,
  ),
  BACKUP_MAX_AGE_H: setting(
    '26',
    'Age of the newest back-up in BACKUP_DIR from which the monitor alerts, in hours',
    asWhole(1, 8_760),
  ),
  BACKUP_AT: optional(
    'When `up` makes back-ups into BACKUP_DIR: a time of day such as 03:15 (by the clock of this machine), or an interval such as 6h',
    asBackupTimes,
  ),
  BACKUP_KEEP: setting(
    '14',
    'How many back-ups `up` leaves in BACKUP_DIR, the newest ones',
    asWhole(1, 10_000),
  ),
  BACKUP_KEY: optional(
    'Key that encrypts and decrypts back-ups: 32 random bytes in base64 (`openssl rand -base64 32`)',
    (text) => Buffer.from(asPattern(/^[A-Za-z0-9+/]{43}=$/, 'the base64 of 32 bytes')(text), 'base64'),
    { secret: true },
  ),
  SHUTDOWN_GRACE_MS: setting(
    '500',
    'How long running requests may take to end at a stop, in milliseconds',
    asWhole(0, 600_000),
  ),
  LOG_LEVEL: setting(
    'info',
    'fatal, error, warn, info, debug or silent',
    asOneOf('fatal', 'error', 'warn', 'info', 'debug', 'silent'),
  ),
  OTEL_EXPORTER_OTLP_ENDPOINT: optional(
    'Receiver of traces, by OTLP over HTTP: a collector of OpenTelemetry, Jaeger, Tempo; without it nothing is traced',
    asUrl('http:', 'https:'),
    { secret: true },
  ),
  OTEL_EXPORTER_OTLP_HEADERS: optional(
    'Headers for the receiver, such as authorization=Bearer%20abc, separated by commas',
    asHeaders,
    { secret: true },
  ),
  TRACE_RATIO: setting('0.01', 'Share of the requests that is traced, from 0 to 1', asShare),
  TRACEPARENT_FROM: setting(
    '',
    "Addresses or networks, separated by commas, whose `traceparent` decides whether a request is traced: the gateway's, and those of programs of your own",
    asNetworks,
  ),
} as const satisfies SettingsTable;

/** Settings of every service that listens. */
const listening = (name: string, port: number) => ({
  port: setting(String(port), `Port of ${name}`, asPort),
});

/** Settings of every service with tables. */
const withTables = (name: string) => ({
  databaseUrl: optional(`PostgreSQL of ${name} alone, instead of DATABASE_URL`, asPostgresUrl, {
    ...{ secret: true, env: `DATABASE_URL_${name.toUpperCase()}` },
  }),
  databaseReplicaUrls: setting(
    '',
    `Read replicas of DATABASE_URL_${name.toUpperCase()}, separated by commas`,
    asPostgresUrls,
    {
      ...{ secret: true, env: `DATABASE_REPLICA_URL_${name.toUpperCase()}` },
    },
  ),
});

/** Settings of every service that uses a database. */
const onDatabase = (name: string) => ({
  heavySlots: setting(
    '0',
    `How many long requests of ${name} may run at once; 0: half of POOL_SIZE, and few enough to leave one processor of this machine free`,
    asWhole(0, 1_000),
  ),
});

const groupOf = (service: AnyService): SettingsGroup => ({
  service: service.name,
  table: {
    ...(service.port !== undefined && listening(service.name, service.port)),
    ...(service.port !== undefined && service.migrations && onDatabase(service.name)),
    ...(service.migrations && withTables(service.name)),
    ...service.settings,
  },
});

/** The settings of the whole program, and of each service. */
export const settingGroups = (services: readonly AnyService[]): SettingsGroup[] => [
  { table: SETTINGS },
  ...services.map(groupOf),
];

/** Every setting as the documentation lists it: its name, its default and its purpose. */
export const documentedSettings = (services: readonly AnyService[]) =>
  settingGroups(services).flatMap((group) =>
    Object.entries(group.table).map(([name, { standard = '', what }]) => {
      return { name: environmentName(group, name), standard, what };
    }),
  );

/** The settings of one service: its own, and those that every service has. */
type OwnSettings<Service> = Service extends { readonly settings?: infer Own extends SettingsTable }
  ? ValuesOf<Own> & { readonly port: number; readonly heavySlots: number } & PlaceSettings
  : PlaceSettings;

/** The shared settings by their names in the environment, and the settings of each service by the service's name. */
export type Config<Services extends readonly AnyService[]> = ValuesOf<typeof SETTINGS> & {
  readonly [Service in Services[number] as Service['name']]: OwnSettings<Service>;
};

const NEEDS: readonly SettingNeed[] = [
  {
    name: 'DATABASE_REPLICA_URL',
    all: ['DATABASE_URL'],
    why: 'the embedded PostgreSQL has no replicas',
  },
  {
    name: 'JWKS_URL',
    all: ['JWT_ISSUER', 'JWT_AUDIENCE'],
    why: 'without them a token of any other program would pass',
  },
  {
    name: 'OTEL_EXPORTER_OTLP_HEADERS',
    all: ['OTEL_EXPORTER_OTLP_ENDPOINT'],
    why: 'they are sent to the receiver of traces',
  },
  {
    name: 'TRACEPARENT_FROM',
    all: ['OTEL_EXPORTER_OTLP_ENDPOINT'],
    why: 'without a receiver nothing is traced',
  },
  { name: 'REDIS_PREFIX', all: ['REDIS_URL'], why: 'nothing is in Redis without it' },
  { name: 'JWT_ISSUER', all: ['JWKS_URL'], why: 'without it no token is accepted' },
  { name: 'JWT_AUDIENCE', all: ['JWKS_URL'], why: 'without it no token is accepted' },
];

/** The pool holds all requests that run at once, heavy or not. */
function poolFaults(
  services: readonly AnyService[],
  poolSize: number,
  values: Readonly<Record<string, unknown>>,
): string[] {
  return services.flatMap(({ name }) => {
    const { heavySlots = 0 } = values[name] as { heavySlots?: number };
    return heavySlots > poolSize
      ? [`${name.toUpperCase()}_HEAVY_SLOTS: ${heavySlots} of POOL_SIZE, ${poolSize}, can't be`]
      : [];
  });
}

/** The settings of every service, unless its own settings override them. */
export function sharedSettings(
  config: ValuesOf<typeof SETTINGS>,
): Omit<DatabaseSettings, 'port' | 'heavySlots'> {
  return {
    host: config.HOST,
    corsOrigins: config.CORS_ORIGINS,
    trustedProxies: config.TRUSTED_PROXIES,
    poolSize: config.POOL_SIZE,
    queueOrder: config.QUEUE_ORDER,
    queryTimeoutMs: config.QUERY_TIMEOUT_MS,
    connectionLifetimeMs: config.POOL_MAX_LIFETIME_S * 1000,
    maxReplicaLagS: config.MAX_REPLICA_LAG_S,
    rateLimitPerMinute: config.RATE_LIMIT_PER_MINUTE,
    jwksUrl: config.JWKS_URL,
    jwtIssuer: config.JWT_ISSUER,
    jwtAudience: config.JWT_AUDIENCE,
    shutdownGraceMs: config.SHUTDOWN_GRACE_MS,
  };
}

/** The database settings of a service with tables. */
interface PlaceSettings {
  readonly databaseUrl?: string | undefined;
  readonly databaseReplicaUrls?: readonly string[];
}

interface SharedPlace {
  readonly DATABASE_URL?: string | undefined;
  readonly DATABASE_REPLICA_URL: readonly string[];
}

/**
 * The database of a service: its own, else the database that all services share.
 * @returns undefined for the program's own database, embedded or a local tier: all services use it then
 */
export function databaseOf(
  { DATABASE_URL, DATABASE_REPLICA_URL }: SharedPlace,
  { databaseUrl, databaseReplicaUrls = [] }: PlaceSettings,
): DatabasePlace | undefined {
  if (databaseUrl !== undefined) return { url: databaseUrl, replicaUrls: databaseReplicaUrls };
  return DATABASE_URL === undefined ? undefined : { url: DATABASE_URL, replicaUrls: DATABASE_REPLICA_URL };
}

/** Checks that the databases of all services are set, or of none; and that services with one database have the same replicas. */
function placeFaults(
  services: readonly AnyService[],
  shared: SharedPlace,
  values: Readonly<Record<string, unknown>>,
): string[] {
  const faults: string[] = [];
  const told = new Map<string, { readonly name: string; readonly replicas: string }>();
  const untold: string[] = [];
  for (const { name, migrations } of services) {
    if (!migrations) continue;
    const own = values[name] as PlaceSettings;
    const variable = `DATABASE_URL_${name.toUpperCase()}`;
    if (own.databaseReplicaUrls?.length && own.databaseUrl === undefined)
      faults.push(
        `DATABASE_REPLICA_URL_${name.toUpperCase()} needs ${variable}: they are replicas of that one`,
      );
    const place = databaseOf(shared, own);
    if (!place) {
      untold.push(variable);
      continue;
    }
    const address = addressOf(place.url);
    const replicas = String(place.replicaUrls);
    const other = told.get(address);
    if (other && other.replicas !== replicas)
      faults.push(`${variable}: it is the database of ${other.name}, which has other replicas`);
    told.set(address, { name, replicas });
  }
  if (told.size > 0 && untold.length > 0)
    faults.push(
      `DATABASE_URL is missing, or ${untold.join(' and ')}: another service has a database of its own`,
    );
  return faults;
}

/** Lists every wrong setting, each with the right form. */
export class ConfigError extends Error {
  override name = 'ConfigError';
}

/**
 * Reads the configuration. An empty variable counts as unset.
 * @throws ConfigError naming all faults; it does not repeat the values of settings that may hold a password
 */
export function readConfig<const Services extends readonly AnyService[]>(
  environment: Readonly<Record<string, string | undefined>>,
  services: Services,
): Config<Services> {
  const names = services.map(({ name }) => name);
  const { values, faults: single } = readSettings(environment, settingGroups(services), [
    ...names,
    'database_url',
    'database_replica_url',
  ]);
  const [shared, ...own] = values;
  const byService = Object.fromEntries(names.map((name, index) => [name, own[index]!]));
  const needs = [...NEEDS, ...services.flatMap(({ settingNeeds = [] }) => settingNeeds)];
  const faults = [
    ...single,
    ...missing(needs, environment),
    ...placeFaults(services, shared as unknown as SharedPlace, byService),
    ...poolFaults(services, shared!.POOL_SIZE as number, byService),
  ];
  if (faults.length > 0) throw new ConfigError(`The environment is wrong:\n  ${faults.join('\n  ')}`);
  return { ...shared, ...byService } as unknown as Config<Services>;
}
