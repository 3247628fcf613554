/**
 * Reading one's own writes where reads go to replicas.
 *
 * A write is followed by asking the primary how far its write-ahead log is on disk: whatever was committed on that
 * connection lies before. Who is to see the write reads after that position: a replica is asked, in the transaction of
 * the read itself (a bouncer may give each transaction another replica), whether it has replayed so far. One that has
 * not is asked again a little later, or another one, for READ_AFTER_WAIT_MS in all; then the primary reads. Only a
 * replica that answers and is behind sends a read there, and few such reads run at once, so that replicas that fail or
 * lag do not move their load onto the server that takes the calls in.
 *
 * A primary that is lost can take the end of its log with it for a while, so that no replica has the write. A client that demands
 * the write by its header then waits for a primary, within its deadline. For any other client an answer counts more than its own
 * last write: a replica answers as it is, and the answer names the replica's lag.
 */
import type { Clock } from '#platform/lifecycle/clock.ts';
import type { Breaker } from '#platform/resilience/circuit_breaker.ts';
import { isConnectionLost, type Outcome } from '#platform/resilience/failure_rule.ts';
import { RefusedError } from '#platform/resilience/refused.ts';
import type { RequestContext } from '#platform/resilience/request_context.ts';
import { createRequestQueue, type QueueEvent } from '#platform/resilience/request_queue.ts';
import { type Read, type Session, transaction } from './session.ts';
import { waitUnless } from './wait.ts';

/** A place in the primary's write-ahead log, as PostgreSQL writes it: `16/B374D848`. */
export type WalPosition = string;

/** A write that a read must follow. */
export interface After {
  readonly position: WalPosition;
  /** The client asked for it itself: no answer is better than one without the write. */
  readonly demanded: boolean;
}

/** How long replicas have to catch up before the primary is asked. */
export const READ_AFTER_WAIT_MS = 500;
/** Between two questions at first; it doubles. */
const FIRST_PAUSE_MS = 10;
/** Of the primary's connections, one in so many may serve reads that its replicas are too far behind for. */
const PRIMARY_SHARE = 5;
/** How many of them may wait for it. */
const PRIMARY_QUEUE_LIMIT = 20;

/** Who answered a read that had a position to be after; a `replica_behind` did not have the write. */
export type ReadAfterOutcome = 'replica' | 'replica_waited' | 'replica_behind' | 'primary';

/**
 * Where the log is after what this connection has committed. Without synchronous_commit a commit need not be on disk
 * yet, and the place where the next record goes is taken; that can lie behind an empty page's header, where no replica
 * comes before the next record.
 */
export async function walPosition({ client }: Session): Promise<WalPosition> {
  const { rows } = await client.query<{ position: WalPosition }>(
    `SELECT CASE current_setting('synchronous_commit') WHEN 'off' THEN pg_current_wal_insert_lsn()
            ELSE pg_current_wal_flush_lsn() END::text AS position`,
  );
  return rows[0]!.position;
}

const BEHIND = Symbol('behind');
const LOST = Symbol('lost');

/** `work` in a transaction, on a server that has replayed the log up to all of `positions`; else BEHIND. */
const unlessBehind =
  <T>(work: Read<T>, positions: readonly WalPosition[]): Read<T | typeof BEHIND> =>
  (session, from) =>
    transaction(session, async () => {
      const { rows } = await session.client.query<{ reached: boolean }>(
        'SELECT NOT pg_is_in_recovery() OR pg_last_wal_replay_lsn() >= ALL ($1::pg_lsn[]) AS reached',
        [positions],
      );
      return rows[0]!.reached ? work(session, from) : BEHIND;
    });

export interface ReadAfterOptions {
  readonly readReplica: <T>(context: RequestContext, work: Read<T>) => Promise<T>;
  readonly readPrimary: <T>(context: RequestContext, work: (session: Session) => Promise<T>) => Promise<T>;
  readonly primaryBreaker: Breaker;
  /** The primary's connections. */
  readonly poolSize: number;
  readonly clock: Clock;
  readonly onOutcome?: (outcome: ReadAfterOutcome) => void;
  /** Told of each event of the queue before the primary. */
  readonly onQueueEvent?: (event: QueueEvent) => void;
}

export type ReadAfter = <T>(context: RequestContext, work: Read<T>, after: readonly After[]) => Promise<T>;

/**
 * @returns reads that see all that was written up to their positions, unless nobody demanded that and the primary is lost;
 *   they throw as other reads do
 */
export function createReadAfter(options: ReadAfterOptions): ReadAfter {
  const { clock, readReplica, readPrimary, primaryBreaker, onOutcome, onQueueEvent: onEvent } = options;
  const slots = Math.max(1, Math.floor(options.poolSize / PRIMARY_SHARE));
  const limit = PRIMARY_QUEUE_LIMIT;
  const queue = createRequestQueue({
    ...{ name: 'primary, after writes', slots, limit, order: 'fifo', clock },
    ...(onEvent && { onEvent }),
  });
  const primaryIsLost = () => ['OPEN', 'HELD_OPEN'].includes(primaryBreaker.state.name);

  async function onPrimary<T>(context: RequestContext, work: Read<T>, begun: () => void): Promise<T> {
    const admission = await queue.enter(context);
    if (!admission.admitted) throw new RefusedError(admission.refusal, { waitedMs: admission.waitedMs });
    let outcome: Outcome = 'neutral';
    try {
      const answer = await readPrimary(context, (session) => {
        begun();
        return work(session, { replicaLagS: null });
      });
      outcome = 'success';
      return answer;
    } finally {
      admission.slot.release(outcome);
    }
  }

  /** Waits for the primary as long as it is not lost. @returns LOST when it is */
  async function unlessLost<T>(context: RequestContext, work: Read<T>): Promise<T | typeof LOST> {
    const wait = waitUnless([primaryBreaker], primaryIsLost, context.signal);
    try {
      return await onPrimary({ ...context, signal: wait.signal }, work, wait.begun);
    } catch (error) {
      if (wait.moved || isConnectionLost(error)) return LOST;
      throw error;
    } finally {
      wait.end();
    }
  }

  return async (context, work, after) => {
    const positions = after.map(({ position }) => position);
    const until = Math.min(clock.monotonic() + READ_AFTER_WAIT_MS, context.deadline);
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs *= 2) {
      const answer = await readReplica(context, unlessBehind(work, positions));
      if (answer !== BEHIND) {
        onOutcome?.(pauseMs === FIRST_PAUSE_MS ? 'replica' : 'replica_waited');
        return answer;
      }
      const leftMs = until - clock.monotonic();
      if (leftMs <= 0 || context.signal.aborted) break;
      // A client that hangs up meanwhile is found out by the queue that comes next.
      await clock.sleep(Math.min(pauseMs, leftMs), context.signal).catch(() => undefined);
    }
    const demanded = after.some((write) => write.demanded);
    const answer = await (demanded ? onPrimary(context, work, () => {}) : unlessLost(context, work));
    if (answer !== LOST) {
      onOutcome?.('primary');
      return answer;
    }
    const stale = await readReplica(context, work);
    onOutcome?.('replica_behind');
    return stale;
  };
}
