/** Reads the pools of one PgBouncer: clients that wait for a connection to PostgreSQL, and connections in use. */
import pg from 'pg';
import { destroyConnection } from '#platform/database/pg_internals.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { within } from '#platform/lifecycle/within.ts';
import type { DoorName } from './doors.ts';
import { type Sample, sample } from './samples.ts';

/** A bouncer that is busy with clients that read nothing answers late. */
export const BOUNCER_TIMEOUT_MS = 2_000;
export const BOUNCER_INTERVAL_MS = 2_000;
/** A client that waits for longer for a connection to PostgreSQL finds all connections in use. */
export const LONG_WAIT_S = 1;

/** A PgBouncer whose pools are read. */
export interface BouncerSource {
  readonly name: string;
  /** The door whose clients it serves. */
  readonly door: DoorName;
  /** The URL of its console, with a user of its `stats_users`: postgresql://USER:PASSWORD@HOST:6432/pgbouncer */
  readonly url: string;
}

/** Figures of all pools of a bouncer; NaN: it did not answer. */
export interface BouncerReading {
  readonly source: BouncerSource;
  /** Clients that wait for a connection. */
  readonly waiting: number;
  /** Seconds that the first of them has waited; without clients that PAUSE holds. */
  readonly maxWaitS: number;
  /** Connections to PostgreSQL that clients use, and their maximum. */
  readonly inUse: number;
  readonly size: number;
}

/** The bouncers of a tier. They are read more often than the monitor polls, since clients that read nothing are cut within seconds. */
interface Bouncers {
  /** Reads until the signal, then resolves. */
  run(signal: AbortSignal): Promise<void>;
  /** Reads once more, at once. */
  look(): void;
  /**
   * The figures of the last read, since a frozen bouncer must not delay HAProxy's report of it. `maxWaitS` is the
   * highest since the last call.
   */
  readings(): BouncerReading[];
}

/**
 * @param onWait called when clients begin to wait for long
 * @param read reads one bouncer; readBouncer in production
 */
export function createBouncers(
  sources: readonly BouncerSource[],
  clock: Clock,
  onWait: () => void,
  read: typeof readBouncer = readBouncer,
): Bouncers {
  const last = new Map<BouncerSource, BouncerReading>();
  const longest = new Map<BouncerSource, number>();

  async function look(source: BouncerSource): Promise<void> {
    const reading = await read(source, clock);
    const isLong = (one: BouncerReading | undefined) => (one?.maxWaitS ?? 0) > LONG_WAIT_S;
    const isNew = isLong(reading) && !isLong(last.get(source));
    last.set(source, reading);
    if (!Number.isNaN(reading.maxWaitS))
      longest.set(source, Math.max(reading.maxWaitS, longest.get(source) ?? 0));
    if (isNew) onWait();
  }

  async function repeat(source: BouncerSource, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const next = clock.monotonic() + BOUNCER_INTERVAL_MS;
      await look(source);
      await clock.sleep(Math.max(0, next - clock.monotonic()), signal).catch(() => undefined);
    }
  }

  return {
    run: async (signal) => {
      await Promise.all(sources.map((source) => repeat(source, signal)));
    },
    look: () => {
      for (const source of sources) void look(source);
    },
    readings: () =>
      [...last.values()].map((reading) => {
        const maxWaitS = longest.get(reading.source) ?? reading.maxWaitS;
        longest.delete(reading.source);
        return { ...reading, maxWaitS };
      }),
  };
}

type Row = Readonly<Record<string, string | null>>;

/** Reads one bouncer; never rejects. */
export async function readBouncer(source: BouncerSource, clock: Clock): Promise<BouncerReading> {
  try {
    return await within(clock, BOUNCER_TIMEOUT_MS, `asking ${source.name}`, async (signal) => {
      const { pools, databases } = await askConsole(source.url, signal);
      return { source, ...countPools(pools, databases) };
    });
  } catch {
    // HAProxy reports that it is down.
    const unknown = Number.NaN;
    return { source, waiting: unknown, maxWaitS: unknown, inUse: unknown, size: unknown };
  }
}

/**
 * @param pools rows of SHOW POOLS, one for each database and user
 * @param databases rows of SHOW DATABASES
 */
export function countPools(pools: readonly Row[], databases: readonly Row[]): Omit<BouncerReading, 'source'> {
  let [waiting, maxWaitS, inUse, size] = [0, 0, 0, 0];
  // The console itself is a pool named `pgbouncer`.
  const own = pools.filter(({ database }) => database !== 'pgbouncer');
  for (const [name, ofDatabase] of Map.groupBy(own, ({ database }) => database)) {
    const database = databases.find((one) => one.name === name);
    const poolSize = number(database?.pool_size);
    const most = number(database?.max_connections) || Number.POSITIVE_INFINITY;
    size += Math.min(most, poolSize * ofDatabase.length);
    const isPaused = number(database?.paused) === 1;
    for (const pool of ofDatabase) {
      waiting += number(pool.cl_waiting);
      inUse += number(pool.sv_active);
      if (!isPaused)
        maxWaitS = Math.max(maxWaitS, number(pool.maxwait) + number(pool.maxwait_us) / 1_000_000);
    }
  }
  // Before the first client there is no pool.
  return { waiting, maxWaitS, inUse, size: size || Number.NaN };
}

const number = (text: string | null | undefined): number => Number(text ?? 0);

/** The samples of a bouncer, by the names in the rules. */
export const bouncerSamples = ({ source, waiting, maxWaitS, inUse, size }: BouncerReading): Sample[] => {
  const labels = { door: source.door, server: source.name };
  return [
    sample('monitor_bouncer_clients_waiting', labels, waiting),
    sample('monitor_bouncer_max_wait_seconds', labels, maxWaitS),
    sample('monitor_bouncer_connections_in_use', labels, inUse),
    sample('monitor_bouncer_pool_size', labels, size),
  ];
};

/** The console supports only the simple protocol, without parameters. */
async function askConsole(url: string, signal: AbortSignal): Promise<{ pools: Row[]; databases: Row[] }> {
  const client = new pg.Client({ connectionString: url, application_name: 'trunkline-monitor' });
  // A frozen bouncer would not answer a regular end of the connection.
  const cut = () => destroyConnection(client);
  client.on('error', () => {});
  signal.addEventListener('abort', cut, { once: true });
  try {
    await client.connect();
    const pools = await client.query<Row>('SHOW POOLS');
    const databases = await client.query<Row>('SHOW DATABASES');
    return { pools: pools.rows, databases: databases.rows };
  } finally {
    signal.removeEventListener('abort', cut);
    cut();
  }
}
