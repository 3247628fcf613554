/**
 * One PostgreSQL server as a process uses it, whichever of its services asks: a pool of connections, their slots, one circuit
 * breaker, and one health monitor on a connection of its own. A service reaches it through its own queue and its own breaker
 * (guarded_server.ts).
 */
import type { ClientBase } from 'pg';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { type CircuitBreaker, createCircuitBreaker } from '#platform/resilience/circuit_breaker.ts';
import { createHealthMonitor, type HealthMonitor } from '#platform/resilience/health_monitor.ts';
import { createSharedSlots, type SharedSlots } from '#platform/resilience/shared_slots.ts';
import { errorText } from '#platform/telemetry/error_text.ts';
import type { Logger } from '#platform/telemetry/logger.ts';
import type { ConnectionLifetime } from './connection_lifetime.ts';
import { closePool, createPool, type Pool } from './pool.ts';
import { createProbe } from './probe.ts';
import { transitionFields, transitionText } from './transition_text.ts';

/** PostgreSQL ends a statement at its limit; the client gives up so much later in its place. */
export const CLIENT_TIMEOUT_SLACK_MS = 1_000;

/** How connections to a server are made and kept; the same for all services of a process. */
export interface SharedServerSettings {
  /** Connections for requests; as many run at once. */
  readonly poolSize: number;
  readonly queryTimeoutMs: number;
  /** No connection is kept for longer, in milliseconds; it is renewed between two requests. */
  readonly connectionLifetimeMs: number;
}

export interface SharedServerOptions extends SharedServerSettings {
  /** For logs and the dashboard: "primary", "replica 1". */
  readonly name: string;
  readonly url: string;
  /** Seen in pg_stat_activity. */
  readonly applicationName: string;
  /** From 0 up to, not including, 1; Math.random in production. */
  readonly random: () => number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What the health check asks, on its own connection; `SELECT 1` unless told otherwise. */
  readonly healthCheck?: (client: ClientBase) => Promise<void>;
}

/** A service that uses the server. */
export interface ServerUser {
  /** What it calls the server. */
  readonly name: string;
  /** The service's own: a health check that passes counts for it as well. */
  readonly breaker: CircuitBreaker;
  /** Told in words of what happens to the server. */
  tell(text: string): void;
}

export interface SharedServer {
  readonly name: string;
  /** A connection for each slot, and one more for reads that bypass the queue. */
  readonly pool: Pool;
  readonly breaker: CircuitBreaker;
  readonly monitor: HealthMonitor;
  readonly slots: SharedSlots;
  /** Of the one connection for reads that bypass the queue. */
  readonly bypassSlots: SharedSlots;
  /** @returns ends the use */
  join(user: ServerUser): () => void;
  /** Closes the connections. The monitor has been stopped before, and nobody uses the server any more. */
  close(): Promise<void>;
}

export function createSharedServer(options: SharedServerOptions): SharedServer {
  const { clock, name, logger, random, connectionLifetimeMs: maxMs } = options;
  const users = new Set<ServerUser>();
  const tellAll = (text: (name: string) => string) => {
    for (const user of users) user.tell(text(user.name));
  };
  const breaker = createCircuitBreaker({
    clock,
    onTransition: (transition) => {
      tellAll((whose) => transitionText(whose, transition));
      logger.warn({ server: name, ...transitionFields(transition) }, 'circuit breaker');
    },
  });
  const lifetime: ConnectionLifetime = { maxMs, clock, random };
  const pool = createPool({
    url: options.url,
    applicationName: options.applicationName,
    size: options.poolSize + 1,
    statementTimeoutMs: options.queryTimeoutMs,
    queryTimeoutMs: options.queryTimeoutMs + CLIENT_TIMEOUT_SLACK_MS,
    lifetime,
    onIdleError: (error) => logger.warn({ server: name, reason: errorText(error) }, 'idle connection lost'),
  });
  const probe = createProbe(options.url, `${options.applicationName}-health`, lifetime, options.healthCheck);
  const breakers = () => [breaker, ...[...users].map((user) => user.breaker)];
  const monitor = createHealthMonitor({
    clock,
    breaker: {
      databaseDown: breaker.databaseDown,
      databaseUp: (checkedFrom) => {
        for (const one of breakers()) one.databaseUp(checkedFrom);
      },
    },
    check: async (signal) => {
      await probe.check(
        signal,
        breakers().some(({ blocked }) => blocked),
      );
      tellAll((whose) => `Health check of ${whose}: PASS`);
    },
    onChange: (change) => {
      if (change.healthy) {
        logger.info({ server: name, down_ms: Math.round(change.downMs) }, 'database recovered');
      } else {
        tellAll((whose) => `Health check of ${whose}: FAIL`);
        logger.error({ server: name, err: change.error }, 'database down');
      }
    },
  });
  return {
    name,
    pool,
    breaker,
    monitor,
    slots: createSharedSlots(options.poolSize, clock),
    bypassSlots: createSharedSlots(1, clock),
    join(user) {
      users.add(user);
      return () => void users.delete(user);
    },
    close: async () => {
      breaker.stop();
      probe.close();
      await closePool(pool);
    },
  };
}
