/** Connection pools, and the wait for a PostgreSQL that is still starting. */
import pg, { type ClientBase } from 'pg';
import { type Clock, systemClock } from '#platform/lifecycle/clock.ts';
import { TimeoutError, within } from '#platform/lifecycle/within.ts';
import { isConnectionLost } from '#platform/resilience/failure_rule.ts';
import { CANCEL_LIMIT_MS, type Cancelling, cancelStatement } from './cancel_request.ts';
import { type ConnectionLifetime, renewalTime } from './connection_lifetime.ts';
import { destroyConnection, isReadyForQuery, settingsOf } from './pg_internals.ts';
import { createSession, type Session, transaction } from './session.ts';
import { typeParsers } from './types.ts';

export type Pool = pg.Pool;

/** As the reference: up to 30 tries, 2 s apart. */
export const WAIT_FOR_POSTGRES_TRIES = 30;
export const WAIT_FOR_POSTGRES_PAUSE_MS = 2_000;

export const CONNECT_TIMEOUT_MS = 5_000;

export interface PoolOptions {
  readonly url: string;
  /** Seen in pg_stat_activity. */
  readonly applicationName: string;
  readonly size: number;
  /** PostgreSQL ends a statement that takes longer, in milliseconds; not given: never. */
  readonly statementTimeoutMs?: number;
  /** The client gives up on a statement after so long, for a server that ends nothing any more. */
  readonly queryTimeoutMs?: number;
  /** Not given: connections are kept as long as they are used. */
  readonly lifetime?: ConnectionLifetime;
  /** Told of a connection that broke while idle; the pool has already dropped it. */
  readonly onIdleError: (error: Error) => void;
}

export function createPool(options: PoolOptions): Pool {
  const pool = new pg.Pool({
    connectionString: options.url,
    application_name: options.applicationName,
    max: options.size,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    types: typeParsers,
    ...(options.statementTimeoutMs && { statement_timeout: options.statementTimeoutMs }),
    ...(options.queryTimeoutMs && { query_timeout: options.queryTimeoutMs }),
  });
  pool.on('error', options.onIdleError);
  const open = new Set<ClientBase>();
  connections.set(pool, open);
  const { lifetime } = options;
  pool.on('connect', (client) => {
    open.add(client);
    // A server that ends a connection in the same breath in which it is made reports it before the borrower listens, and an
    // error that nobody listens to ends the process. The borrower's first statement fails in its place.
    client.on('error', () => undefined);
    if (lifetime) {
      const renewAt = renewalTime(lifetime);
      outlived.set(client, () => lifetime.clock.monotonic() >= renewAt);
    }
    client.once('end', () => open.delete(client));
  });
  return pool;
}

/** The open connections of each pool, for closePool. */
const connections = new WeakMap<Pool, Set<ClientBase>>();

/** Whether a connection's lifetime is over, for those that have one. */
const outlived = new WeakMap<ClientBase, () => boolean>();

/** How long connections may take to close before they are destroyed. */
const CLOSE_LIMIT_MS = 500;

/** Closes a pool for good. Connections that are still in use, or whose server is frozen, are destroyed. */
export async function closePool(pool: Pool, clock: Clock = systemClock): Promise<void> {
  const open = connections.get(pool) ?? new Set();
  const closed = [...open].map((client) => new Promise<void>((done) => client.once('end', () => done())));
  const closing = () => Promise.all([pool.end(), ...closed]);
  try {
    await within(clock, CLOSE_LIMIT_MS, 'closing connections', closing);
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
    for (const client of open) destroyConnection(client);
  }
}

export interface Borrowing {
  /**
   * Aborted: the statement that runs is cancelled in PostgreSQL; where that does not end it soon, its connection is
   * destroyed (cancel_request.ts). So `work` ends, whatever the server does.
   */
  readonly signal?: AbortSignal | undefined;
  readonly clock?: Clock;
  /** Told how many rows each statement gave, or touched. */
  readonly onRows?: (count: number) => void;
  /**
   * Only a connection that has just answered will do: what took another one may have taken more of the pool's, and the
   * pool need not know yet. Those that were lost are thrown away on the way to one that was not.
   */
  readonly proven?: boolean;
}

/**
 * Borrows a connection for `work`. One that may be in the middle of anything afterwards is thrown away, not given back.
 * @throws what `work` threw; the signal's reason where it was aborted before `work` began
 */
