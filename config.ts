/**
 * The environment, declared once. Each setting has a reader that gives its value or says what would be right; all
 * faults are reported at once, at the start. docs/CONFIGURATION.md is written from this table (tests/tidy.test.ts
 * holds them together).
 */
import { isAbsolute, resolve } from 'node:path';

/** A text that can't be read as the setting's value; the message says what would be right. */
class Fault extends Error {}

interface Setting<T> {
  readonly what: string;
  /** As it would stand in the environment; undefined: the setting may be left out and has no value then. */
  readonly standard: string | undefined;
  readonly read: (text: string) => T;
}

function setting<T>(standard: string, what: string, read: (text: string) => T): Setting<T> {
  return { standard, what, read };
}

function optional<T>(what: string, read: (text: string) => T): Setting<T | undefined> {
  return { standard: undefined, what, read };
}

const asText = (text: string) => text;

const asFolder = (text: string) => (isAbsolute(text) ? text : resolve(text));

function asWhole(min: number, max: number) {
  return (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max)
      throw new Fault(`a whole number from ${min} to ${max}`);
    return value;
  };
}

const asPort = asWhole(0, 65_535);

function asUrl(...protocols: string[]) {
  return (text: string): string => {
    if (!URL.canParse(text) || !protocols.includes(new URL(text).protocol)) {
      throw new Fault(`a URL that begins with ${protocols.map((p) => `${p}//`).join(' or ')}`);
    }
    return text;
  };
}

const asPostgresUrl = asUrl('postgres:', 'postgresql:');

function asOneOf<const T extends string>(...words: T[]) {
  return (text: string): T => {
    const word = words.find((w) => w === text);
    if (word === undefined) throw new Fault(`one of: ${words.join(', ')}`);
    return word;
  };
}

function asOrigins(text: string): string[] {
  const origins = text.split(',').map((part) => part.trim());
  for (const origin of origins) {
    if (!URL.canParse(origin) || new URL(origin).origin !== origin) {
      throw new Fault('origins such as https://console.example.com, separated by commas');
    }
  }
  return origins;
}

function asTimeZone(text: string): string {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: text }).resolvedOptions().timeZone && text;
  } catch {
    throw new Fault('a time zone of the IANA database, such as Europe/Berlin');
  }
}

function asPattern(pattern: RegExp, right: string) {
  return (text: string): string => {
    if (!pattern.test(text)) throw new Fault(right);
    return text;
  };
}

/** `name=address` with commas between; the addresses are read by `read`. */
function asNamed<T>(right: string, read: (address: string) => T | undefined) {
  return (text: string): (T & { readonly name: string })[] =>
    (text === '' ? [] : text.split(',')).map((part) => {
      const [, name, address] = /^\s*([\w-]+)=(\S+)\s*$/.exec(part) ?? [];
      const found = address === undefined ? undefined : read(address);
      if (name === undefined || found === undefined) throw new Fault(right);
      return { name, ...found };
    });
}

const isHttp = (text: string) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);

/** A statistics page, a UNIX socket, or both with | between. */
function asHaproxy(address: string): { pageUrl: string | undefined; socket: string | undefined } | undefined {
  const ways = address.split('|');
  const [pageUrl, socket] = [ways.find(isHttp), ways.find((way) => way.startsWith('/'))];
  const all = ways.every((way) => way === pageUrl || way === socket);
  return all ? { pageUrl: pageUrl?.replace(/\/$/, ''), socket } : undefined;
}

const SEVERITIES = ['info', 'warning', 'critical'] as const;
const ROUTES_STANDARD = 'log:info,slack:info,webhook:info,email:warning,pagerduty:critical';

