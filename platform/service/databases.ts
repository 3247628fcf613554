/** The databases that a service works on: its own, and those of other services on which keys are looked up. */
import { addressOf } from '#platform/database/address.ts';
import { createServerMetrics } from '#platform/database/server_metrics.ts';
import {
  openServiceDatabase,
  type ServiceDatabase,
  type ServiceDatabaseOptions,
} from '#platform/database/service_database.ts';
import { createDatabases } from '#platform/database/shared_database.ts';
import { createActivityLog } from '#platform/resilience/activity.ts';
import type { Registry } from '#platform/telemetry/metrics.ts';
import type { AnyDatabaseService } from './definition.ts';
import type { DatabaseParts, DatabaseSettings, ServiceParts } from './tools.ts';

export interface OpenDatabases {
  /** The service's own; among its servers are those of the others, which are shown with it. */
  readonly own: ServiceDatabase;
  /** The one on which something of a service's is looked up. */
  of(service: string): ServiceDatabase;
  startMonitors(): void;
  stopMonitors(): Promise<void>;
  /** Takes no more work, lets what runs end within `graceMs`, then cuts it off. */
  finishWork(graceMs: number): Promise<void>;
  close(): Promise<void>;
}

export function openServiceDatabases(
  { name, migrations }: AnyDatabaseService,
  parts: ServiceParts<DatabaseSettings> & DatabaseParts,
  registry: Registry,
): OpenDatabases {
  const { settings, clock, random, logger, keysAt = {} } = parts;
  const applicationName = `trunkline-${name}`;
  const common: Omit<ServiceDatabaseOptions, 'primaryUrl' | 'replicaUrls' | 'heartbeatTable'> = {
    ...settings,
    ...{ applicationName, clock, random, logger },
    databases: parts.databases ?? createDatabases({ applicationName, logger }),
    metrics: createServerMetrics(registry),
    activity: createActivityLog(clock),
  };
  const byAddress = new Map<string, ServiceDatabase>();
  for (const [service, { url, replicaUrls }] of Object.entries(keysAt)) {
    const address = addressOf(url);
    if (address === addressOf(parts.databaseUrl) || byAddress.has(address)) continue;
    const place = { primaryUrl: url, replicaUrls, heartbeatTable: `${service}.heartbeat` };
    byAddress.set(address, openServiceDatabase({ ...common, ...place, keysOf: service }));
  }
  const own = openServiceDatabase({
    ...common,
    primaryUrl: parts.databaseUrl,
    replicaUrls: parts.replicaUrls,
    heartbeatTable: `${migrations.schema}.heartbeat`,
    alsoShown: [...byAddress.values()].flatMap(({ servers }) => servers),
  });
  const all = [own, ...byAddress.values()];
  const each = (work: (database: ServiceDatabase) => Promise<void>) =>
    Promise.all(all.map(work)).then(() => undefined);
  return {
    own,
    of: (service) => byAddress.get(addressOf(keysAt[service]?.url ?? parts.databaseUrl)) ?? own,
    startMonitors: () => {
      for (const database of all) database.startMonitors();
    },
    stopMonitors: () => each((database) => database.stopMonitors()),
    finishWork: (graceMs) => each((database) => database.finishWork(graceMs)),
    close: () => each((database) => database.close()),
  };
}
