/**
 * Work queues in PostgreSQL, side by side in one run: what a job costs beside the row that it belongs to, how many are put in by
 * 100 a transaction, how many are taken and completed. The peers are pg-boss and graphile-worker, each in the fastest way that it
 * documents, and as the first example of its documentation sets it up. The bare statements on the same rows stand beside them.
 * Each way has a database of its own on one server, durable as a production server is.
 */
import { join } from 'node:path';
import { startPostgres } from '#engines/postgres.ts';
import { createPool, type Pool } from '#platform/database/pool.ts';
import { transaction } from '#platform/database/session.ts';
import { runBench, stoppedAtEnd, temporaryFolder } from './ending.ts';
import { BARE_TAKES, drainBare, PEERS, type PeerQueue, withConnection } from './messaging_peers.ts';
import { benchOptions, finish, quantile } from './report.ts';

const CONNECTIONS = 8;
const BATCH = 100;

const options = benchOptions(
  'messaging',
  'work queues in PostgreSQL beside pg-boss and graphile-worker',
  { seconds: '5', jobs: '50000', rounds: '3' },
  { seconds: 'of each way to put jobs in', jobs: 'to be taken and completed' },
);
const [seconds, jobs, rounds] = ['seconds', 'jobs', 'rounds'].map((name) => Number(options.values[name]));

interface Figures {
  readonly single: number[];
  readonly batches: number[];
  readonly drained: number[];
  readonly documented: number[];
}

await runBench(async (atEnd) => {
  const folder = await temporaryFolder(atEnd);
  const server = await stoppedAtEnd(
    atEnd,
    startPostgres({ folder: join(folder, 'postgres'), database: 'bench' }),
  );
  const bare: number[] = [];
  const bareDrained = Object.entries(BARE_TAKES).map(([name, take]) => ({
    name,
    take,
    figures: [] as number[],
  }));
  const admin = createPool({
    url: server.url,
    applicationName: 'bench',
    size: 1,
    onIdleError: () => undefined,
  });
  for (const [index] of PEERS.entries()) await admin.query(`CREATE DATABASE bench_${index}`);
  await admin.end();
  const queues: { readonly queue: PeerQueue; readonly pool: Pool; readonly figures: Figures }[] = [];
  for (const [index, make] of PEERS.entries()) {
    const url = urlOf(server.url, index);
    const queue = make(url, CONNECTIONS);
    await queue.open();
    const pool = createPool({
      url,
      applicationName: 'bench',
      size: CONNECTIONS,
      onIdleError: () => undefined,
    });
    await pool.query('CREATE TABLE business (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, what text)');
    queues.push({ queue, pool, figures: { single: [], batches: [], drained: [], documented: [] } });
  }
  for (let round = 0; round < rounds!; round++) {
    bare.push(await perSecond(queues[0]!.pool, 1, async () => {}));
    for (const { queue, pool, figures } of queues) {
      figures.single.push(await perSecond(pool, 1, (session) => queue.enqueue(session, 1)));
      figures.batches.push(await perSecond(pool, BATCH, (session) => queue.enqueue(session, BATCH)));
      figures.drained.push(await drained(pool, queue, jobs!, () => queue.drain(jobs!)));
      const { documented } = queue;
      if (documented)
        figures.documented.push(
          await drained(pool, queue, documented.jobs, () => documented.drain(documented.jobs)),
        );
    }
    const { pool, queue } = queues[0]!;
    for (const { take, figures } of bareDrained)
      figures.push(await drained(pool, queue, jobs!, () => drainBare(pool, take)));
  }
  for (const { queue, pool } of queues) {
    await queue.close();
    await pool.end();
  }
  const median = (values: readonly number[]) => Math.round(quantile(values, 0.5));
  const medians = queues.map(({ queue: { name }, figures: { single, batches, drained } }) => {
    return { name, single: median(single), batches: median(batches), drained: median(drained) };
  });
  const documented = queues.filter(({ queue }) => queue.documented);
  const [own, ...others] = medians;
  const better = (pick: (figures: (typeof medians)[number]) => number) => {
    const best = Math.max(...others.map(pick));
    return `${(pick(own!) / best).toFixed(2)} × the better of ${others.map(({ name }) => name).join(' and ')}`;
  };
  const share = Math.round((100 * own!.single) / median(bare));
  const headlines = [
    {
      figure: 'take and complete',
      value: `${own!.drained} jobs/s`,
      ratio: better(({ drained }) => drained),
      expected: '≥ 3 ×',
    },
    {
      figure: `put in by ${BATCH} a transaction`,
      value: `${own!.batches} jobs/s`,
      ratio: better(({ batches }) => batches),
      expected: '≥ 1.8 ×',
    },
    {
      figure: 'business row and 1 job',
      value: `${own!.single} transactions/s, ${share} % of the row alone`,
      ratio: better(({ single }) => single),
      expected: '≥ 1.2 ×',
    },
  ];
  finish(
    options,
    `${CONNECTIONS} connections, ${rounds} rounds, medians; the business row alone: ${median(bare)} transactions/s`,
    [
      ['', 'row + 1 job, transactions/s', `jobs/s by ${BATCH} a transaction`, 'jobs/s taken and completed'],
      ...medians.map(({ name, single, batches, drained }) => [name, single, batches, drained]),
      ...documented.map(({ queue: { name }, figures }) => [
        `${name}, as its documentation sets it up`,
        '',
        '',
        quantile(figures.documented, 0.5).toFixed(1),
      ]),
      ...bareDrained.map(({ name, figures }) => [name, '', '', median(figures)]),
      [],
      ...headlines.map(({ figure, value, ratio, expected }) => [figure, value, ratio, expected]),
    ],
    headlines,
  );
});

function urlOf(server: string, index: number): string {
  const url = new URL(server);
  url.pathname = `/bench_${index}`;
  return url.href;
}

/** Transactions of one business row and what `enqueue` does, from all connections; how many `units` of them a second. */
async function perSecond(
  pool: Pool,
  units: number,
  enqueue: (session: Parameters<PeerQueue['enqueue']>[0]) => Promise<void>,
): Promise<number> {
  const began = performance.now();
  const until = began + seconds! * 1000;
  let transactions = 0;
  const loop = () =>
    withConnection(pool, async (session) => {
      while (performance.now() < until) {
        await transaction(session, async (on) => {
          if (units === 1) await on.client.query("INSERT INTO business (what) VALUES ('a call')");
          await enqueue(on);
        });
        transactions++;
      }
    });
  await Promise.all(Array.from({ length: CONNECTIONS }, loop));
  return ((transactions * units) / (performance.now() - began)) * 1000;
}

/** Puts jobs in, and tells how many of them a second `drain` takes and completes. */
async function drained(
  pool: Pool,
  queue: PeerQueue,
  count: number,
  drain: () => Promise<void>,
): Promise<number> {
  await empty(pool, queue);
  for (let put = 0; put < count; put += BATCH)
    await withConnection(pool, (session) =>
      transaction(session, (on) => queue.enqueue(on, Math.min(BATCH, count - put))),
    );
  const began = performance.now();
  await drain();
  return (count / (performance.now() - began)) * 1000;
}

/** What was put in goes at once, so that each round takes from a queue of its size. */
async function empty(pool: Pool, queue: PeerQueue): Promise<void> {
  const tables = {
    Trunkline: 'messaging.messages',
    'pg-boss': 'pgboss.job',
    'graphile-worker': 'graphile_worker._private_jobs',
  };
  await pool.query(`TRUNCATE ${tables[queue.name as keyof typeof tables]}`);
}