/** From which severity on each channel is used; those that are left out keep their standard. */
function asRoutes(text: string) {
  type Severity = (typeof SEVERITIES)[number];
  const routes = { log: 'info', slack: 'info', webhook: 'info', email: 'warning', pagerduty: 'critical' };
  for (const part of text.split(',')) {
    const [channel = '', severity] = part.trim().split(':');
    const known = channel in routes && SEVERITIES.some((one) => one === severity);
    if (!known) throw new Fault(`channels with their lowest severity, such as ${ROUTES_STANDARD}`);
    routes[channel as keyof typeof routes] = severity as Severity;
  }
  return routes as Record<keyof typeof routes, Severity>;
}

/** Every setting, in the order in which the documentation lists them. */
export const SETTINGS = {
  DATA_DIR: setting(
    'data',
    'Folder of the embedded engines; commands find a running program by it',
    asFolder,
  ),
  DATABASE_URL: optional('PostgreSQL to use instead of the embedded one', asPostgresUrl),
  DATABASE_URL_CALLS: optional('PostgreSQL of the calls service alone', asPostgresUrl),
  DATABASE_REPLICA_URL: setting(
    '',
    'Read replicas, separated by commas; all reads go to them where there are any',
    (text) => (text === '' ? [] : text.split(',').map((url) => asPostgresUrl(url.trim()))),
  ),
  EMBEDDED_POSTGRES_PORT: setting('0', 'Port of the embedded PostgreSQL on loopback; 0: a free one', asPort),
  HOST: setting('127.0.0.1', 'Address that the services listen on', asText),
  CALLS_PORT: setting('3006', 'Port of the calls service', asPort),
  CALLS_POOL_SIZE: setting('10', 'Connections to PostgreSQL of the calls service', asWhole(1, 1_000)),
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
  BREAKER_EARLY_PROBE: setting(
    'off',
    'on: an open circuit breaker tries a database as soon as it answers its health check again; off: after 60 s',
    (text) => asOneOf('on', 'off')(text) === 'on',
  ),
  MAX_REPLICA_LAG_S: setting(
    '30',
    'A replica further behind is left out while another is not, in seconds',
    asWhole(1, 86_400),
  ),
  CORS_ORIGINS: setting('', 'Origins whose pages may call the API, separated by commas', (text) =>
    text === '' ? [] : asOrigins(text),
  ),
  RATE_LIMIT_PER_MINUTE: setting('600', 'Requests a minute that one key may make', asWhole(1, 10_000_000)),
  BODY_LIMIT_MB: setting('32', 'Largest body of a request, in megabytes', asWhole(1, 1_024)),
  JWKS_URL: optional(
    'Keys of an identity provider, whose tokens are taken as bearers',
    asUrl('https:', 'http:'),
  ),
  JWT_ISSUER: optional('The `iss` that such a token must have', asText),
  JWT_AUDIENCE: optional('The `aud` that such a token must have', asText),
  CDR_RETENTION_MONTHS: setting(
    '0',
    'Whole months of calls to keep beside the current one; 0: all',
    asWhole(0, 1_200),
  ),
  IMPORT_TIME_ZONE: setting(
    'UTC',
    'What stamps without a zone mean, where --time-zone does not say',
    asTimeZone,
  ),
  DEFAULT_CURRENCY: setting(
    'EUR',
    'Currency of accounts that an import makes',
    asPattern(/^[A-Z]{3}$/, 'a code of ISO 4217, such as EUR'),
  ),
  SHUTDOWN_GRACE_MS: setting(
    '500',
    'How long running requests may take to end at a stop, in milliseconds',
    asWhole(0, 600_000),
  ),
  MONITOR_PORT: setting('3011', 'Port of the monitor', asPort),
  MONITOR_KEY: optional(
    "The bearer of the monitor's API; without it one is made and kept in DATA_DIR/monitor/key",
    asPattern(/^\S{20,200}$/, 'a text of 20 to 200 characters without blanks'),
  ),
  MONITOR_HAPROXY: setting(
    '',
    'HAProxy processes to watch, NAME=PAGE, or a socket, or both with a bar between; without it those of the tier in DATA_DIR',
    asNamed('such as haproxy1=http://127.0.0.1:8404/stats|/run/haproxy1.sock', asHaproxy),
  ),
  MONITOR_SERVICES: setting(
    '',
    'Services to watch, NAME=URL with commas between; without it those of this installation on HOST',
    asNamed('such as calls=http://127.0.0.1:3006', (url) => (isHttp(url) ? { url } : undefined)),
  ),
  MONITOR_POLL_MS: setting('10000', 'How often the monitor looks, in milliseconds', asWhole(200, 600_000)),
  MONITOR_HEARTBEAT: setting(
    'off',
    'on: a message a day that all is watched',
    (text) => asOneOf('on', 'off')(text) === 'on',
  ),
  ALERT_ROUTES: setting(
    ROUTES_STANDARD,
    'From which severity on each channel is used: info, warning or critical',
    asRoutes,
  ),
  SLACK_WEBHOOK_URL: optional('Incoming webhook of Slack', asUrl('https:', 'http:')),
  PAGERDUTY_ROUTING_KEY: optional(
    'Integration key of PagerDuty, Events API v2',
    asPattern(/^[0-9A-Za-z]{32}$/, 'a key of 32 letters and digits'),
  ),
  PAGERDUTY_URL: setting(
    'https://events.pagerduty.com/v2/enqueue',
    'Where PagerDuty takes events',
    asUrl('https:', 'http:'),
  ),
  ALERT_WEBHOOK_URL: optional('Where alerts are posted, signed', asUrl('https:', 'http:')),
  ALERT_WEBHOOK_SECRET: optional(
    'What they are signed with, as Standard Webhooks has it',
    asPattern(/^whsec_[A-Za-z0-9+/]{32,88}={0,2}$/, 'whsec_ and the base64 of 24 to 64 random bytes'),
  ),
  SMTP_URL: optional('Mail server, with user and password in it', asUrl('smtp:', 'smtps:')),
  ALERT_EMAIL_FROM: optional(
    'Sender of alerts by e-mail',
    asPattern(/^[^\s@]+@[^\s@]+$/, 'an address such as trunkline@example.com'),
  ),
  ALERT_EMAIL_TO: setting('', 'Who gets alerts by e-mail, with commas between', (text) =>
    text === ''
      ? []
      : text.split(',').map(asPattern(/^\s*[^\s@]+@[^\s@]+\s*$/, 'addresses with commas between')),
  ),
  RUNBOOK_URL: optional('Address of docs/RUNBOOK.md, for links in alerts', asUrl('https:', 'http:')),
  LOG_LEVEL: setting(
    'info',
    'fatal, error, warn, info, debug or silent',
    asOneOf('fatal', 'error', 'warn', 'info', 'debug', 'silent'),
  ),
} as const satisfies Record<string, Setting<unknown>>;

export type Config = {
  readonly [Name in keyof typeof SETTINGS]: (typeof SETTINGS)[Name] extends Setting<infer T> ? T : never;
};

/** Lists every setting that is wrong, each with what would be right. */
export class ConfigError extends Error {
  override name = 'ConfigError';
}

/**
 * Reads the configuration. An empty variable counts as one that is not set.
 * @throws ConfigError naming all faults; values of settings that may hold a password are not repeated
 */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const faults: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, declared] of Object.entries(SETTINGS) as [string, Setting<unknown>][]) {
    const given = environment[name] || declared.standard;
    if (given === undefined) continue;
    try {
      values[name] = declared.read(given);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      const shown = /URL|KEY|SECRET|MONITOR_(?:HAPROXY|SERVICES)/.test(name)
        ? 'what it is set to'
        : `"${given}"`;
      faults.push(`${name}: ${shown} is not ${error.message}`);
    }
  }
  if (faults.length > 0) throw new ConfigError(`The environment is wrong:\n  ${faults.join('\n  ')}`);
  return values as unknown as Config;
}
