/** Starts the calls service's parts. */
import { Type } from 'typebox';
import { createCursors } from '#platform/access/cursor.ts';
import { closePool, createPool } from '#platform/database/pool.ts';
import type { DatabaseTools, StartedService } from '#platform/service/tools.ts';
import { Gauge, type Registry } from '#platform/telemetry/metrics.ts';
import { accountRoutes } from './api/accounts/routes_accounts.ts';
import { consumptionRoutes } from './api/consumption/routes_consumption.ts';
import { importRoutes } from './api/imports/routes_imports.ts';
import { sourceRoutes } from './api/imports/routes_sources.ts';
import { cdrRoutes } from './api/lists/routes_cdrs.ts';
import { legRoutes } from './api/lists/routes_legs.ts';
import { createDocumentReader } from './api/posts/document_reader.ts';
import { ingestRoutes } from './api/posts/routes_ingest.ts';
import type { SourceStatus } from './follow/follow.ts';
import { exportSources, reportSources } from './follow/source_report.ts';
import type { Room } from './intake/room.ts';
import { repairLinkage } from './jobs/linkage_repairs.ts';
import { runMaintenance } from './jobs/maintenance.ts';
import { indexAllMonths } from './jobs/month_indexes.ts';
import { repairOutcomes } from './jobs/outcome_repairs.ts';
import type { CallsSettings } from './settings.ts';
import { watchSources } from './source_activity.ts';
import type { KeysetPosition } from './store/calls.ts';

/** The calls service's dependencies, beside those of every service. */
export interface CallsGiven {
  /** Free space on the primary's disks, where known. Imports of files wait for it. */
  readonly room?: Room | undefined;
}

/** The most batches that are stored at once, of all sources; and a connection for their reports. */
const FOLLOW_POOL_SIZE = 4;

/** Makes the service's parts. */
export async function startCalls(tools: DatabaseTools<CallsSettings> & CallsGiven): Promise<StartedService> {
  const { settings, clock, logger, registry, lifetime, database, recentWrites, room } = tools;
  const { pool } = database;

  const own = await follow(tools);
  const sources = reportSources({ pool, clock, own }, lifetime.stopping);
  // Its connection is closed with the others.
  lifetime.onStop('reports of sources', () => sources.done);
  exportSources(registry, sources);
  const active = watchSources({ pool, clock, registry, followed: sources }, lifetime.stopping);
  lifetime.onStop('activity of sources', () => active.done);
  exportRoom(registry, room);

  const cursors = createCursors<KeysetPosition>(tools.secret);
  const documents = createDocumentReader();
  lifetime.onStop('reader of documents', documents.close);
  const { defaultCurrency: currency, importTimeZone: timeZone } = settings;
  const newAccounts = { currency, timeZone, country: null };
  const { bodyLimitBytes, retentionMonths } = settings;
  return {
    routes: (api) => {
      cdrRoutes(api, { database, clock, cursors, recentWrites });
      legRoutes(api, { database, clock, recentWrites });
      accountRoutes(api, { database, clock, recentWrites });
      importRoutes(api, { database, clock });
      sourceRoutes(api, { database, clock });
      consumptionRoutes(api, { database, clock, recentWrites });
      ingestRoutes(api, { database, clock, registry, recentWrites, documents, bodyLimitBytes, newAccounts });
    },
    monitoring: {
      schema: {
        sources: Type.Array(Type.Any(), {
          description: 'Each followed file or folder, with its lag; see docs/API.md',
        }),
        switches: Type.Array(Type.Any(), { description: 'As in GET /sources' }),
      },
      current: () => ({ sources: sources.reports, switches: active.activities }),
    },
    onRefused: active.refused,
    background: [
      runMaintenance({ pool, clock, logger, retentionMonths }, lifetime.stopping),
      repairOutcomes({ pool, clock, logger }, lifetime.stopping),
      repairLinkage({ pool, clock, logger }, lifetime.stopping),
      indexAllMonths({ pool, clock, logger }, lifetime.stopping),
    ],
  };
}

/**
 * Follows the sources of the settings, on separate connections, so that readers of the API and files do not wait for each
 * other.
 * @returns the state of the sources
 */
async function follow({
  settings,
  databaseUrl,
  clock,
  logger,
  lifetime,
  room,
}: DatabaseTools<CallsSettings> & CallsGiven): Promise<() => readonly SourceStatus[]> {
  const { defaultCurrency: currency, sources } = settings;
  if (sources.length === 0) return () => [];
  const [{ followSources }, { prepareSources }] = await Promise.all([
    import('./follow/follow.ts'),
    import('./follow/prepare.ts'),
  ]);
  const pool = createPool({
    url: databaseUrl,
    applicationName: 'trunkline-follow',
    size: FOLLOW_POOL_SIZE,
    onIdleError: (error) => logger.warn({ err: error }, 'a connection of the followers broke while idle'),
  });
  lifetime.onStop('connections of the followers', () => closePool(pool, clock));
  const following = await prepareSources(pool, sources, { currency });
  const warn = (path: string, words: string) => logger.warn({ path, words }, 'a source that is followed');
  const followed = followSources({ pool, clock, room, warn }, following, lifetime.stopping);
  lifetime.onStop('followers', () => followed.done);
  return () => followed.statuses;
}

function exportRoom(registry: Registry, room: Room | undefined): void {
  if (!room) return;
  new Gauge({
    name: 'files_wait_for_room',
    help: '1 while followed files wait because the disk of the primary is nearly full',
    registers: [registry],
    collect() {
      this.set(Number(room.shortage !== ''));
    },
  });
}
