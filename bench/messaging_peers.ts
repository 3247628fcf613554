/** Three queues in PostgreSQL that bench/messaging.ts measures side by side: this one, pg-boss and graphile-worker. */
import { Logger, makeWorkerUtils, run } from 'graphile-worker';
import type { Pool as PgPool } from 'pg';
import { PgBoss } from 'pg-boss';
import { Type } from 'typebox';
import { migrate } from '#platform/database/migrate.ts';
import { createPool, type Pool } from '#platform/database/pool.ts';
import { createSession, type Session, transaction } from '#platform/database/session.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { createMessaging } from '#platform/messaging/messaging.ts';
import { MESSAGING } from '#platform/messaging/migrations.ts';
import { publish } from '#platform/messaging/publish.ts';
import { message, work } from '#platform/messaging/topic.ts';

/** What a job says: some 200 bytes, as a notification has them. */
export const BODY = {
  to: 'user 1234567',
  template: 'usage.threshold_reached',
  variables: { note: 'x'.repeat(120) },
};

export interface PeerQueue {
  readonly name: string;
  /** Makes its tables. */
  open(): Promise<void>;
  close(): Promise<void>;
  /** Puts jobs into the queue, in the transaction that the session is in. */
  enqueue(session: Session, jobs: number): Promise<void>;
  /** Takes and completes all jobs with handlers that do nothing, in its fastest way; ends when `jobs` were handled. */
  drain(jobs: number): Promise<void>;
  /** The same as the first example of its documentation sets it up, with at most `jobs` so that it ends within seconds. */
  readonly documented?: { readonly jobs: number; drain(jobs: number): Promise<void> };
}

const QUEUE = 'bench';
const HANDLERS = 10;

/** The queues, each to be made on a database of its own; with how many connections at most. */
export const PEERS: readonly ((url: string, connections: number) => PeerQueue)[] = [ours, pgBoss, graphile];

const poolOf = (url: string, size: number): Pool =>
  createPool({ url, applicationName: 'bench', size, onIdleError: () => undefined });

/** Counts jobs; `all` resolves when so many were handled. */
function counter(jobs: number): { readonly all: Promise<void>; handled(): void } {
  let left = jobs;
  let done = () => {};
  const all = new Promise<void>((resolve) => {
    done = resolve;
  });
  return {
    all,
    handled: () => {
      if (--left === 0) done();
    },
  };
}

const TOPIC = work({ name: QUEUE, version: 1, purpose: 'nothing', body: Type.Unknown() });

function ours(url: string, connections: number): PeerQueue {
  return {
    name: 'Trunkline',
    open: async () => {
      const pool = poolOf(url, 1);
      await migrate(pool, MESSAGING);
      await pool.end();
    },
    close: async () => {},
    enqueue: async (session, jobs) => {
      await publish(
        session,
        Array.from({ length: jobs }, () => message(TOPIC, BODY)),
      );
    },
    drain: async (jobs) => {
      const pool = poolOf(url, connections);
      await drainOurs(pool, jobs);
      await pool.end();
    },
  };
}

/** Takes and completes all jobs. */
async function drainOurs(pool: Pool, jobs: number): Promise<void> {
  const { all, handled } = counter(jobs);
  const onEvent = () => undefined;
  const messaging = createMessaging({
    service: 'bench',
    pool,
    clock: systemClock,
    random: Math.random,
    onEvent,
  });
  messaging.takeWork(TOPIC, async () => void handled(), { concurrency: HANDLERS });
  const stopping = new AbortController();
  const running = messaging.run(stopping.signal);
  await all;
  stopping.abort();
  await running;
}

function pgBoss(url: string, connections: number): PeerQueue {
  const boss = new PgBoss({ connectionString: url, max: connections, supervise: false, schedule: false });
  boss.on('error', () => undefined);
  return {
    name: 'pg-boss',
    open: async () => {
      await boss.start();
      await boss.createQueue(QUEUE);
    },
    close: () => boss.stop({ graceful: false }),
    enqueue: async ({ client }, jobs) => {
      const db = { executeSql: (text: string, values?: unknown[]) => client.query(text, values) };
      if (jobs === 1) await boss.send(QUEUE, BODY, { db });
      else
        await boss.insert(
          QUEUE,
          Array.from({ length: jobs }, () => ({ data: BODY })),
          { db },
        );
    },
    drain: async (jobs) => {
      let left = jobs;
      const loop = async () => {
        while (left > 0) {
          const batch = await boss.fetch(QUEUE, { batchSize: 100 });
          if (batch.length === 0) return;
          await boss.complete(
            QUEUE,
            batch.map(({ id }) => id),
          );
          left -= batch.length;
        }
      };
      await Promise.all(Array.from({ length: connections }, loop));
    },
    documented: {
      // One job each two seconds: its standard for how often a worker looks.
      jobs: 3,
      drain: async (jobs) => {
        const { all, handled } = counter(jobs);
        await boss.work(QUEUE, async () => handled());
        await all;
        await boss.offWork(QUEUE);
      },
    },
  };
}

