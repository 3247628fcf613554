/**
 * The environment: what the whole program shares. Each service declares its own settings beside itself. All faults are reported
 * at once, before anything starts. docs/CONFIGURATION.md is written from the tables (scripts/derived.ts).
 */
import {
  asFolder,
  asNetworks,
  asOneOf,
  asOrigins,
  asPattern,
  asPort,
  asPostgresUrl,
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
import { readBackupTimes } from '#platform/database/backup/scheduled.ts';
import type { AnyService } from '#platform/service/definition.ts';

function asBackupTimes(text: string) {
  const times = readBackupTimes(text);
  if (!times) throw new Fault('a time of day such as 03:15, or an interval such as 90m, 6h or 1d');
  return times;
}

/** Every setting, in the order in which the documentation lists them. */
export const SETTINGS = {
  DATA_DIR: setting(
    'data',
    'Folder of the embedded engines; commands find a running program by it',
    asFolder,
  ),
  DATABASE_URL: optional('PostgreSQL to use instead of the embedded one', asPostgresUrl, { secret: true }),
  DATABASE_URL_CALLS: optional('PostgreSQL of the calls service alone', asPostgresUrl, { secret: true }),
  DATABASE_REPLICA_URL: setting(
    '',
    'Read replicas, separated by commas; all reads go to them where there are any',
    (text) => (text === '' ? [] : text.split(',').map((url) => asPostgresUrl(url.trim()))),
    { secret: true },
  ),
  EMBEDDED_POSTGRES_PORT: setting('0', 'Port of the embedded PostgreSQL on loopback; 0: a free one', asPort),
  HOST: setting('127.0.0.1', 'Address that the services listen on', asText),
  POOL_SIZE: setting(
    '10',
    'Connections of this process to each PostgreSQL, which its services share; as many requests run at once',
    asWhole(1, 1_000),
  ),
  POOL_MAX_LIFETIME_S: setting(
    '300',
    'How long a connection to PostgreSQL is kept at most, at least half of it, in seconds',
    asWhole(1, 86_400),
  ),
  QUERY_TIMEOUT_MS: setting(
    '30000',
    'How long one statement may take, in milliseconds',
    asWhole(100, 3_600_000),
  ),
  QUEUE_ORDER: setting(
    'fifo',
    'Whose turn it is in the request queue: fifo, or adaptive: newest first while it does not get shorter',
    asOneOf('fifo', 'adaptive'),
  ),
  MAX_REPLICA_LAG_S: setting(
    '30',
    'A replica further behind is left out while another is not, in seconds',
    asWhole(1, 86_400),
  ),
  TRUSTED_PROXIES: setting(
    '',
    'Addresses or networks of the proxies in front, with commas between: their `X-Forwarded-For` names the client whose failures are counted',
    asNetworks,
  ),
  CORS_ORIGINS: setting('', 'Origins whose pages may call the API, separated by commas', (text) =>
    text === '' ? [] : asOrigins(text),
  ),
  RATE_LIMIT_PER_MINUTE: setting('600', 'Requests a minute that one key may make', asWhole(1, 10_000_000)),
  JWKS_URL: optional(
    'Keys of an identity provider, whose tokens are taken as bearers',
    asUrl('https:', 'http:'),
    { secret: true },
  ),
  JWT_ISSUER: optional('The `iss` that such a token must have', asText),
  JWT_AUDIENCE: optional('The `aud` that such a token must have', asText),
  BACKUP_DIR: optional(
    'Folder of back-ups: where `backup` writes, and where `restore` and its drill look for the newest',
    asFolder,
  ),
  BACKUP_MAX_AGE_H: setting(
    '26',
    'Age of the newest back-up in BACKUP_DIR from which the monitor tells of it, in hours',
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
    'What back-ups are encrypted with, and read with again: 32 random bytes in base64 (`openssl rand -base64 32`)',
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
} as const satisfies SettingsTable;

/** Settings of every service that listens. */
const listening = (name: string, port: number) => ({
  port: setting(String(port), `Port of ${name}`, asPort),
});

/** Settings of every service that stands on a database. */
const onDatabase = (name: string) => ({
  heavySlots: setting(
    '0',
    `How many requests of ${name} may do what takes long at once; 0: half of POOL_SIZE, and no more than leaves one processor of this machine free`,
    asWhole(0, 1_000),
  ),
});

const groupOf = (service: AnyService): SettingsGroup => ({
  service: service.name,
  table: {
    ...(service.port !== undefined && listening(service.name, service.port)),
    ...(service.port !== undefined && service.migrations && onDatabase(service.name)),
    ...service.settings,
  },
});

/** The settings of the whole program, and of each service. */
export const settingGroups = (services: readonly AnyService[]): SettingsGroup[] => [
  { table: SETTINGS },
  ...services.map(groupOf),
];

/** Every setting as the documentation lists it: its name, its standard value, what it is. */
export const documentedSettings = (services: readonly AnyService[]) =>
  settingGroups(services).flatMap((group) =>
    Object.entries(group.table).map(([name, { standard = '', what }]) => {
      return { name: environmentName(group, name), standard, what };
    }),
  );

/** The settings of one service: its own, and those that every service has. */
type OwnSettings<Service> = Service extends { readonly settings?: infer Own extends SettingsTable }
  ? ValuesOf<Own> & { readonly port: number; readonly heavySlots: number }
  : never;

/** What the whole program shares, by its names in the environment, and what each service is set to, by the service's name. */
export type Config<Services extends readonly AnyService[]> = ValuesOf<typeof SETTINGS> & {
  readonly [Service in Services[number] as Service['name']]: OwnSettings<Service>;
};

const NEEDS: readonly SettingNeed[] = [
  {
    name: 'DATABASE_REPLICA_URL',
    oneOf: ['DATABASE_URL', 'DATABASE_URL_CALLS'],
    why: 'the embedded PostgreSQL has no replicas',
  },
  {
    name: 'JWKS_URL',
    all: ['JWT_ISSUER', 'JWT_AUDIENCE'],
    why: 'without them a token of any other program would pass',
  },
  { name: 'JWT_ISSUER', all: ['JWKS_URL'], why: 'without it no token is taken' },
  { name: 'JWT_AUDIENCE', all: ['JWKS_URL'], why: 'without it no token is taken' },
];

/** A pool holds all that runs at once, heavy or not. */
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

/** Lists every setting that is wrong, each with what would be right. */
export class ConfigError extends Error {
  override name = 'ConfigError';
}

/**
 * Reads the configuration. An empty variable counts as one that is not set.
 * @throws ConfigError naming all faults; values of settings that may hold a password are not repeated
 */
export function readConfig<const Services extends readonly AnyService[]>(
  environment: Readonly<Record<string, string | undefined>>,
  services: Services,
): Config<Services> {
  const names = services.map(({ name }) => name);
  const { values, faults: single } = readSettings(environment, settingGroups(services), names);
  const [shared, ...own] = values;
  const byService = Object.fromEntries(names.map((name, index) => [name, own[index]!]));
  const needs = [...NEEDS, ...services.flatMap(({ settingNeeds = [] }) => settingNeeds)];
  const faults = [
    ...single,
    ...missing(needs, environment),
    ...poolFaults(services, shared!.POOL_SIZE as number, byService),
  ];
  if (faults.length > 0) throw new ConfigError(`The environment is wrong:\n  ${faults.join('\n  ')}`);
  return { ...shared, ...byService } as unknown as Config<Services>;
}
