/**
 * The database of one service, whole: its primary and its replicas, each behind a guard, watched and measured. The servers are
 * lent to it (shared_database.ts); a small pool is its own, for what is no request.
 */
import type { Clock } from '#platform/lifecycle/clock.ts';
import type { ActivityLog } from '#platform/resilience/activity.ts';
import { createHeavyWork, type HeavyWork, standardHeavySlots } from '#platform/resilience/heavy_work.ts';
import type { QueueOrder } from '#platform/resilience/request_queue.ts';
import { errorText } from '#platform/telemetry/error_text.ts';
import type { Logger } from '#platform/telemetry/logger.ts';
import { createDatabase, type Database } from './database.ts';
import { createGuardedServer, type GuardedServer } from './guarded_server.ts';
import { closePool, createPool, type Pool, waitForPostgres } from './pool.ts';
import type { ServerMetrics } from './server_metrics.ts';
import type { Databases } from './shared_database.ts';
import { CLIENT_TIMEOUT_SLACK_MS, type SharedServer, type SharedServerSettings } from './shared_server.ts';
import { transitionFields } from './transition_text.ts';
import type { WatchedServer } from './watched_server.ts';

/** Connections of a service's own for its jobs and start, which are no requests; opened when they are needed. */
export const JOB_CONNECTIONS = 4;

export interface ConnectionSettings extends SharedServerSettings {
  /** Of the requests at work, so many heavy ones; 0: as many as leave room for light ones on this machine. */
  readonly heavySlots: number;
  readonly queueOrder: QueueOrder;
  /** A replica further behind is left out while another is not. */
  readonly maxReplicaLagS: number;
}

export interface ServiceDatabaseOptions extends ConnectionSettings {
  /** The service's, as its own connections are called in pg_stat_activity. */
  readonly applicationName: string;
  readonly databases: Databases;
  readonly primaryUrl: string;
  readonly replicaUrls: readonly string[];
  /** A table of one row (`id boolean PRIMARY KEY`, `at timestamptz`) that the heartbeat is kept in. */
  readonly heartbeatTable: string;
  readonly clock: Clock;
  /** From 0 up to, not including, 1; Math.random in production. */
  readonly random: () => number;
  readonly logger: Logger;
  readonly metrics: ServerMetrics;
  readonly activity: ActivityLog;
  /** Keys are looked up on it, and no more: the service whose it is. */
  readonly keysOf?: string;
  /** Servers of other databases that are shown beside its own. */
  readonly alsoShown?: readonly WatchedServer[];
}

export interface ServiceDatabase extends Database {
  /** On the primary, for what is no request. */
  readonly pool: Pool;
  /** On the primary, for messages alone; all services of the process on this server share it. */
  readonly messagePool: Pool;
  readonly primary: GuardedServer;
  /** The primary first; those where keys are looked up last. */
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
  /** Closes its connections, and gives the servers back: whoever does so last closes those. */
  close(): Promise<void>;
}

export function openServiceDatabase(options: ServiceDatabaseOptions): ServiceDatabase {
  const { activity, clock, keysOf, logger, metrics } = options;
  const called = (name: string) => (keysOf === undefined ? name : `${keysOf} ${name}`);
  let stopping = false;
  const lent = options.databases.lend(options);

  const guard = (server: SharedServer) => {
    const name = called(server.name);
    return createGuardedServer({
      ...options,
      name,
      server,
      activity,
      onQueueEvent: (event) => metrics.count(name, event),
      onTransition: (transition) =>
        logger.warn({ server: name, ...transitionFields(transition) }, "the service's own circuit breaker"),
    });
  };
  const primary = guard(lent.primary);
  const replicas = lent.replicas.map((replica): WatchedServer => {
    const server = guard(replica.server);
    return {
      role: keysOf === undefined ? 'replica' : 'keys',
      server,
      get lagS() {
        return replica.lagS;
      },
    };
  });
  const pool = createPool({
    url: options.primaryUrl,
    applicationName: `${options.applicationName}-jobs`,
    size: JOB_CONNECTIONS,
    statementTimeoutMs: options.queryTimeoutMs,
    queryTimeoutMs: options.queryTimeoutMs + CLIENT_TIMEOUT_SLACK_MS,
    lifetime: { maxMs: options.connectionLifetimeMs, clock, random: options.random },
    onIdleError: (error) => logger.warn({ reason: errorText(error) }, 'idle connection of a job lost'),
  });

  const role = keysOf === undefined ? 'primary' : 'keys';
  const servers: WatchedServer[] = [{ role, server: primary, lagS: null }, ...replicas];
  metrics.watch(servers);
  const heavyWork = createHeavyWork({
    slots: options.heavySlots || standardHeavySlots(options.poolSize),
    clock,
    isBlocked: () => servers.every(({ server }) => server.breaker.blocked),
    onEvent: (event) => metrics.count(called('heavy work'), event),
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
      onReadAfterQueue: (event) => metrics.count(called('primary, after writes'), event),
    }),
    pool,
    messagePool: lent.messagePool,
    primary,
    servers: [...servers, ...(options.alsoShown ?? [])],
    activity,
    heavyWork,
    waitUntilUp: (signal) =>
      waitForPostgres(
        pool,
        clock,
        (attempt, error) =>
          logger.warn({ attempt, reason: errorText(error) }, 'PostgreSQL does not answer yet'),
        signal,
      ),
    startMonitors: lent.startMonitors,
    stopMonitors: lent.stopMonitors,
    get stopping() {
      return stopping;
    },
    finishWork: (graceMs) => {
      stopping = true;
      const idle = heavyWork.close();
      return all((server) => server.guard.close(graceMs)).then(() => idle);
    },
    close: async () => {
      for (const { server } of servers) server.leave();
      await Promise.all([closePool(pool), lent.giveBack()]);
    },
  };
}
