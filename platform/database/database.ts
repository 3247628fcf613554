/**
 * How a service reaches its PostgreSQL: every request that needs it comes with a ticket and passes a guard.
 *
 * Writes go to the primary. Reads go to the replicas where there are any, and then never to the primary: a replica's
 * failure must not move its load onto the server that takes the calls in. Of the replicas, the freshest that answer are
 * used in turn; one that lags too far behind is left out while another does not.
 */
import type { Ticket } from '#platform/resilience/ticket.ts';
import type { GuardedServer } from './guarded_server.ts';
import type { Pool } from './pool.ts';
import type { Session } from './session.ts';

export type { Ticket };

export interface Database {
  /** Reads; on a replica where there is one. */
  read<T>(ticket: Ticket, work: (session: Session, from: ReadFrom) => Promise<T>): Promise<T>;
  /**
   * Work on the primary that opens its transactions itself, one connection at a time, each with `signal`. It is not cut
   * off when its client hangs up: what is half-way stored had better be stored. At its deadline it is.
   */
  writeOwn<T>(ticket: Ticket, work: (pool: Pool, signal: AbortSignal) => Promise<T>): Promise<T>;
}

/** What the data that is read is worth. */
export interface ReadFrom {
  /** Seconds that it is behind the primary, as last measured; null when it is the primary's own. */
  readonly replicaLagS: number | null;
}

export interface Replica {
  readonly server: GuardedServer;
  /** Seconds behind the primary; null while unknown. */
  readonly lagS: number | null;
}

export interface DatabaseOptions {
  readonly primary: GuardedServer;
  readonly replicas: readonly Replica[];
  /** A replica further behind than this is left out while another is not. */
  readonly maxReplicaLagS: number;
}

const NEVER = new AbortController().signal;

export function createDatabase(options: DatabaseOptions): Database {
  const { primary, replicas } = options;
  let turn = 0;
  return {
    read: (ticket, work) => {
      const replica = chooseReplica(replicas, options.maxReplicaLagS, turn++);
      if (!replica) return primary.run(ticket, (session) => work(session, { replicaLagS: null }));
      return replica.server.run(ticket, (session) => work(session, { replicaLagS: replica.lagS }));
    },
    writeOwn: (ticket, work) => primary.hold({ ...ticket, signal: NEVER }, work),
  };
}

/**
 * The replica whose turn it is, of the best there are: closed breaker and fresh; else closed breaker and least behind;
 * else any, where the request waits for its breaker.
 */
export function chooseReplica(
  replicas: readonly Replica[],
  maxLagS: number,
  turn: number,
): Replica | undefined {
  const answering = replicas.filter((replica) => !replica.server.guard.breaker.blocked);
  const fresh = answering.filter((replica) => (replica.lagS ?? Number.POSITIVE_INFINITY) <= maxLagS);
  if (fresh.length > 0) return fresh[turn % fresh.length];
  const candidates = answering.length > 0 ? answering : replicas;
  const lag = (replica: Replica) => replica.lagS ?? Number.MAX_VALUE;
  const least = Math.min(...candidates.map(lag));
  const best = candidates.filter((replica) => lag(replica) === least);
  return best[turn % best.length];
}
