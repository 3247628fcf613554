/**
 * More requests than the database can answer: how many are still answered in time, and how much of the database's work
 * goes into answers that nobody waits for any more.
 *
 *   service fifo, adaptive   trunkline serve calls, with each order of its queue
 *   Fastify + pg             the same queries behind Fastify and node-postgres with its pool: what most services are
 *
 * Customers of 20 accounts come at random, at 1, 2, 5 and 10 times what the database can do, and hang up when their time
 * is over. Each page keeps its connection for `--work` milliseconds in PostgreSQL (a sleep, in the place of a disk or of another
 * machine's processors): so the connections are what is short, and not the processors, which both ends share here.
 * PostgreSQL counts for itself what it begins: what is begun and not answered in time was for nothing.
 *
 * And what customers feel of others who ask for much: the time of pages alone and beside each kind of heavy work.
 */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startPostgres } from '#engines/postgres.ts';
import { createPool, type Pool, withSession } from '#platform/database/pool.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { visibleAccount } from '#services/calls/store/accounts.ts';
import { THE_PROGRAM } from '#services/calls/store/audit.ts';
import { pageOfCalls } from '#services/calls/store/calls.ts';
import { createKey } from '#services/identity/keys.ts';
import { keyPlaces } from '#system';
import { type AtEnd, runBench, stoppedAtEnd, temporaryFolder } from './ending.ts';
import { besideHeavyWork } from './overload_beside.ts';
import type { LoadOrder, LoadReport } from './overload_load.ts';
import { fillCalls } from './page_calls.ts';
import { endChild, said, startProgram } from './program.ts';
import { benchOptions, finish, type Row, ratio } from './report.ts';

const CONNECTIONS = 10;
const CUSTOMERS = 20;
const CALLS = 20_000;
const LOADS = [1, 2, 5, 10];
const WARM_UP_S = 3;
const CAPACITY_S = 3;

const options = benchOptions(
  'overload',
  'More requests than the database can answer',
  { seconds: '6', deadline: '2', work: '100', only: '' },
  {
    seconds: 'of each load',
    deadline: 'seconds that a customer waits',
    work: 'milliseconds that a page keeps its connection',
    only: 'the services with this in their name: fifo, adaptive, pg; or beside: pages beside heavy work',
  },
);
const seconds = Number(options.values.seconds);
const deadlineS = Number(options.values.deadline);
const workMs = Number(options.values.work);
const run = promisify(execFile);
const besideThis = (file: string) => fileURLToPath(new URL(file, import.meta.url));

interface Target {
  readonly name: string;
  /** It prints its address when it is ready. */
  start(): ChildProcess;
}

await runBench(async (atEnd) => {
  const { only } = options.values;
  const beside = 'pages beside heavy work'.includes(only!)
    ? await besideHeavyWork(atEnd, seconds)
    : { rows: [], headlines: [] };
  const folder = await temporaryFolder(atEnd);
  const starting = startPostgres({ folder: join(folder, 'postgres'), database: 'trunkline' });
  const postgres = await stoppedAtEnd(atEnd, starting);
  const pool = createPool({
    url: postgres.url,
    applicationName: 'bench',
    size: 2,
    onIdleError: () => undefined,
  });
  atEnd(() => pool.end());
  const customers = await prepare(pool);
  const rows: Row[] = [
    [
      '',
      'offered/s',
      'answered/s',
      'of peak',
      'p50 ms',
      'p99 ms',
      'turned away/s',
      'hung up/s',
      'database work for nothing',
    ],
  ];
  const capacity = await measureCapacity(postgres.url);
  for (const target of targets(postgres.url).filter(({ name }) => name.includes(only!)))
    rows.push(...(await measure(target, pool, customers, capacity, atEnd)));
  const title = `${CONNECTIONS} connections × ${workMs} ms: ${capacity} pages/s at most; ${CUSTOMERS} customers who wait ${deadlineS} s`;
  const headlines = rows
    .filter(([name]) => String(name).endsWith(`, ${LOADS.at(-1)} ×`))
    .map(([name, , answered, ofPeak, , , , , forNothing]) => ({
      figure: `answered in time, ${name}`,
      value: `${answered}/s`,
      ratio: `${ofPeak} of its peak; ${forNothing} of the database's work for nothing`,
      ...(String(name).startsWith('service') && { expected: '≥ 95 %, < 1 %' }),
    }));
  finish(options, title, [...rows, [], ...beside.rows], [...headlines, ...beside.headlines]);
});

