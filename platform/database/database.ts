/**
 * How a service reaches its PostgreSQL: every request that needs it comes with a context and passes a guard. Where the
 * context says that the work is heavy, it waits for its turn among what is (resilience/heavy_work.ts) before that.
 *
 * Writes go to the primary. Reads go to the replicas where there are any, and then never to the primary: a replica's
 * failure must not move its load onto the server that takes the calls in. Of the replicas, the freshest that answer are
 * used in turn; one that lags too far behind is left out while another does not. What waits for a replica that is lost
 * goes on to another; a read whose connection is lost is done once more. A read that is to see a certain write waits for
 * a replica that has it (read_after.ts).
 */
import type { Clock } from '#platform/lifecycle/clock.ts';
import { MAX_PROBES } from '#platform/resilience/circuit_breaker.ts';
import { isConnectionLost } from '#platform/resilience/failure_rule.ts';
import type { HeavyWork } from '#platform/resilience/heavy_work.ts';
import { RefusedError } from '#platform/resilience/refused.ts';
import type { RequestContext } from '#platform/resilience/request_context.ts';
import type { QueueEvent } from '#platform/resilience/request_queue.ts';
import { CALLS_PER_RETRY, createRetryBudget, RETRY_BUDGET_BURST, retry } from '#platform/resilience/retry.ts';
import type { GuardedServer } from './guarded_server.ts';
import { type Pool, withSession } from './pool.ts';
import {
  type After,
  createReadAfter,
  type ReadAfterOutcome,
  type WalPosition,
  walPosition,
} from './read_after.ts';
import type { Read, Session } from './session.ts';
import { stay, type Wait, waitUnless } from './wait.ts';

export type { RequestContext };

export interface Database {
  /**
   * Reads; on a replica where there is one. Where the connection is lost, `work` is done once more, on another replica
   * if there is one, in any case on a connection that has just answered: so it must do nothing but read, and nothing of
   * its answer may be sent before it has ended. The breaker has counted the failure, a budget keeps such reads few, and
   * none begins after the context's deadline.
   * @param after what was written up to all of these is seen (read_after.ts)
   */
  read<T>(context: RequestContext, work: Read<T>, after?: readonly After[]): Promise<T>;
  /** Reads what a write depends on: on the primary, so that no replica's failure or lag is in a write's way. */
  readForWrite<T>(context: RequestContext, work: (session: Session) => Promise<T>): Promise<T>;
  /**
   * Work on the primary that opens its transactions itself, one connection at a time, each with `signal`. It is not cut
   * off when its client hangs up: what is half-way stored had better be stored. At its deadline it is.
   */
  withWritePool<T>(
    context: RequestContext,
    work: (pool: Pool, signal: AbortSignal) => Promise<T>,
  ): Promise<Written<T>>;
  /**
   * A small read that must work when requests do not get through: past queue and breaker, with little time, one at a
   * time. On a replica where there is one that answers: so few reads are no load for the primary.
   * @param tenant whose turn it is, where several wait
   */
  readBypassingQueue<T>(tenant: string, work: (session: Session) => Promise<T>): Promise<T>;
}

export interface Written<T> {
  readonly value: T;
  /** For reads that are to see it; null where all reads do, and where it could not be told. */
  readonly position: WalPosition | null;
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
  /** Connections to each server. */
  readonly poolSize: number;
  /** What contexts that say so wait for first. */
  readonly heavyWork: HeavyWork;
  readonly clock: Clock;
  /** From 0 up to, not including, 1; Math.random in production. */
  readonly random: () => number;
  /** Told of each read that is done once more, with the server whose connection was lost and how. */
  readonly onRetry?: (server: string, error: unknown) => void;
  /** Told of each read that had to see a write, by who answered it. */
  readonly onReadAfter?: (outcome: ReadAfterOutcome) => void;
  /** Told of each event of the queue of such reads before the primary. */
  readonly onReadAfterQueue?: (event: QueueEvent) => void;
}

const NEVER = new AbortController().signal;

