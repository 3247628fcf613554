/** What Prometheus sees of a service's database servers. */
import type { QueueEvent } from '#platform/resilience/request_queue.ts';
import { Counter, DURATION_BUCKETS_S, Gauge, Histogram, type Registry } from '#platform/telemetry/metrics.ts';
import type { ReadAfterOutcome } from './read_after.ts';
import { shownLag, type WatchedServer } from './watched_server.ts';

const STATES = ['CLOSED', 'OPEN', 'HALF_OPEN', 'HELD_OPEN'] as const;

export interface ServerMetrics {
  /** Counts one event of a server's queue. */
  count(server: string, event: QueueEvent): void;
  /** Counts a read that is done once more, since this server's connection was lost. */
  countRetry(server: string): void;
  /** Counts a read that had to see a write. */
  countReadAfter(outcome: ReadAfterOutcome): void;
  /** Reads these servers' states, too, whenever the metrics are asked for. */
  watch(servers: readonly WatchedServer[]): void;
}

export function createServerMetrics(registry: Registry): ServerMetrics {
  const registers = [registry];
  const wait = new Histogram({
    name: 'request_queue_wait_seconds',
    help: 'How long requests waited for a connection, by how the waiting ended',
    labelNames: ['server', 'lane', 'ended'],
    buckets: DURATION_BUCKETS_S,
    registers,
  });
  const work = new Histogram({
    name: 'database_work_seconds',
    help: 'How long requests held a connection, by outcome for the circuit breaker',
    labelNames: ['server', 'outcome'],
    buckets: DURATION_BUCKETS_S,
    registers,
  });
  const refused = new Counter({
    name: 'request_queue_refused_total',
    help: 'Requests that left the queue without having been served',
    labelNames: ['server', 'refusal'],
    registers,
  });
  const retried = new Counter({
    name: 'database_read_retries_total',
    help: 'Reads that were done once more because their connection was lost',
    labelNames: ['server'],
    registers,
  });
  const readAfter = new Counter({
    name: 'database_reads_after_write_total',
    help: 'Reads that had to see a write: a replica had it, had it after a wait, or the primary read',
    labelNames: ['answered_by'],
    registers,
  });
  const watched: WatchedServer[] = [];
  watchServers(registers, watched);
  return {
    countRetry: (server) => retried.inc({ server }),
    countReadAfter: (answered_by) => readAfter.inc({ answered_by }),
    count: (server, event) => {
      if (event.kind === 'released') {
        work.observe({ server, outcome: event.outcome }, event.ranMs / 1000);
        return;
      }
      const ended = event.kind === 'refused' ? event.refusal : 'dispatched';
      wait.observe({ server, lane: event.priority, ended }, event.waitedMs / 1000);
      if (event.kind === 'refused') refused.inc({ server, refusal: event.refusal });
    },
    watch: (servers) => void watched.push(...servers),
  };
}

function watchServers(registers: Registry[], servers: readonly WatchedServer[]): void {
  const gauge = (name: string, help: string, read: (watched: WatchedServer) => number | null) =>
    new Gauge({
      name,
      help,
      labelNames: ['server'],
      registers,
      collect() {
        this.reset(); // what is null now has no figure; the last one would stay
        for (const watched of servers) {
          const value = read(watched);
          if (value !== null) this.set({ server: watched.server.name }, value);
        }
      },
    });
  gauge('request_queue_depth', 'Requests that wait now', ({ server }) => server.guard.queue.status.waiting);
  gauge('request_queue_running', 'Requests at work now', ({ server }) => server.guard.queue.status.running);
  gauge(
    'request_queue_oldest_wait_seconds',
    'How long the longest waiting request has waited',
    ({ server }) => server.guard.queue.status.oldestWaitMs / 1000,
  );
  gauge('database_healthy', '1 when the last health check passed', ({ server }) =>
    server.monitor.status.healthy ? 1 : 0,
  );
  gauge(
    'replica_lag_seconds',
    'How far a replica is at most behind its primary; without those that do not answer',
    shownLag,
  );
  new Gauge({
    name: 'circuit_breaker_state',
    help: '1 for the state that the breaker is in',
    labelNames: ['server', 'state'],
    registers,
    collect() {
      for (const { server } of servers) {
        for (const state of STATES) {
          this.set({ server: server.name, state }, server.breaker.state.name === state ? 1 : 0);
        }
      }
    },
  });
}
