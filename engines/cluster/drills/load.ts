/**
 * The load of a drill: clients that write and read through the tier as services do, each with a connection of its own.
 * Every write has a number; at the end, the drill looks for all acknowledged writes.
 *
 *   request    one statement, with the connecting that it needs
 *   answered   the statement succeeded; so does a read whose connection was lost when its one retry succeeds
 *   failed     the statement failed, or had no answer within REQUEST_LIMIT_MS
 */
import pg from 'pg';
import { destroyConnection } from '#platform/database/pg_internals.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { backoffMs } from '#platform/resilience/retry.ts';
import type { Node } from '../layout.ts';
import { waitFor } from '../readiness.ts';
import type { Tier } from '../tier.ts';

export const REQUEST_LIMIT_MS = 10_000;
const CONNECT_LIMIT_MS = 5_000;
const REPLICATED_LIMIT_MS = 30_000;
/** Pause between two requests of a client: short enough to measure, long enough to leave two CPUs free for other work. */
const PAUSE_MS = 25;
/** Pause after a failure, so that a dead tier is not flooded. */
const PAUSE_AFTER_FAILURE_MS = 50;

export type Kind = 'write' | 'read';

export interface LoadOptions {
  readonly tier: Tier;
  readonly clock: Clock;
  readonly writers: number;
  readonly readers: number;
  /** A client renews its connection, between two requests, after this long, less up to half of it at random. */
  readonly connectionLifetimeMs?: number | undefined;
}

export interface Failure {
  readonly kind: Kind;
  /** Of the request, on the clock's monotonic scale. */
  readonly startedAt: number;
  readonly endedAt: number;
  readonly message: string;
}

export interface KindReport {
  readonly answered: number;
  readonly failed: number;
  /** Reads answered at the second try. */
  readonly retried: number;
  /** The longest time in which no client at all was answered. */
  readonly longestSilenceMs: number;
  /** The longest time that one client waited from one answer to the next, its pauses included. */
  readonly longestClientWaitMs: number;
}

export interface AcknowledgedWrite {
  readonly writer: number;
  readonly number: number;
  readonly acknowledgedAt: number;
}

export interface LoadReport {
  readonly write: KindReport;
  readonly read: KindReport;
  readonly failures: readonly Failure[];
  readonly acknowledged: readonly AcknowledgedWrite[];
}

export interface Load {
  /** Resolves once every client was answered at least once after this call; rejects when the signal is aborted. */
  everyoneAnswered(kind: Kind, limitMs: number, signal?: AbortSignal): Promise<boolean>;
  failures(): readonly Failure[];
  /** Lets running requests end, and reports the results. */
  stop(): Promise<LoadReport>;
}

interface LoadClient {
  readonly kind: Kind;
  readonly index: number;
  answers: number;
  lastAnswerAt: number;
  longestWaitMs: number;
}

/** Makes a new table of the load, and waits until every replica has it. */
export async function prepareLoad(tier: Tier): Promise<void> {
  const position = await onLeader(tier, async (client) => {
    await client.query('DROP SCHEMA IF EXISTS drill CASCADE');
    await client.query('CREATE SCHEMA drill');
    await client.query(
      'CREATE TABLE drill.written (writer int, number int, at timestamptz DEFAULT now(), PRIMARY KEY (writer, number))',
    );
    return (await client.query<{ lsn: string }>('SELECT pg_current_wal_lsn() AS lsn')).rows[0]!.lsn;
  });
  const there = 'SELECT NOT pg_is_in_recovery() OR pg_last_wal_replay_lsn() >= $1::pg_lsn AS there';
  for (const node of tier.layout.nodes) {
    await waitFor(REPLICATED_LIMIT_MS, async () => {
      const { rows } = await onNode(node, tier, (client) =>
        client.query<{ there: boolean }>(there, [position]),
      );
      return rows[0]?.there ? undefined : `${node.name} has not replayed ${position} yet`;
    });
  }
}

export async function removeLoad(tier: Tier): Promise<void> {
  await onLeader(tier, (client) => client.query('DROP SCHEMA IF EXISTS drill CASCADE'));
}

/** The acknowledged writes that are not in the database. */
export async function lostWrites(
  tier: Tier,
  report: Pick<LoadReport, 'acknowledged'>,
): Promise<AcknowledgedWrite[]> {
  const kept = new Set<string>();
  await onLeader(tier, async (client) => {
    const rows = await client.query<{ writer: number; number: number }>(
      'SELECT writer, number FROM drill.written',
    );
    for (const row of rows.rows) kept.add(`${row.writer}/${row.number}`);
  });
  return report.acknowledged.filter((write) => !kept.has(`${write.writer}/${write.number}`));
}

/** Connects through the door for writes. */
export const onLeader = <T>(tier: Tier, work: (client: pg.Client) => Promise<T>) =>
  onUrl(tier.writeUrl, work);