/** Accounts, calls and keys; and a page's cost, by way of the account that every page reads first. */
async function prepare(pool: Pool): Promise<LoadOrder['customers']> {
  await fillCalls(pool, CALLS);
  const customers = [];
  for (let iAccount = 1; iAccount <= CUSTOMERS; iAccount++) {
    const { key } = await createKey(
      keyPlaces(pool),
      { name: 'bench', scope: 'customer', iAccount, expiresAt: null },
      THE_PROGRAM,
    );
    customers.push({ key, path: `/cdrs?i_account=${iAccount}&limit=20&with_total=false` });
  }
  await pool.query(
    `CREATE SCHEMA bench;
     CREATE SEQUENCE bench.begun;
     -- Once a statement, however often it looks at accounts. Sequences count what is cancelled too.
     CREATE FUNCTION bench.work() RETURNS boolean LANGUAGE plpgsql AS $$
     BEGIN
       IF current_setting('bench.statement', true) IS DISTINCT FROM statement_timestamp()::text THEN
         PERFORM set_config('bench.statement', statement_timestamp()::text, false);
         PERFORM nextval('bench.begun');
         PERFORM pg_sleep(${workMs / 1000});
       END IF;
       RETURN true;
     END $$;
     ALTER TABLE calls.accounts RENAME TO accounts_kept;
     CREATE VIEW calls.accounts AS SELECT * FROM calls.accounts_kept WHERE bench.work()`,
  );
  return customers;
}

async function begun(pool: Pool): Promise<number> {
  const { rows } = await pool.query('SELECT last_value::int AS begun FROM bench.begun');
  return rows[0].begun;
}

/** Pages a second of as many connections as the servers have, with nothing before them. */
async function measureCapacity(url: string): Promise<number> {
  const pool = createPool({ url, applicationName: 'bench', size: CONNECTIONS, onIdleError: () => undefined });
  const page = pageOfCalls({ iAccount: 1, type: 'all' }, 'desc', undefined, 21);
  const account = visibleAccount(1, 1);
  let pages = 0;
  let end = Number.POSITIVE_INFINITY;
  const client = async () => {
    while (performance.now() < end) {
      await withSession(pool, async (session) => [await session.rows(account), await session.rows(page)]);
      pages++;
    }
  };
  const clients = Array.from({ length: CONNECTIONS }, client);
  await systemClock.sleep(WARM_UP_S * 1000);
  const [from, before] = [performance.now(), pages];
  end = from + CAPACITY_S * 1000;
  await Promise.all(clients);
  const perSecond = (pages - before) / ((performance.now() - from) / 1000);
  await pool.end();
  return Math.round(perSecond);
}

function targets(url: string): Target[] {
  const service = (order: string): Target => ({
    name: `service, ${order}`,
    start: () =>
      startProgram(['serve', 'calls'], {
        PATH: process.env.PATH,
        DATABASE_URL: url,
        CALLS_PORT: '0',
        POOL_SIZE: String(CONNECTIONS),
        QUEUE_ORDER: order,
        RATE_LIMIT_PER_MINUTE: '10000000',
        LOG_LEVEL: 'silent',
      }),
  });
  const peer: Target = {
    name: 'Fastify + pg',
    start: () =>
      spawn(process.execPath, [besideThis('overload_peer.ts'), url, String(CONNECTIONS)], {
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
  };
  return [service('fifo'), service('adaptive'), peer];
}

async function measure(
  target: Target,
  pool: Pool,
  customers: LoadOrder['customers'],
  capacity: number,
  atEnd: AtEnd,
): Promise<Row[]> {
  const measured: { report: LoadReport; load: number; wasted: number }[] = [];
  for (const load of LOADS) {
    // Started anew: what is left of an overload would be in the next one's way.
    const server = target.start();
    atEnd(() => endChild(server));
    const url = await said(server, /http:\S+/);
    const before = await begun(pool);
    const order: LoadOrder = {
      ...{ url, customers, perSecond: load * capacity, warmUpS: WARM_UP_S, seconds, deadlineS },
    };
    const { stdout } = await run(process.execPath, [besideThis('overload_load.ts'), JSON.stringify(order)]);
    const report = JSON.parse(stdout) as LoadReport;
    const work = (await begun(pool)) - before;
    await endChild(server);
    measured.push({ report, load, wasted: Math.max(0, work - report.answeredInAll) / work });
  }
  const peak = Math.max(...measured.map(({ report }) => report.answered));
  return measured.map(({ report, load, wasted }) => [
    `${target.name}, ${load} ×`,
    ...[report.offered, report.answered, ratio(report.answered, peak), report.p50Ms, report.p99Ms],
    ...[report.turnedAway, report.hungUp + report.failed, `${(100 * wasted).toFixed(1)} %`],
  ]);
}
