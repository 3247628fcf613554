/** PgBouncer's console: a database named `pgbouncer` with the commands SHOW, PAUSE, RESUME, RECONNECT. */
import pg from 'pg';
import type { Bouncer } from './layout.ts';
import type { Secrets } from './secrets.ts';

const CONNECT_LIMIT_MS = 2_000;
const COMMAND_LIMIT_MS = 3_000;

export interface PoolCounts {
  /** Clients connected. */
  readonly clients: number;
  /** The clients among them that wait for a server connection. */
  readonly waiting: number;
  /** Connections to PostgreSQL. */
  readonly servers: number;
}

type ConsoleUser = 'trunkline_admin' | 'trunkline_stats';

/** Runs one console command. The console supports only the simple protocol, without parameters. */
async function onConsole(
  bouncer: Bouncer,
  secrets: Secrets,
  user: ConsoleUser,
  text: string,
  limitMs: number,
): Promise<Record<string, string>[]> {
  const client = new pg.Client({
    host: bouncer.host,
    port: bouncer.port,
    database: 'pgbouncer',
    user,
    password: user === 'trunkline_admin' ? secrets.bouncerAdmin : secrets.bouncerStats,
    connectionTimeoutMillis: Math.max(CONNECT_LIMIT_MS, limitMs),
    query_timeout: limitMs,
  });
  client.on('error', () => {});
  await client.connect();
  try {
    const result = await client.query<Record<string, string>>(text);
    return result.rows;
  } finally {
    // A frozen bouncer would not answer a Terminate message either.
    void client.end().catch(() => undefined);
  }
}

/** Clients and connections of the database `trunkline`. */
export async function poolCounts(
  bouncer: Bouncer,
  secrets: Secrets,
  limitMs = COMMAND_LIMIT_MS,
): Promise<PoolCounts> {
  const pools = await onConsole(bouncer, secrets, 'trunkline_stats', 'SHOW POOLS', limitMs);
  const own = pools.filter((pool) => pool.database === 'trunkline');
  const sum = (...names: string[]) =>
    own.reduce((total, pool) => total + names.reduce((s, name) => s + Number(pool[name] ?? 0), 0), 0);
  return {
    clients: sum('cl_active', 'cl_waiting'),
    waiting: sum('cl_waiting'),
    servers: sum('sv_active', 'sv_idle', 'sv_used', 'sv_tested', 'sv_login'),
  };
}

/** Whether PAUSE holds the clients: a hand-over is running, or was killed in the middle. */
export async function isPaused(
  bouncer: Bouncer,
  secrets: Secrets,
  limitMs = COMMAND_LIMIT_MS,
): Promise<boolean> {
  const databases = await onConsole(bouncer, secrets, 'trunkline_stats', 'SHOW DATABASES', limitMs);
  return databases.some((database) => database.name === 'trunkline' && Number(database.paused) === 1);
}

/**
 * PAUSE waits until running transactions are over, then holds all clients until RESUME. RECONNECT renews each
 * connection to PostgreSQL once the connection is free. RELOAD reads the configuration file again.
 */
export async function tell(
  bouncer: Bouncer,
  secrets: Secrets,
  what: 'PAUSE trunkline' | 'RESUME trunkline' | 'RECONNECT trunkline' | 'RELOAD',
  limitMs: number,
): Promise<void> {
  await onConsole(bouncer, secrets, 'trunkline_admin', what, limitMs);
}
