/** The definition of the monitor. It has no database, so that it can report a database that is down. */
import { defineService } from '#platform/service/definition.ts';
import type { ServiceTools } from '#platform/service/tools.ts';
import type { MonitorTools } from './commands/tools.ts';
import { MONITOR_NEEDS, MONITOR_SETTINGS, type MonitorSettings } from './settings.ts';

export const monitor = defineService({
  name: 'monitor',
  purpose: 'watches the PostgreSQL tier and the services, and sends alerts',
  description: 'The state of every part, and the alerts that were sent.',
  port: 3011,
  settings: MONITOR_SETTINGS,
  settingNeeds: MONITOR_NEEDS,
  start: async (tools: ServiceTools<MonitorSettings>) => (await import('./start.ts')).startMonitor(tools),
  commands: {
    top: async (tools: MonitorTools) => (await import('./commands/top.ts')).topCommand(tools),
    status: async (tools: MonitorTools) => (await import('./commands/status.ts')).statusCommand(tools),
    alerts: async (tools: MonitorTools) => (await import('./commands/alerts.ts')).alertsCommand(tools),
  },
});
