/** What the commands of this service work with. */
import type { CommandTools } from '#platform/service/commands.ts';
import type { MonitorSettings } from '../settings.ts';

export interface MonitorCommandParts {
  readonly settings: Pick<MonitorSettings, 'host' | 'port' | 'key'>;
  /** Holds the monitor's key. */
  readonly folder: string;
  /** Where the calls service of this installation listens. */
  readonly callsUrl: string;
}

export type MonitorTools = CommandTools<MonitorCommandParts>;