function graphile(url: string, connections: number): PeerQueue {
  const logger = new Logger(() => () => undefined);
  return {
    name: 'graphile-worker',
    open: async () => {
      const utils = await makeWorkerUtils({ connectionString: url, logger });
      await utils.migrate();
      await utils.release();
    },
    close: async () => {},
    enqueue: async ({ client }, jobs) => {
      if (jobs === 1)
        await client.query('SELECT graphile_worker.add_job($1, $2::json)', [QUEUE, JSON.stringify(BODY)]);
      else {
        const specs = Array.from({ length: jobs }, () => ({ identifier: QUEUE, payload: BODY }));
        await client.query(
          `SELECT graphile_worker.add_jobs(ARRAY(
             SELECT json_populate_recordset(NULL::graphile_worker.job_spec, $1::json)))`,
          [JSON.stringify(specs)],
        );
      }
    },
    documented: {
      jobs: 2_000,
      drain: async (jobs) => {
        const { all, handled } = counter(jobs);
        const runner = await run({
          connectionString: url,
          concurrency: 5,
          pollInterval: 1000,
          taskList: { [QUEUE]: async () => handled() },
          logger,
          noHandleSignals: true,
        });
        await all;
        await runner.stop();
      },
    },
    drain: async (jobs) => {
      const { all, handled } = counter(jobs);
      const runner = await run({
        connectionString: url,
        taskList: { [QUEUE]: async () => handled() },
        logger,
        noHandleSignals: true,
        preset: {
          worker: {
            connectionString: url,
            concurrentJobs: HANDLERS,
            maxPoolSize: connections,
            localQueue: { size: 500 },
            completeJobBatchDelay: 0,
            pollInterval: 100,
            preparedStatements: true,
            logger,
          },
        },
      });
      await all;
      await runner.stop();
    },
  };
}

/** How few statements can do it, for comparison: with a row a job there is nothing cheaper than each of these. */
export const BARE_TAKES = {
  // Taken under a lock alone: whoever takes must stay in its transaction until it is through.
  'bare: select for update, delete': `
    SELECT i_message, id, body FROM messaging.messages WHERE queue = '${QUEUE}' AND state = 'ready'
    ORDER BY priority DESC, i_message LIMIT 500 FOR UPDATE SKIP LOCKED`,
  // Taken under a lease, noted in the row.
  'bare: update, delete': `
    UPDATE messaging.messages SET state = 'leased', due_at = now() + interval '30 s' WHERE i_message = ANY (ARRAY (
      SELECT i_message FROM messaging.messages WHERE queue = '${QUEUE}' AND state = 'ready'
      ORDER BY priority DESC, i_message LIMIT 500 FOR UPDATE SKIP LOCKED)) RETURNING i_message, id, body`,
};

/** Takes all jobs by one of BARE_TAKES, on two connections, and deletes them by their numbers. */
export async function drainBare(pool: Pool, take: string): Promise<void> {
  const loop = () =>
    withConnection(pool, async (session) => {
      for (let taken = 1; taken > 0; )
        await transaction(session, async ({ client }) => {
          const { rows } = await client.query<{ i_message: number }>(take);
          taken = rows.length;
          await client.query('DELETE FROM messaging.messages WHERE i_message = ANY ($1::bigint[])', [
            rows.map(({ i_message }) => i_message),
          ]);
        });
    });
  await Promise.all([loop(), loop()]);
}

/** A connection as a session, for what is enqueued. */
export async function withConnection<T>(pool: PgPool, workOn: (session: Session) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  const onError = (error: Error) => {
    broken = error;
  };
  client.on('error', onError);
  try {
    return await workOn(createSession(client));
  } finally {
    client.off('error', onError);
    client.release(broken);
  }
}