export function createDatabase(options: DatabaseOptions): Database {
  const { primary, replicas } = options;
  let turn = 0;
  const choose = (except?: GuardedServer) =>
    hasSome(replicas) ? chooseReplica(replicas, options.maxReplicaLagS, turn++, except) : undefined;
  /** A server that goes takes with it what runs on one pool at most: all of that may be done once more. */
  const budget = createRetryBudget(CALLS_PER_RETRY, Math.max(RETRY_BUDGET_BURST, options.poolSize));

  function readAny<T>(context: RequestContext, work: Read<T>): Promise<T> {
    let lost: { readonly server: GuardedServer; readonly error: unknown } | undefined;
    const attempt = () => {
      if (lost) options.onRetry?.(lost.server.name, lost.error);
      return readOnce(context, work, lost?.server, (server, error) => {
        lost = { server, error };
      });
    };
    const { clock, random } = options;
    const { deadline } = context;
    return retry(attempt, { clock, random, budget, attempts: 2, deadline, isRetryable: () => !!lost });
  }

  /** @param lost the server that lost the first attempt's connection, where this is the second one */
  async function readOnce<T>(
    context: RequestContext,
    work: Read<T>,
    lost: GuardedServer | undefined,
    onLost: (server: GuardedServer, error: unknown) => void,
  ): Promise<T> {
    for (;;) {
      const replica = choose(lost);
      const server = replica?.server ?? primary;
      const wait = replica ? waitFor(replica, replicas, context.signal) : stay(context.signal);
      const begin = (session: Session) => {
        wait.begun();
        return work(session, { replicaLagS: replica?.lagS ?? null });
      };
      try {
        return await server.run({ ...context, signal: wait.signal }, begin, lost !== undefined);
      } catch (error) {
        if (isConnectionLost(error)) onLost(server, error);
        if (!(wait.moved && error instanceof RefusedError && error.refusal === 'client_gone')) throw error;
      } finally {
        wait.end();
      }
    }
  }

  const { onReadAfter, onReadAfterQueue } = options;
  const readAfter = createReadAfter({
    ...options,
    readReplica: readAny,
    readPrimary: primary.run,
    primaryBreaker: primary.breaker,
    ...(onReadAfter && { onOutcome: onReadAfter }),
    ...(onReadAfterQueue && { onQueueEvent: onReadAfterQueue }),
  });

  /** What has been written stays written: where its position can't be told, only that is missing. */
  async function written<T>(value: T, pool: Pool, signal: AbortSignal): Promise<Written<T>> {
    if (!hasSome(replicas)) return { value, position: null };
    const position = await withSession(pool, walPosition, { signal, clock: options.clock }).catch(() => null);
    return { value, position };
  }

  const inTurn = <T>(context: RequestContext, work: () => Promise<T>): Promise<T> =>
    context.heavy ? options.heavyWork.run(context, work) : work();

  return {
    read: (context, work, after = []) =>
      inTurn(context, () =>
        hasSome(after) && hasSome(replicas) ? readAfter(context, work, after) : readAny(context, work),
      ),
    readForWrite: (context, work) => inTurn(context, () => primary.run(context, work)),
    withWritePool: (context, work) =>
      inTurn({ ...context, signal: NEVER }, () =>
        primary.hold({ ...context, signal: NEVER }, async (pool, signal) =>
          written(await work(pool, signal), pool, signal),
        ),
      ),
    readBypassingQueue: async (tenant, work) => {
      const replica = choose()?.server;
      if (!replica) return primary.runBypassingQueue(tenant, work);
      return replica.runBypassingQueue(tenant, work).catch((error) => {
        if (error instanceof RefusedError) throw error;
        return primary.runBypassingQueue(tenant, work);
      });
    },
  };
}

const hasSome = <Item>(items: readonly Item[]): items is readonly [Item, ...Item[]] => items.length > 0;

/** A request's wait for one replica, given up when that one takes no work any more and another does. */
function waitFor(replica: Replica, replicas: readonly Replica[], gone: AbortSignal): Wait {
  const others = replicas.filter((other) => other !== replica);
  if (others.length === 0) return stay(gone);
  const breakers = replicas.map(({ server }) => server.breaker);
  return waitUnless(breakers, () => !takesWork(replica) && others.some(takesWork), gone);
}

/** Whether a request that comes now would be let through. */
function takesWork({ server }: Replica): boolean {
  const { state } = server.breaker;
  if (state.name === 'CLOSED') return true;
  // It needs requests to find out by whether it works; it gets none that its own health check says will fail.
  return state.name === 'HALF_OPEN' && state.probes < MAX_PROBES && server.monitor.status.healthy;
}

/**
 * The replica whose turn it is, of the best there are: takes work and is fresh; else takes work and is least behind;
 * else any, where the request waits for its breaker.
 * @param except taken only where it is the only one of these
 */
export function chooseReplica(
  replicas: readonly [Replica, ...Replica[]],
  maxLagS: number,
  turn: number,
  except?: GuardedServer,
): Replica {
  // Lag grows with every look at it, so each is looked at once.
  const known = replicas.map((replica) => ({ replica, lagS: replica.lagS ?? Number.MAX_VALUE }));
  const answering = known.filter(({ replica }) => takesWork(replica));
  const candidates = answering.length > 0 ? answering : known;
  const allowed = Math.max(maxLagS, Math.min(...candidates.map(({ lagS }) => lagS)));
  const fresh = candidates.filter(({ lagS }) => lagS <= allowed);
  const others = fresh.filter(({ replica }) => replica.server !== except);
  const best = others.length > 0 ? others : fresh;
  return best[turn % best.length]!.replica;
}
