/** The monitor service: what it is made of, in the order in which it starts. Stopping goes in reverse. */
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createServer } from '#platform/http/server.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import type { Lifetime } from '#platform/lifecycle/lifetime.ts';
import type { Logger } from '#platform/telemetry/logger.ts';
import { createRegistry, Gauge, type Registry } from '#platform/telemetry/metrics.ts';
import { createKeyCheck, readOrMakeKey } from './auth.ts';
import type { Channel } from './channels/channel.ts';
import { emailChannels } from './channels/email.ts';
import { logChannel } from './channels/log.ts';
import { pagerDutyChannel } from './channels/pagerduty.ts';
import { slackChannel } from './channels/slack.ts';
import { webhookChannel } from './channels/webhook.ts';
import type { HaproxySource } from './haproxy_reader.ts';
import { createMonitor, type Monitor, type MonitorNeeds } from './monitor.ts';
import { monitorRoutes } from './routes.ts';
import type { Severity } from './rules.ts';
import type { ServiceSource } from './service_reader.ts';

export const CHANNELS = ['log', 'slack', 'pagerduty', 'webhook', 'email'] as const;
export type ChannelName = (typeof CHANNELS)[number];

export interface MonitorSettings {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  /** Holds the state file and the key. */
  readonly folder: string;
  /** undefined: the one kept in the folder. */
  readonly key: string | undefined;
  readonly haproxies: readonly HaproxySource[];
  readonly services: readonly ServiceSource[];
  readonly pollIntervalMs: number;
  readonly heartbeat: boolean;
  /** From which severity on each channel is used. */
  readonly routes: Readonly<Record<ChannelName, Severity>>;
  readonly slackWebhookUrl: string | undefined;
  readonly pagerDutyKey: string | undefined;
  readonly pagerDutyUrl: string;
  readonly webhookUrl: string | undefined;
  readonly webhookSecret: string | undefined;
  readonly smtpUrl: string | undefined;
  readonly emailFrom: string | undefined;
  readonly emailTo: readonly string[];
  readonly runbookUrl: string | undefined;
}

export interface MonitorServiceNeeds {
  readonly settings: MonitorSettings;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
}

/** The running service. */
export interface MonitorService {
  readonly url: string;
  readonly monitor: Monitor;
}

const BODY_LIMIT_BYTES = 100_000;

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

/**
 * @throws Error when a setting is wrong, the state file can't be read or the port is taken; what was started is in
 *   `lifetime` to be undone
 */
export async function startMonitor(needs: MonitorServiceNeeds, lifetime: Lifetime): Promise<MonitorService> {
  const { settings, clock, logger } = needs;
  const registry = createRegistry('monitor');
  const server = await createServer({
    title: 'Trunkline monitor',
    description: 'What is up, what is not, and who has been told.',
    version,
    logger,
    registry,
    corsOrigins: [],
    bodyLimitBytes: BODY_LIMIT_BYTES,
  });
  lifetime.onStop('monitor server', async () => {
    server.server.closeAllConnections();
    await server.close();
  });
  const monitor = await createMonitor(monitorNeeds(needs));
  const key = settings.key ?? (await readOrMakeKey(settings.folder));
  exportFigures(registry, monitor);
  await monitorRoutes(server, { monitor, isKey: createKeyCheck(key), clock, stopping: lifetime.stopping });
  await server.listen({ host: settings.host, port: settings.port });
  const running = monitor.run(lifetime.stopping);
  lifetime.onStop('monitor', () => running);

  const { port } = server.server.address() as AddressInfo;
  const host = settings.host.includes(':') ? `[${settings.host}]` : settings.host;
  return { url: `http://${host}:${port}`, monitor };
}

function monitorNeeds({ settings, clock, random, logger }: MonitorServiceNeeds): MonitorNeeds {
  const { haproxies, services, pollIntervalMs, heartbeat } = settings;
  return {
    ...{ haproxies, services, pollIntervalMs, heartbeat, clock, random, logger },
    channels: channelsOf(settings, clock, logger),
    stateFile: join(settings.folder, 'state.json'),
  };
}

/** The channels that the settings name; the log always. */
export function channelsOf(settings: MonitorSettings, clock: Clock, logger: Logger): Channel[] {
  const { routes, runbookUrl, slackWebhookUrl, pagerDutyKey, webhookUrl, webhookSecret, smtpUrl } = settings;
  const channels = [logChannel(logger, routes.log)];
  if (slackWebhookUrl !== undefined) {
    channels.push(slackChannel({ webhookUrl: slackWebhookUrl, from: routes.slack, runbookUrl }));
  }
  if (pagerDutyKey !== undefined) {
    const url = settings.pagerDutyUrl;
    const source = 'trunkline';
    channels.push(
      pagerDutyChannel({ url, routingKey: pagerDutyKey, from: routes.pagerduty, source, runbookUrl }),
    );
  }
  if (webhookUrl !== undefined) {
    if (webhookSecret === undefined) throw new Error('ALERT_WEBHOOK_URL needs ALERT_WEBHOOK_SECRET');
    channels.push(
      webhookChannel({ url: webhookUrl, secret: webhookSecret, from: routes.webhook, runbookUrl, clock }),
    );
  }
  if (settings.emailTo.length > 0) {
    const { emailFrom: sender, emailTo } = settings;
    if (smtpUrl === undefined || sender === undefined) {
      throw new Error('ALERT_EMAIL_TO needs SMTP_URL and ALERT_EMAIL_FROM');
    }
    channels.push(...emailChannels({ smtpUrl, sender, from: routes.email, runbookUrl }, emailTo));
  }
  return channels;
}

/** What Prometheus sees: the figures that rules ask for, and how deliveries go. */
function exportFigures(registry: Registry, monitor: Monitor): void {
  const registers = [registry];
  const wanted = new Map<string, string[]>([
    ['monitor_haproxy_page_up', ['instance']],
    ['monitor_service_ready', ['service']],
    ['monitor_channel_failures', ['channel']],
    ['monitor_state_saved', ['service']],
  ]);
  for (const [name, labelNames] of wanted) {
    new Gauge({
      name,
      help: `As the rules of the monitor use it: services/monitor/rules.ts`,
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const one of monitor.samples) if (one.name === name) this.set({ ...one.labels }, one.value);
      },
    });
  }
  new Gauge({
    name: 'monitor_alerts_active',
    help: 'Alerts that hold now, by severity',
    labelNames: ['severity'],
    registers,
    collect() {
      this.reset();
      for (const { state, severity } of Object.values(monitor.state.alerts.active)) {
        if (state === 'firing') this.inc({ severity });
      }
    },
  });
  new Gauge({
    name: 'monitor_deliveries',
    help: 'Attempts to deliver since the start, by how they ended',
    labelNames: ['channel', 'outcome'],
    registers,
    collect() {
      for (const [channel, counts] of monitor.deliveries.counts) {
        for (const [outcome, count] of Object.entries(counts)) this.set({ channel, outcome }, count);
      }
    },
  });
}
