/** Two services with messages, each on a database of its own or both on one, for tests. */
import { Type } from 'typebox';
import { systemClock } from '#platform/lifecycle/clock.ts';
import type { Incoming } from '#platform/messaging/consumer.ts';
import { handling, hearing, hears, subscription, takesWork } from '#platform/messaging/consumption.ts';
import { broadcast, event, work } from '#platform/messaging/topic.ts';
import { defineService } from '#platform/service/definition.ts';
import type {
  DatabaseParts,
  DatabaseSettings,
  DatabaseTools,
  ServiceParts,
} from '#platform/service/tools.ts';
import { createLogger } from '#platform/telemetry/logger.ts';
import { rightsOfClaims } from '#services/identity/contract.ts';
import { findAnyKey } from '#system';
import { API_SETTINGS } from './calls_api.ts';

const body = Type.Object({ n: Type.Integer() });
const about = { version: 1, purpose: 'a number', body };
export const counted = event({ name: 'number.counted', ...about });
export const toPrint = work({ name: 'number.print', ...about });
export const changed = broadcast({ name: 'number.changed', ...about });
export const undeclared = event({ name: 'number.lost', ...about });

const listener = subscription('listener.numbers', [counted], { since: 'kept' });
const printer = takesWork(toPrint);
const watcher = hears(changed);

/** Any schema with the tables that every service has. */
const migrations = { schema: 'identity', folder: '' };

/** @param onStart gets what the service is given to work with */
export const publisherService = (onStart: (tools: DatabaseTools<DatabaseSettings>) => void) =>
  defineService({
    ...{ name: 'publisher', purpose: 'counts', description: 'Counts.', port: 0, migrations },
    publishes: [counted, toPrint, changed],
    start: async (tools) => {
      onStart(tools);
      return {};
    },
  });

interface Heard {
  onMessage(message: Incoming<{ n: number }>, tools: DatabaseTools<DatabaseSettings>): Promise<void>;
  onBroadcast?(n: number): void;
}

export const listenerService = ({ onMessage, onBroadcast = () => undefined }: Heard) =>
  defineService({
    ...{ name: 'listener', purpose: 'hears', description: 'Hears.', port: 0, migrations },
    consumes: [listener, printer, watcher],
    start: async (tools) => {
      const handle = async (message: Incoming<{ n: number }>) => {
        await onMessage(message, tools);
        return 'done' as const;
      };
      return {
        handlers: [
          handling(listener, handle),
          handling(printer, handle),
          hearing(watcher, ({ n }) => onBroadcast(n)),
        ],
      };
    },
  });

/** What the program gives a service. @param publisherUrl the database of the one that publishes */
export const messageParts = (
  databaseUrl: string,
  publisherUrl: string,
  brokerUrl?: string,
): ServiceParts<DatabaseSettings> & DatabaseParts => ({
  settings: API_SETTINGS,
  ...{ databaseUrl, replicaUrls: [], findKey: findAnyKey, rightsOf: rightsOfClaims },
  messages: { brokerUrl, urlOf: () => publisherUrl },
  ...{ clock: systemClock, random: Math.random, logger: createLogger('test', 'silent') },
});
