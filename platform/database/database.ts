/** How a service reaches its PostgreSQL: every request that needs it comes with a ticket. */
import { type Pool, withSession, withTransaction } from './pool.ts';
import type { Session } from './session.ts';

/** Who wants the database, and for how long it still makes sense to answer. */
export interface Ticket {
  readonly lane: 'operator' | 'customer';
  /** Whose share of the queue it counts against: an account, or a key. */
  readonly share: string;
  /** On the monotonic clock, in milliseconds. */
  readonly deadline: number;
  /** Aborted when the client has hung up. */
  readonly signal: AbortSignal;
}

export interface Database {
  /** Reads; on a replica where there is one. */
  read<T>(ticket: Ticket, work: (session: Session) => Promise<T>): Promise<T>;
  /** Writes, in a transaction on the primary. */
  write<T>(ticket: Ticket, work: (session: Session) => Promise<T>): Promise<T>;
}

export function createDatabase(pool: Pool): Database {
  return {
    read: (_ticket, work) => withSession(pool, work),
    write: (_ticket, work) => withTransaction(pool, work),
  };
}