export async function withSession<T>(
  pool: Pool,
  work: (session: Session) => Promise<T>,
  borrowing: Borrowing = {},
): Promise<T> {
  if (!borrowing.proven) return borrow(pool, work, borrowing);
  // All that the pool has may be lost; so may a new one, on the way to a bouncer that is just going.
  for (let others = pool.totalCount + 1; ; others--) {
    let begun = false;
    const proveAndWork = async (session: Session) => {
      await session.client.query('SELECT 1');
      begun = true;
      return work(session);
    };
    try {
      return await borrow(pool, proveAndWork, borrowing);
    } catch (error) {
      if (begun || others === 0 || !isConnectionLost(error)) throw error;
    }
  }
}

async function borrow<T>(
  pool: Pool,
  work: (session: Session) => Promise<T>,
  { signal, clock = systemClock, onRows }: Borrowing,
): Promise<T> {
  const client = await connect(pool);
  let broken: Error | undefined;
  let cancelling: Cancelling | undefined;
  const onError = (error: Error) => {
    broken = error;
  };
  const cut = () => {
    cancelling = cancelStatement(client, clock, CANCEL_LIMIT_MS.session, signal?.reason);
  };
  client.on('error', onError);
  try {
    signal?.throwIfAborted();
    signal?.addEventListener('abort', cut, { once: true });
    const answer = await work(createSession(client, { onRows, signal, clock }));
    if (!isIdle(client)) broken ??= new Error('work ended in the middle of a statement or transaction');
    return answer;
  } catch (error) {
    if (!isUsable(client, error)) broken ??= error as Error;
    throw error;
  } finally {
    cancelling?.ended();
    signal?.removeEventListener('abort', cut);
    // A cancellation that is still on its way must not hit the next one's statement.
    await cancelling?.sent;
    client.off('error', onError);
    // Between two uses, so that nothing is cut. One that nobody uses is closed by the pool after 10 s.
    client.release(broken ?? outlived.get(client)?.());
  }
}

async function connect(pool: Pool): Promise<pg.PoolClient> {
  try {
    return await pool.connect();
  } catch (error) {
    const settings = settingsOf(pool);
    if (!settings.statement_timeout || !/unsupported startup parameter/.test(String(error))) throw error;
    // A PgBouncer that does not ignore statement_timeout: the role's own setting has to do (docs/RUNBOOK.md).
    delete settings.statement_timeout;
    return pool.connect();
  }
}

/** Borrows a connection and runs `work` in a transaction on it; throws as withSession does. */
export function withTransaction<T>(
  pool: Pool,
  work: (session: Session) => Promise<T>,
  borrowing?: Borrowing,
): Promise<T> {
  return withSession(pool, (session) => transaction(session, work), borrowing);
}

const DEADLOCK = '40P01';
const DEADLOCK_TRIES = 10;

/**
 * As withTransaction. A transaction that PostgreSQL has ended for a deadlock is begun again: the other one goes on.
 * @param work runs again then, so all its effects are in the transaction
 */
export async function withRepeatedTransaction<T>(
  pool: Pool,
  work: (session: Session) => Promise<T>,
  borrowing?: Borrowing,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await withTransaction(pool, work, borrowing);
    } catch (error) {
      if ((error as { code?: string }).code !== DEADLOCK || attempt === DEADLOCK_TRIES) throw error;
    }
  }
}

const FATAL = ['FATAL', 'PANIC'];

/**
 * Whether a connection can be used again after this error: PostgreSQL has had the last word, in no transaction, and did
 * not close it; or the error came up in our own code, between statements.
 */
function isUsable(client: ClientBase, error: unknown): boolean {
  // pg hands an error on before PostgreSQL says that it is ready again, which it will.
  if (error instanceof pg.DatabaseError)
    return client.getTransactionStatus() === 'I' && !FATAL.includes(error.severity ?? '');
  return isIdle(client);
}

const isIdle = (client: ClientBase): boolean =>
  isReadyForQuery(client) && client.getTransactionStatus() === 'I';

/**
 * Waits until PostgreSQL answers.
 * @param report told of each try that failed, with its number
 * @throws the last failure, after WAIT_FOR_POSTGRES_TRIES
 */
export async function waitForPostgres(
  pool: Pool,
  clock: Clock,
  report: (attempt: number, error: unknown) => void,
  signal?: AbortSignal,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await withSession(pool, ({ client }) => client.query('SELECT 1'), { signal });
      return;
    } catch (error) {
      signal?.throwIfAborted();
      if (attempt >= WAIT_FOR_POSTGRES_TRIES || !mayRecover(error)) throw error;
      report(attempt, error);
      await clock.sleep(WAIT_FOR_POSTGRES_PAUSE_MS, signal);
    }
  }
}

/** A wrong password or database name does not mend itself: 30 tries would only hide the cause. */
function mayRecover(error: unknown): boolean {
  const code = (error as { code?: string }).code ?? '';
  return !(code.startsWith('28') || code === '3D000');
}
