/** The monitor's own settings, beside those of every service. */
import { asNamed, asOneOf, asPattern, asUrl, asWhole, Fault } from '#platform/config/readers.ts';
import { optional, type SettingNeed, setting, type ValuesOf } from '#platform/config/settings.ts';
import type { ListenSettings } from '#platform/service/tools.ts';
import type { BackupSource } from './backup_reader.ts';
import type { DiskSource } from './disk_reader.ts';
import type { KeepersNeeds } from './keepers.ts';
import type { ServerSource } from './server_watch.ts';

const DOORS = ['writes', 'reads'] as const;

/** Addresses of PostgreSQL, by door. */
function asDoors(text: string) {
  const right = 'such as writes=postgresql://…,reads=postgresql://…';
  const isPostgres = (url: string) => /^postgres(?:ql)?:\/\//.test(url) && URL.canParse(url);
  return asNamed(right, (url) => (isPostgres(url) ? { url } : undefined))(text).map(({ name, url }) => {
    const door = DOORS.find((known) => known === name);
    if (!door) throw new Fault(right);
    return { name: door, url };
  });
}

/** Consoles of PgBouncers, by the door whose clients they serve. */
function asBouncers(text: string) {
  const right =
    'such as writes:pgb1=postgresql://USER:PASSWORD@HOST:6432/pgbouncer, and so on with commas between';
  return (text === '' ? [] : text.split(',')).map((part) => {
    const [, given, name, url = ''] = /^\s*(\w+):([\w-]+)=(postgres(?:ql)?:\/\/\S+)\s*$/.exec(part) ?? [];
    const door = DOORS.find((known) => known === given);
    if (!door || name === undefined || !URL.canParse(url)) throw new Fault(right);
    return { name, door, url };
  });
}

