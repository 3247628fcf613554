/**
 * The database of one service, whole: its primary and its replicas, each behind a guard, watched and measured.
 *
 * Replica lag is measured by a heartbeat: while there are replicas, the primary's health check writes the primary's time
 * into a row, and each replica's check reads the row. A replica has everything up to the beat that was last seen there,
 * so its lag is the age of that beat: at most so far behind, whatever keeps it. A replica that keeps up shows up to a
 * check's interval, twice. Of its own beats this process knows when they were, by its monotonic clock; those of another
 * process are told by the primary's clock, and each beat tells how far that is from this process's.
 */
import type { ClientBase } from 'pg';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { type ActivityLog, createActivityLog } from '#platform/resilience/activity.ts';
import { isDiskFull } from '#platform/resilience/failure_rule.ts';
import { createHeavyWork, type HeavyWork, standardHeavySlots } from '#platform/resilience/heavy_work.ts';
import type { QueueOrder } from '#platform/resilience/request_queue.ts';
import { errorText } from '#platform/telemetry/error_text.ts';
import type { Logger } from '#platform/telemetry/logger.ts';
import type { Registry } from '#platform/telemetry/metrics.ts';
import { createDatabase, type Database } from './database.ts';
import { createGuardedServer, type GuardedServer } from './guarded_server.ts';
import { waitForPostgres } from './pool.ts';
import { createServerMetrics } from './server_metrics.ts';
import type { WatchedServer } from './watched_server.ts';

/** More than a replica that is not far too late can be behind. */
const BEATS_KEPT = 1_000;
const UNDEFINED_TABLE = '42P01';

/** How many connections a service has, and for how long each of them works. */
export interface ConnectionSettings {
  /** Connections to each server; as many requests run at once. */
  readonly poolSize: number;
  /** Of these requests, so many heavy ones; 0: as many as leave room for light ones on this machine. */
  readonly heavySlots: number;
  readonly queueOrder: QueueOrder;
  readonly queryTimeoutMs: number;
  /** No connection is kept for longer, in milliseconds; it is renewed between two requests. */
  readonly connectionLifetimeMs: number;
  /** A replica further behind is left out while another is not. */
  readonly maxReplicaLagS: number;
}

export interface ServiceDatabaseOptions extends ConnectionSettings {
  /** Seen in pg_stat_activity. */
  readonly applicationName: string;
  readonly primaryUrl: string;
  readonly replicaUrls: readonly string[];
  /** A table of one row (`id boolean PRIMARY KEY`, `at timestamptz`) that the heartbeat is kept in. */
  readonly heartbeatTable: string;
  readonly clock: Clock;
  /** From 0 up to, not including, 1; Math.random in production. */
  readonly random: () => number;
  readonly logger: Logger;
  readonly registry: Registry;
}

export interface ServiceDatabase extends Database {
  readonly primary: GuardedServer;
  /** The primary first. */
  readonly servers: readonly WatchedServer[];
  readonly activity: ActivityLog;
  /** For work of the program's own that is as heavy as a heavy read. */
  readonly heavyWork: HeavyWork;
  /** No more work is taken. */
  readonly stopping: boolean;
  /** Waits for the primary; replicas may come later. */
  waitUntilUp(signal: AbortSignal): Promise<void>;
  startMonitors(): void;
  stopMonitors(): Promise<void>;
  /** Takes no more work, lets what runs end within `graceMs`, then cuts it off. */
  finishWork(graceMs: number): Promise<void>;
  /** Closes all connections. */
  close(): Promise<void>;
}

