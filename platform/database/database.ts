/**
 * How a service reaches its PostgreSQL: every request that needs it comes with a ticket and passes a guard.
 *
 * Writes go to the primary. Reads go to the replicas where there are any, and then never to the primary: a replica's
 * failure must not move its load onto the server that takes the calls in. Of the replicas, the freshest that answer are
 * used in turn; one that lags too far behind is left out while another does not. What waits for a replica that is lost
 * goes on to another.
 */
import { MAX_PROBES } from '#platform/resilience/circuit_breaker.ts';
import { RefusedError } from '#platform/resilience/refused.ts';
import type { Ticket } from '#platform/resilience/ticket.ts';
import type { GuardedServer } from './guarded_server.ts';
import type { Pool } from './pool.ts';
import type { Session } from './session.ts';

export type { Ticket };

export interface Database {
  /** Reads; on a replica where there is one. */
  read<T>(ticket: Ticket, work: (session: Session, from: ReadFrom) => Promise<T>): Promise<T>;
  /** Reads what a write depends on: on the primary, so that no replica's failure or lag is in a write's way. */
  readForWrite<T>(ticket: Ticket, work: (session: Session) => Promise<T>): Promise<T>;
  /**
   * Work on the primary that opens its transactions itself, one connection at a time, each with `signal`. It is not cut
   * off when its client hangs up: what is half-way stored had better be stored. At its deadline it is.
   */
  writeOwn<T>(ticket: Ticket, work: (pool: Pool, signal: AbortSignal) => Promise<T>): Promise<T>;
  /**
   * A small read that must work when requests do not get through: past queue and breaker, with little time, one at a
   * time. On a replica where there is one.
   * @param share whose turn it is, where several wait
   */
  readAside<T>(share: string, work: (session: Session) => Promise<T>): Promise<T>;
}

/** What the data that is read is worth. */
export interface ReadFrom {
  /** Seconds that it is at most behind the primary; null when it is the primary's own. */
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
  const choose = () =>
    hasSome(replicas) ? chooseReplica(replicas, options.maxReplicaLagS, turn++) : undefined;

  async function read<T>(ticket: Ticket, work: (session: Session, from: ReadFrom) => Promise<T>): Promise<T> {
    for (;;) {
      const replica = choose();
      if (!replica) return primary.run(ticket, (session) => work(session, { replicaLagS: null }));
      const wait = waitFor(replica, replicas, ticket.signal);
      try {
        return await replica.server.run({ ...ticket, signal: wait.signal }, (session) => {
          wait.begun();
          return work(session, { replicaLagS: replica.lagS });
        });
      } catch (error) {
        if (!(wait.moved && error instanceof RefusedError && error.refusal === 'client_gone')) throw error;
      } finally {
        wait.end();
      }
    }
  }

  return {
    read,
    readForWrite: (ticket, work) => primary.run(ticket, work),
    writeOwn: (ticket, work) => primary.hold({ ...ticket, signal: NEVER }, work),
    readAside: (share, work) => (choose()?.server ?? primary).runAside(share, work),
  };
}

const hasSome = <Item>(items: readonly Item[]): items is readonly [Item, ...Item[]] => items.length > 0;

interface Wait {
  readonly signal: AbortSignal;
  /** It was given up for another replica's sake. */
  readonly moved: boolean;
  /** The request is at work: it stays where it is. */
  begun(): void;
  end(): void;
}

/** A request's wait for one replica, given up when that one takes no work any more and another does. */
function waitFor(replica: Replica, replicas: readonly Replica[], gone: AbortSignal): Wait {
  const others = replicas.filter((other) => other !== replica);
  if (others.length === 0) return { signal: gone, moved: false, begun: () => {}, end: () => {} };
  const controller = new AbortController();
  let moved = false;
  const onChange = () => {
    if (controller.signal.aborted || takesWork(replica) || !others.some(takesWork)) return;
    moved = true;
    controller.abort(new Error(`${replica.server.name} takes no work`));
  };
  const stops = replicas.map(({ server }) => server.guard.breaker.onChange(onChange));
  const begun = () => {
    for (const stop of stops.splice(0)) stop();
  };
  const onGone = () => controller.abort(gone.reason);
  gone.addEventListener('abort', onGone, { once: true });
  if (gone.aborted) onGone();
  return {
    signal: controller.signal,
    get moved() {
      return moved;
    },
    begun,
    end: () => {
      begun();
      gone.removeEventListener('abort', onGone);
    },
  };
}

/** Whether a request that comes now would be let through. */
function takesWork({ server }: Replica): boolean {
  const { state } = server.guard.breaker;
  if (state.name === 'CLOSED') return true;
  // It needs requests to find out by whether it works; it gets none that its own health check says will fail.
  return state.name === 'HALF_OPEN' && state.probes < MAX_PROBES && server.monitor.status.healthy;
}

/**
 * The replica whose turn it is, of the best there are: takes work and is fresh; else takes work and is least behind;
 * else any, where the request waits for its breaker.
 */
export function chooseReplica(
  replicas: readonly [Replica, ...Replica[]],
  maxLagS: number,
  turn: number,
): Replica {
  // Lag grows with every look at it, so each is looked at once.
  const known = replicas.map((replica) => ({ replica, lagS: replica.lagS ?? Number.MAX_VALUE }));
  const answering = known.filter(({ replica }) => takesWork(replica));
  const candidates = answering.length > 0 ? answering : known;
  const allowed = Math.max(maxLagS, Math.min(...candidates.map(({ lagS }) => lagS)));
  const best = candidates.filter(({ lagS }) => lagS <= allowed);
  return best[turn % best.length]!.replica;
}
