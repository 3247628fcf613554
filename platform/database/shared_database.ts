/**
 * The databases that a process works on, each a primary with its replicas, lent to services. Services that name the same primary
 * (host, port, database and user) share it: whoever asks first opens it, whoever gives it back last closes it.
 *
 * Replica lag is measured by a heartbeat: while there are replicas, the primary's health check writes the primary's time
 * into a row, and each replica's check reads the row. A replica has everything up to the beat that was last seen there,
 * so its lag is the age of that beat: at most so far behind, whatever keeps it. A replica that keeps up shows up to a
 * check's interval, twice. Of its own beats this process knows when they were, by its monotonic clock; those of another
 * process are told by the primary's clock, and each beat tells how far that is from this process's.
 */
import type { ClientBase } from 'pg';
import { isDiskFull } from '#platform/resilience/failure_rule.ts';
import { errorText } from '#platform/telemetry/error_text.ts';
import type { Logger } from '#platform/telemetry/logger.ts';
import { addressOf } from './address.ts';
import { closePool, createPool, type Pool } from './pool.ts';
import {
  CLIENT_TIMEOUT_SLACK_MS,
  createSharedServer,
  type SharedServer,
  type SharedServerOptions,
} from './shared_server.ts';

/** More than a replica that is not far too late can be behind. */
const BEATS_KEPT = 1_000;
const UNDEFINED_TABLE = '42P01';

export interface SharedReplica {
  readonly server: SharedServer;
  /** Seconds behind the primary; null while unknown. */
  readonly lagS: number | null;
}

/** A database as one of its services has it. */
export interface LentDatabase {
  readonly primary: SharedServer;
  readonly replicas: readonly SharedReplica[];
  /** On the primary, for messages alone: work that holds all other connections must not cost a message its lease. */
  readonly messagePool: Pool;
  /** Health is checked as long as one service wants it to be. */
  startMonitors(): void;
  stopMonitors(): Promise<void>;
  /** The last one to give it back closes all connections. */
  giveBack(): Promise<void>;
}

/** What a service needs; of those that share a database, the first one's settings hold. */
export interface LentDatabaseOptions
  extends Omit<SharedServerOptions, 'name' | 'url' | 'applicationName' | 'logger' | 'healthCheck'> {
  readonly primaryUrl: string;
  readonly replicaUrls: readonly string[];
  /** A table of one row (`id boolean PRIMARY KEY`, `at timestamptz`) that the heartbeat is kept in. */
  readonly heartbeatTable: string;
}

export interface Databases {
  lend(options: LentDatabaseOptions): LentDatabase;
}

interface OpenDatabase {
  readonly primary: SharedServer;
  readonly replicas: readonly SharedReplica[];
  readonly messagePool: Pool;
  users: number;
  watchers: number;
}

/** @param about how the connections are called in pg_stat_activity, and who is told of what happens to servers */
export function createDatabases(about: {
  readonly applicationName: string;
  readonly logger: Logger;
}): Databases {
  const open = new Map<string, OpenDatabase>();
  return {
    lend(options) {
      const address = addressOf(options.primaryUrl);
      const database = open.get(address) ?? {
        ...openDatabase({ ...options, ...about }),
        users: 0,
        watchers: 0,
      };
      open.set(address, database);
      database.users++;
      const servers = [database.primary, ...database.replicas.map(({ server }) => server)];
      let watches = false;
      return {
        primary: database.primary,
        replicas: database.replicas,
        messagePool: database.messagePool,
        startMonitors() {
          watches = true;
          if (database.watchers++ === 0) for (const { monitor } of servers) monitor.start();
        },
        async stopMonitors() {
          if (!watches) return;
          watches = false;
          if (--database.watchers === 0) await Promise.all(servers.map(({ monitor }) => monitor.stop()));
        },
        async giveBack() {
          if (--database.users > 0) return;
          open.delete(address);
          await Promise.all([...servers.map((server) => server.close()), closePool(database.messagePool)]);
        },
      };
    },
  };
}

function openDatabase(
  options: LentDatabaseOptions & { readonly applicationName: string; readonly logger: Logger },
): Pick<OpenDatabase, 'primary' | 'replicas' | 'messagePool'> {
  const { clock, heartbeatTable } = options;
  /** How far the primary's wall clock is ahead of this process's monotonic one. */
  let aheadMs = 0;
  /** This process's beats, by what they wrote: when each was begun, monotonic. */
  const beats = new Map<string, number>();
  const beat = async (client: ClientBase) => {
    const begunAt = clock.monotonic();
    const beaten = `INSERT INTO ${heartbeatTable} VALUES (true, clock_timestamp())
       ON CONFLICT (id) DO UPDATE SET at = excluded.at RETURNING at`;
    const { rows } = await client.query<{ at: string }>(beaten).catch((error) => {
      // It answers, and reads what it is asked.
      if (isDiskFull(error)) return { rows: [] };
      throw error;
    });
    if (!rows[0]) return;
    const { at } = rows[0];
    aheadMs = Date.parse(at) - clock.monotonic();
    beats.set(at, begunAt);
    if (beats.size > BEATS_KEPT) beats.delete(beats.keys().next().value!);
  };

  function openReplica(url: string, index: number): SharedReplica {
    /** When the beat was begun that was last seen there, monotonic. */
    let beatAt: number | undefined;
    const healthCheck = async (client: ClientBase) => {
      try {
        const { rows } = await client.query<{ at: string }>(`SELECT at FROM ${heartbeatTable}`);
        const at = rows[0]?.at;
        beatAt = at === undefined ? undefined : (beats.get(at) ?? Date.parse(at) - aheadMs);
      } catch (error) {
        // A replica that has not replayed the first migration yet is behind, not down.
        if ((error as { code?: string }).code !== UNDEFINED_TABLE) throw error;
      }
    };
    return {
      server: createSharedServer({ ...options, name: `replica ${index + 1}`, url, healthCheck }),
      get lagS() {
        if (beatAt === undefined) return null;
        return Math.max(0, Math.round(clock.monotonic() - beatAt)) / 1000;
      },
    };
  }

  const url = options.primaryUrl;
  const withReplicas = options.replicaUrls.length > 0;
  return {
    primary: createSharedServer({
      ...options,
      name: 'primary',
      url,
      ...(withReplicas && { healthCheck: beat }),
    }),
    replicas: options.replicaUrls.map(openReplica),
    messagePool: createMessagePool(options),
  };
}

/** Connections for the messages of all services of a process on one server; opened when they are needed. */
const MESSAGE_CONNECTIONS = 4;

/** A pool for messages alone. @param options those of the server that it leads to */
export const createMessagePool = ({
  primaryUrl: url,
  applicationName,
  logger,
  ...options
}: Pick<
  LentDatabaseOptions,
  'primaryUrl' | 'queryTimeoutMs' | 'connectionLifetimeMs' | 'clock' | 'random'
> & {
  readonly applicationName: string;
  readonly logger: Logger;
}): Pool =>
  createPool({
    url,
    applicationName: `${applicationName}-messages`,
    size: MESSAGE_CONNECTIONS,
    statementTimeoutMs: options.queryTimeoutMs,
    queryTimeoutMs: options.queryTimeoutMs + CLIENT_TIMEOUT_SLACK_MS,
    lifetime: { maxMs: options.connectionLifetimeMs, clock: options.clock, random: options.random },
    onIdleError: (error) => logger.warn({ reason: errorText(error) }, 'idle connection of messages lost'),
  });