export function openServiceDatabase(options: ServiceDatabaseOptions): ServiceDatabase {
  const { clock, logger } = options;
  const activity = createActivityLog(clock);
  const metrics = createServerMetrics(options.registry);
  let stopping = false;
  const withReplicas = options.replicaUrls.length > 0;

  const open = (name: string, url: string, healthCheck?: (client: ClientBase) => Promise<void>) =>
    createGuardedServer({
      ...options,
      name,
      url,
      activity,
      ...(healthCheck && { healthCheck }),
      onQueueEvent: (event) => metrics.count(name, event),
      onTransition: ({ from, to, reason, by, cause }) =>
        logger.warn(
          { server: name, from, to, reason, by, cause: cause === undefined ? '' : errorText(cause) },
          'circuit breaker',
        ),
      onHealth: (change) =>
        change.healthy
          ? logger.info({ server: name, down_ms: Math.round(change.downMs) }, 'database recovered')
          : logger.error({ server: name, err: change.error }, 'database down'),
      onIdleError: (error) => logger.warn({ server: name, reason: errorText(error) }, 'idle connection lost'),
    });

  /** How far the primary's wall clock is ahead of this process's monotonic one. */
  let aheadMs = 0;
  /** This process's beats, by what they wrote: when each was begun, monotonic. */
  const beats = new Map<string, number>();
  const beat = async (client: ClientBase) => {
    const begunAt = clock.monotonic();
    const beaten = `INSERT INTO ${options.heartbeatTable} VALUES (true, clock_timestamp())
       ON CONFLICT (id) DO UPDATE SET at = excluded.at RETURNING at`;
    const { rows } = await client.query<{ at: string }>(beaten).catch((error) => {
      // It answers, and reads what it is asked.
      if (isDiskFull(error)) return { rows: [] };
      throw error;
    });
    if (!rows[0]) return;
    const { at } = rows[0];
    aheadMs = Date.parse(at) - clock.monotonic();
    beats.set(at, begunAt);
    if (beats.size > BEATS_KEPT) beats.delete(beats.keys().next().value!);
  };
  const primary = open('primary', options.primaryUrl, withReplicas ? beat : undefined);
  const replicas = options.replicaUrls.map((url, index) => openReplica(url, index));

  function openReplica(url: string, index: number): WatchedServer {
    /** When the beat was begun that was last seen there, monotonic. */
    let beatAt: number | undefined;
    const server = open(`replica ${index + 1}`, url, async (client) => {
      try {
        const { rows } = await client.query<{ at: string }>(`SELECT at FROM ${options.heartbeatTable}`);
        const at = rows[0]?.at;
        beatAt = at === undefined ? undefined : (beats.get(at) ?? Date.parse(at) - aheadMs);
      } catch (error) {
        // A replica that has not replayed the first migration yet is behind, not down.
        if ((error as { code?: string }).code !== UNDEFINED_TABLE) throw error;
      }
    });
    return {
      role: 'replica',
      server,
      get lagS() {
        if (beatAt === undefined) return null;
        return Math.max(0, Math.round(clock.monotonic() - beatAt)) / 1000;
      },
    };
  }

  const servers: WatchedServer[] = [{ role: 'primary', server: primary, lagS: null }, ...replicas];
  metrics.watch(servers);
  const heavyWork = createHeavyWork({
    slots: options.heavySlots || standardHeavySlots(options.poolSize),
    clock,
    isBlocked: () => servers.every(({ server }) => server.guard.breaker.blocked),
    onEvent: (event) => metrics.count('heavy work', event),
  });
  const all = (work: (server: GuardedServer) => Promise<void>) =>
    Promise.all(servers.map(({ server }) => work(server))).then(() => undefined);

  return {
    ...createDatabase({
      ...options,
      primary,
      replicas,
      heavyWork,
      onRetry: (server, error) => {
        metrics.countRetry(server);
        logger.warn({ server, reason: errorText(error) }, 'connection lost; the read is done once more');
      },
      onReadAfter: metrics.countReadAfter,
      onReadAfterQueue: (event) => metrics.count('primary, after writes', event),
    }),
    primary,
    servers,
    activity,
    heavyWork,
    waitUntilUp: (signal) =>
      waitForPostgres(
        primary.pool,
        clock,
        (attempt, error) =>
          logger.warn({ attempt, reason: errorText(error) }, 'PostgreSQL does not answer yet'),
        signal,
      ),
    startMonitors: () => {
      for (const { server } of servers) server.monitor.start();
    },
    stopMonitors: () => all((server) => server.monitor.stop()),
    get stopping() {
      return stopping;
    },
    finishWork: (graceMs) => {
      stopping = true;
      const idle = heavyWork.close();
      return all((server) => server.guard.close(graceMs)).then(() => idle);
    },
    close: () => all((server) => server.close()),
  };
}
