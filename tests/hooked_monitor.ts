/** A monitor that watches nothing but what a test names, and sends every notice to one webhook. */
import { WEBHOOK_SECRET } from '#engines/alert_receivers.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { createLogger } from '#platform/telemetry/logger.ts';
import { webhookChannel } from '#services/monitor/channels/webhook.ts';
import { createMonitor, type Monitor, type MonitorNeeds } from '#services/monitor/monitor.ts';

/** @param url the webhook's */
export const hookedMonitor = (
  url: string,
  needs: Pick<MonitorNeeds, 'stateFile' | 'pollIntervalMs'> & Partial<MonitorNeeds>,
): Promise<Monitor> =>
  createMonitor({
    ...{ haproxies: [], services: [], doors: [], bouncers: [], disks: [], heartbeat: false },
    askDoor: () => Promise.resolve(),
    channels: [
      webhookChannel({
        ...{ url, secret: WEBHOOK_SECRET, from: 'info', runbookUrl: undefined },
        clock: systemClock,
      }),
    ],
    ...{ clock: systemClock, random: Math.random, logger: createLogger('monitor', 'silent') },
    ...needs,
  });
