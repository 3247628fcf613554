/** All that the dashboard shows of a service, as one document. */
import type { Clock } from '#platform/lifecycle/clock.ts';
import type { BreakerState } from '#platform/resilience/circuit_breaker.ts';
import type { ServiceDatabase } from './service_database.ts';
import { shownLag, type WatchedServer } from './watched_server.ts';

export interface ServerReport {
  readonly name: string;
  readonly role: WatchedServer['role'];
  readonly healthy: boolean;
  readonly consecutiveFailures: number;
  readonly consecutiveSuccesses: number;
  readonly uptimePercent: number | null;
  /** Seconds since the present outage was seen. */
  readonly timeSinceDown: number | null;
  readonly lastCheck: string | null;
  readonly lastError: string | null;
  /** Null for a primary, and for a replica that does not answer. */
  readonly replica_lag_s: number | null;
  readonly circuit: {
    readonly state: BreakerState['name'];
    /** Whose breaker holds back: the server's, for all services, or the service's own. While there is one that does. */
    readonly of?: 'server' | 'service';
    readonly since: string;
    readonly next_probe?: string;
    readonly held_by?: string;
  };
  readonly queue: {
    readonly length: number;
    readonly limit: number;
    readonly processing: number;
    readonly slots: number;
    readonly oldest_wait_ms: number;
    readonly order: 'fifo' | 'newest_first';
  };
}

export interface MonitoringReport {
  readonly status: 'healthy' | 'degraded' | 'down';
  readonly uptime_s: number;
  readonly last_restart: string;
  readonly servers: readonly ServerReport[];
  readonly recent_activity: readonly { readonly at: string; readonly text: string }[];
}

/** When the program started: for showing, and for measuring. */
export interface Started {
  /** Wall-clock milliseconds since 1970. */
  readonly at: number;
  readonly monotonic: number;
}

export const startedNow = (clock: Clock): Started => ({ at: clock.now(), monotonic: clock.monotonic() });

export function monitoringReport(
  database: ServiceDatabase,
  started: Started,
  clock: Clock,
): MonitoringReport {
  const servers = database.servers.map(serverReport);
  return {
    status: overall(servers),
    uptime_s: Math.round((clock.monotonic() - started.monotonic) / 1000),
    last_restart: new Date(started.at).toISOString(),
    servers,
    recent_activity: database.activity.recent.map(({ at, text }) => ({
      at: new Date(at).toISOString(),
      text,
    })),
  };
}

/** Down: no read is answered. Degraded: some part does not work, or is being tried, but reads are let through. */
function overall(servers: readonly ServerReport[]): MonitoringReport['status'] {
  if (servers.every(works)) return 'healthy';
  return readServers(servers).some((server) => works(server) || isTried(server)) ? 'degraded' : 'down';
}

/** The servers that reads go to: the replicas, where there are any. */
export function readServers(servers: readonly ServerReport[]): readonly ServerReport[] {
  const replicas = servers.filter((server) => server.role === 'replica');
  return replicas.length > 0 ? replicas : servers.filter(({ role }) => role === 'primary');
}

/** One that has not been checked yet is taken to work: the program has only just connected to it. */
export const works = (server: ServerReport): boolean =>
  (server.healthy || server.lastCheck === null) && server.circuit.state === 'CLOSED';

/**
 * It answers its health check, and its breaker closes once requests have succeeded: who sends requests only to what is
 * ready must send some, or it would never close.
 */
const isTried = (server: ServerReport): boolean => server.healthy && server.circuit.state === 'HALF_OPEN';

function serverReport(watched: WatchedServer): ServerReport {
  const { server, role } = watched;
  const { breaker, guard, monitor } = server;
  const health = monitor.status;
  const { state } = breaker;
  const queue = guard.queue.status;
  return {
    name: server.name,
    role,
    healthy: health.healthy,
    consecutiveFailures: health.consecutiveFailures,
    consecutiveSuccesses: health.consecutiveSuccesses,
    uptimePercent: health.uptimePercent === null ? null : Math.round(health.uptimePercent * 100) / 100,
    timeSinceDown: health.timeSinceDown === null ? null : Math.round(health.timeSinceDown / 1000),
    lastCheck: health.lastCheck && new Date(health.lastCheck.at).toISOString(),
    lastError: health.lastError,
    replica_lag_s: shownLag(watched),
    circuit: {
      state: state.name,
      ...(state.name !== 'CLOSED' && { of: breaker.of }),
      since: new Date(state.since).toISOString(),
      ...(state.name === 'OPEN' && { next_probe: new Date(state.nextProbeAt).toISOString() }),
      ...(state.name === 'HELD_OPEN' && { held_by: state.heldBy }),
    },
    queue: {
      length: queue.waiting,
      limit: queue.limit,
      processing: queue.running,
      slots: queue.slots,
      oldest_wait_ms: Math.round(queue.oldestWaitMs),
      order: queue.newestFirst ? 'newest_first' : 'fifo',
    },
  };
}
