/** Connection pools, and the wait for a PostgreSQL that is still starting. */
import pg from 'pg';
import type { Clock } from '#platform/lifecycle/clock.ts';
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
  return pool;
}

/** Borrows a connection for `work`. One whose work failed on a broken connection is thrown away, not given back. */
export async function withSession<T>(pool: Pool, work: (session: Session) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  const onError = (error: Error) => {
    broken = error;
  };
  client.on('error', onError);
  try {
    return await work(createSession(client));
  } finally {
    client.off('error', onError);
    client.release(broken);
  }
}

/** Borrows a connection and runs `work` in a transaction on it. */
export function withTransaction<T>(pool: Pool, work: (session: Session) => Promise<T>): Promise<T> {
  return withSession(pool, (session) => transaction(session, work));
}

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
      await pool.query('SELECT 1');
      return;
    } catch (error) {
      if (attempt >= WAIT_FOR_POSTGRES_TRIES || !mayRecover(error)) throw error;
      report(attempt, error);
      if (isUnsupportedParameter(error)) {
        // A PgBouncer that does not ignore statement_timeout; the role's own setting has to do (docs/RUNBOOK.md).
        delete (pool.options as { statement_timeout?: unknown }).statement_timeout;
        continue;
      }
      await clock.sleep(WAIT_FOR_POSTGRES_PAUSE_MS, signal);
    }
  }
}

const isUnsupportedParameter = (error: unknown) => /unsupported startup parameter/.test(String(error));

/** A wrong password or database name does not mend itself: 30 tries would only hide the cause. */
function mayRecover(error: unknown): boolean {
  const code = (error as { code?: string }).code ?? '';
  return !(code.startsWith('28') || code === '3D000');
}