async function onUrl<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_LIMIT_MS });
  client.on('error', () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Connects without HAProxy and PgBouncer. */
async function onNode<T>(node: Node, tier: Tier, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const url = new URL(tier.writeUrl);
  url.host = `${node.host}:${node.port}`;
  return onUrl(url.href, work);
}

/** Starts the clients; they go on until `stop`. */
export function startLoad(options: LoadOptions): Load {
  const { clock, tier } = options;
  const failures: Failure[] = [];
  const acknowledged: AcknowledgedWrite[] = [];
  const retried = { write: 0, read: 0 };
  const silence = { write: createGap(clock), read: createGap(clock) };
  let stopping = false;

  const makeClient = (kind: Kind, index: number): LoadClient => {
    return { kind, index, answers: 0, lastAnswerAt: clock.monotonic(), longestWaitMs: 0 };
  };
  const clients = [
    ...Array.from({ length: options.writers }, (_, i) => makeClient('write', i)),
    ...Array.from({ length: options.readers }, (_, i) => makeClient('read', i)),
  ];

  function answered(client: LoadClient): void {
    const now = clock.monotonic();
    client.answers += 1;
    client.longestWaitMs = Math.max(client.longestWaitMs, now - client.lastAnswerAt);
    client.lastAnswerAt = now;
    silence[client.kind].note(now);
  }

  async function run(client: LoadClient): Promise<void> {
    const connection = createConnection(
      client.kind === 'write' ? tier.writeUrl : tier.readUrl,
      clock,
      options.connectionLifetimeMs,
    );
    for (let number = 0; !stopping; number++) {
      const startedAt = clock.monotonic();
      try {
        if (client.kind === 'write') {
          await connection.ask('INSERT INTO drill.written (writer, number) VALUES ($1, $2)', [
            client.index,
            number,
          ]);
          acknowledged.push({ writer: client.index, number, acknowledgedAt: clock.monotonic() });
        } else {
          await readWithOneRetry(connection, clock, () => {
            retried.read += 1;
          });
        }
        answered(client);
        await clock.sleep(PAUSE_MS);
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        failures.push({ kind: client.kind, startedAt, endedAt: clock.monotonic(), message });
        await clock.sleep(PAUSE_AFTER_FAILURE_MS);
      }
    }
    connection.close();
  }

  const running = clients.map(run);
  return {
    failures: () => failures,
    everyoneAnswered: async (kind, limitMs, signal) => {
      const of = clients.filter((client) => client.kind === kind);
      const before = new Map(of.map((client) => [client, client.answers]));
      const deadline = clock.monotonic() + limitMs;
      while (!of.every((client) => client.answers > before.get(client)!)) {
        if (clock.monotonic() > deadline) return false;
        await clock.sleep(10, signal);
      }
      return true;
    },
    stop: async () => {
      stopping = true;
      await Promise.all(running);
      const reportOf = (kind: Kind): KindReport => {
        const of = clients.filter((client) => client.kind === kind);
        return {
          answered: of.reduce((sum, client) => sum + client.answers, 0),
          failed: failures.filter((failure) => failure.kind === kind).length,
          retried: retried[kind],
          longestSilenceMs: Math.round(silence[kind].longestMs()),
          longestClientWaitMs: Math.round(Math.max(0, ...of.map((client) => client.longestWaitMs))),
        };
      };
      return { write: reportOf('write'), read: reportOf('read'), failures, acknowledged };
    },
  };
}

/** The longest time between two noted moments, and from the last one until now. */
function createGap(clock: Clock): { note(now: number): void; longestMs(): number } {
  let last = clock.monotonic();
  let longest = 0;
  return {
    note: (now) => {
      longest = Math.max(longest, now - last);
      last = now;
    },
    longestMs: () => longest,
  };
}

/** A client's connection, made when it is needed. */
export interface Connection {
  /** @throws Error; the connection is closed then, and the next request makes a new one */
  ask(sql: string, parameters?: unknown[]): Promise<pg.QueryResult>;
  close(): void;
}

/**
 * A read is safe to repeat: when its connection is lost it is retried once, after the same pause as in services. An immediate
 * retry could meet the second cut: where a replica becomes primary, the HAProxy processes end their connections to it at
 * different moments, some 20 ms apart.
 */
export async function readWithOneRetry(
  connection: Connection,
  clock: Clock,
  onRetry: () => void,
): Promise<void> {
  const sql = 'SELECT count(*) FROM (SELECT FROM drill.written LIMIT 10) AS few';
  try {
    await connection.ask(sql);
  } catch {
    await clock.sleep(backoffMs(1, { random: Math.random }));
    await connection.ask(sql);
    onRetry();
  }
}

/** @param lifetimeMs the connection is renewed after so long, less up to half of it at random; undefined: never */
export function createConnection(url: string, clock: Clock, lifetimeMs?: number): Connection {
  let client: pg.Client | undefined;
  let renewAt = Number.POSITIVE_INFINITY;

  const close = (): void => {
    const old = client;
    client = undefined;
    if (!old) return;
    // A frozen server answers no Terminate message: cut the socket if it does not close by then.
    void old.end().catch(() => undefined);
    clock.after(1_000, () => destroyConnection(old));
  };

  return {
    close,
    ask: async (sql, parameters) => {
      if (clock.monotonic() > renewAt) close();
      try {
        if (!client) {
          client = new pg.Client({
            connectionString: url,
            application_name: 'trunkline drill',
            connectionTimeoutMillis: CONNECT_LIMIT_MS,
            query_timeout: REQUEST_LIMIT_MS,
          });
          client.on('error', () => {});
          await client.connect();
          if (lifetimeMs) renewAt = clock.monotonic() + lifetimeMs * (0.5 + Math.random() / 2);
        }
        return await client.query(sql, parameters);
      } catch (error) {
        close();
        throw error;
      }
    },
  };
}