/** Pages of node_exporters, each with the mountpoints of PostgreSQL's data and WAL. */
function asDisks(text: string) {
  const right =
    'such as node1=http://10.0.0.5:9100/metrics#/var/lib/postgresql, and a bar before the mountpoint of the WAL where it has its own';
  return asNamed(right, (address) => {
    const [url = '', fragment = ''] = address.split('#');
    const mountpoints = fragment.split('|');
    const all = isHttp(url) && mountpoints.every((mountpoint) => mountpoint.startsWith('/'));
    return all ? { url, mountpoints } : undefined;
  })(text);
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

/** The least severity of each channel; omitted channels keep their default. */
function asRoutes(text: string) {
  type Severity = (typeof SEVERITIES)[number];
  const routes = { log: 'info', slack: 'info', webhook: 'info', email: 'warning', pagerduty: 'critical' };
  for (const part of text.split(',')) {
    const [channel = '', severity] = part.trim().split(':');
    const known = Object.hasOwn(routes, channel) && SEVERITIES.some((one) => one === severity);
    if (!known) throw new Fault(`channels with their lowest severity, such as ${ROUTES_STANDARD}`);
    routes[channel as keyof typeof routes] = severity as Severity;
  }
  return routes as Record<keyof typeof routes, Severity>;
}

export const MONITOR_SETTINGS = {
  key: optional(
    "The bearer of the monitor's API; the default is a random key in DATA_DIR/monitor/key",
    asPattern(/^\S{20,200}$/, 'a text of 20 to 200 characters without blanks'),
    { secret: true },
  ),
  haproxies: setting(
    '',
    'HAProxy processes to watch, NAME=PAGE, or a socket, or both with a bar between; the default is those of the tier in DATA_DIR',
    asNamed('such as haproxy1=http://127.0.0.1:8404/stats|/run/haproxy1.sock', asHaproxy),
    { secret: true, env: 'MONITOR_HAPROXY' },
  ),
  services: setting(
    '',
    'Services to watch, NAME=URL with commas between; the default is those of this installation on HOST',
    asNamed('such as calls=http://127.0.0.1:3006', (url) => (isHttp(url) ? { url } : undefined)),
    { secret: true },
  ),
  doors: setting(
    '',
    'Doors of PostgreSQL that the monitor tests, NAME=URL with commas between; the default is those of the tier in DATA_DIR',
    asDoors,
    { secret: true },
  ),
  bouncers: setting(
    '',
    'PgBouncers whose pools the monitor reads, DOOR:NAME=URL of the console with commas between; the default is those of the tier in DATA_DIR',
    asBouncers,
    { secret: true },
  ),
  etcd: setting(
    '',
    'etcd members to watch, from which the lease of the primary is read too, NAME=URL with commas between; the default is that of the tier in DATA_DIR',
    asNamed('such as etcd1=http://10.0.0.6:2379', (url) => (isHttp(url) ? { url } : undefined)),
    { secret: true },
  ),
  databaseDisks: setting(
    '',
    'node_exporters of the nodes of PostgreSQL, NODE=URL#MOUNTPOINT with commas between; the default is the disks of this installation',
    asDisks,
    { secret: true, env: 'DATABASE_DISKS' },
  ),
  pollIntervalMs: setting(
    '10000',
    'Time between two polls of the monitor, in milliseconds',
    asWhole(200, 600_000),
    {
      env: 'MONITOR_POLL_MS',
    },
  ),
  heartbeat: setting(
    'off',
    'on: a message a day that the monitor runs',
    (text) => asOneOf('on', 'off')(text) === 'on',
  ),
  routes: setting(
    ROUTES_STANDARD,
    'The least severity that each channel sends: info, warning or critical',
    asRoutes,
    { env: 'ALERT_ROUTES' },
  ),
  slackWebhookUrl: optional('Incoming webhook of Slack', asUrl('https:', 'http:'), {
    secret: true,
    env: 'SLACK_WEBHOOK_URL',
  }),
  pagerDutyKey: optional(
    'Integration key of PagerDuty, Events API v2',
    asPattern(/^[0-9A-Za-z]{32}$/, 'a key of 32 letters and digits'),
    { secret: true, env: 'PAGERDUTY_ROUTING_KEY' },
  ),
  pagerDutyUrl: setting(
    'https://events.pagerduty.com/v2/enqueue',
    'Address for events of PagerDuty',
    asUrl('https:', 'http:'),
    { secret: true, env: 'PAGERDUTY_URL' },
  ),
  webhookUrl: optional('Address to which alerts are posted, signed', asUrl('https:', 'http:'), {
    secret: true,
    env: 'ALERT_WEBHOOK_URL',
  }),
  webhookSecret: optional(
    'Secret of the signature of posted alerts, as in Standard Webhooks',
    asPattern(/^whsec_[A-Za-z0-9+/]{32,88}={0,2}$/, 'whsec_ and the base64 of 24 to 64 random bytes'),
    { secret: true, env: 'ALERT_WEBHOOK_SECRET' },
  ),
  smtpUrl: optional('Mail server, with user and password in it', asUrl('smtp:', 'smtps:'), {
    secret: true,
    env: 'SMTP_URL',
  }),
  emailFrom: optional(
    'Sender of alerts by e-mail',
    asPattern(/^[^\s@]+@[^\s@]+$/, 'an address such as trunkline@example.com'),
    { env: 'ALERT_EMAIL_FROM' },
  ),
  emailTo: setting(
    '',
    'Recipients of alerts by e-mail, with commas between',
    (text) =>
      text === ''
        ? []
        : text.split(',').map(asPattern(/^\s*[^\s@]+@[^\s@]+\s*$/, 'addresses with commas between')),
    { env: 'ALERT_EMAIL_TO' },
  ),
  runbookUrl: optional('Address of docs/RUNBOOK.md, for links in alerts', asUrl('https:', 'http:'), {
    secret: true,
    env: 'RUNBOOK_URL',
  }),
} as const;

export const MONITOR_NEEDS: readonly SettingNeed[] = [
  { name: 'ALERT_WEBHOOK_URL', all: ['ALERT_WEBHOOK_SECRET'], why: 'posts are signed' },
  { name: 'ALERT_WEBHOOK_SECRET', all: ['ALERT_WEBHOOK_URL'], why: 'nothing is posted without it' },
  {
    name: 'ALERT_EMAIL_TO',
    all: ['SMTP_URL', 'ALERT_EMAIL_FROM'],
    why: 'nothing is sent without them',
  },
  { name: 'ALERT_EMAIL_FROM', all: ['ALERT_EMAIL_TO'], why: 'nothing is sent without it' },
];

/** The monitor's settings, with the values that `system.ts` finds for omitted ones. */
export interface MonitorSettings
  extends ListenSettings,
    Omit<ValuesOf<typeof MONITOR_SETTINGS>, 'databaseDisks' | 'etcd'> {
  /** The folder of the state file and the key. */
  readonly folder: string;
  /** The keepers of the tier (etcd, supervisor, lease), and Redis. */
  readonly keepers?: Pick<KeepersNeeds, 'sources' | 'readLease'> | undefined;
  readonly disks: readonly DiskSource[];
  /** A PostgreSQL alone on this machine; undefined: there is none. */
  readonly server?: ServerSource | undefined;
  /** The folder of back-ups; undefined: none is set. */
  readonly backup?: BackupSource | undefined;
}
