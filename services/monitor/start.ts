/** Starts the monitor from its parts. */
import { join } from 'node:path';
import { Words } from '#platform/http/answers.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import type { Health } from '#platform/service/health.ts';
import type { ServiceTools, StartedPlainService } from '#platform/service/tools.ts';
import type { Logger } from '#platform/telemetry/logger.ts';
import { Gauge, type Registry } from '#platform/telemetry/metrics.ts';
import { createKeyCheck, readOrMakeKey } from './auth.ts';
import type { Channel } from './channels/channel.ts';
import { emailChannels } from './channels/email.ts';
import { logChannel } from './channels/log.ts';
import { pagerDutyChannel } from './channels/pagerduty.ts';
import { slackChannel } from './channels/slack.ts';
import { webhookChannel } from './channels/webhook.ts';
import { askThroughDoor } from './door_question.ts';
import { monitorError } from './errors.ts';
import { createMonitor, type Monitor, type MonitorNeeds } from './monitor.ts';
import { monitorRoutes } from './routes.ts';
import type { MonitorSettings } from './settings.ts';

export const CHANNELS = ['log', 'slack', 'pagerduty', 'webhook', 'email'] as const;
export type ChannelName = (typeof CHANNELS)[number];

/** @throws Error when a setting is wrong, or the state file can't be read */
export async function startMonitor(tools: ServiceTools<MonitorSettings>): Promise<StartedPlainService> {
  const { settings, clock, registry, lifetime } = tools;
  const monitor = await createMonitor(monitorNeeds(tools));
  const key = settings.key ?? (await readOrMakeKey(settings.folder));
  exportFigures(registry, monitor);
  return {
    health: healthOf(monitor),
    addRoutes: (server) =>
      monitorRoutes(server, { monitor, isKey: createKeyCheck(key), clock, stopping: lifetime.stopping }),
    run: (stopping) => monitor.run(stopping),
  };
}

const healthOf = (monitor: Monitor): Health => ({
  summary: 'The monitor in words',
  schema: Words,
  requireReady: () => {
    if (monitor.topology.at === null) throw monitorError('unavailable', { message: 'No poll has ended yet' });
  },
  report: () => {
    const firing = Object.values(monitor.state.alerts.active).filter(({ state }) => state === 'firing');
    const waiting = monitor.state.deliveries.length;
    return { status: `${firing.length} alerts active, ${waiting} waiting to be sent` };
  },
});

function monitorNeeds({ settings, clock, random, logger }: ServiceTools<MonitorSettings>): MonitorNeeds {
  const { haproxies, services, doors, bouncers, keepers, disks, server, backup, pollIntervalMs, heartbeat } =
    settings;
  return {
    ...{
      haproxies,
      services,
      doors,
      bouncers,
      keepers,
      disks,
      server,
      backup,
      pollIntervalMs,
      heartbeat,
      clock,
      random,
      logger,
    },
    askDoor: askThroughDoor,
    channels: channelsOf(settings, clock, logger),
    stateFile: join(settings.folder, 'state.json'),
  };
}

/** The channels in the settings, and always the log. */
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

/** The figures for Prometheus: those of the rules, and those of deliveries. */
function exportFigures(registry: Registry, monitor: Monitor): void {
  const registers = [registry];
  const wanted = new Map<string, string[]>([
    ['monitor_haproxy_page_up', ['instance']],
    ['monitor_service_ready', ['service']],
    ['monitor_door_silent_seconds', ['door']],
    ['monitor_bouncer_clients_waiting', ['door', 'server']],
    ['monitor_bouncer_max_wait_seconds', ['door', 'server']],
    ['monitor_bouncer_connections_in_use', ['door', 'server']],
    ['monitor_bouncer_pool_size', ['door', 'server']],
    ['monitor_keeper_silent_seconds', ['keeper', 'kind']],
    ['monitor_lease_age_seconds', ['lease']],
    ['monitor_channel_failures', ['channel']],
    ['monitor_state_saved', ['service']],
    ['monitor_backup_known', ['folder']],
    ['monitor_backup_age_seconds', ['folder']],
    ['monitor_backup_age_limit_seconds', ['folder']],
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
