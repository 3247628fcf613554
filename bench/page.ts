/**
 * A page of calls, every column of the list: how much of what PostgreSQL can serve reaches the client.
 *
 *   pgbench        PostgreSQL and its own client in C, which throws the rows away: what is to be had
 *   trunkline      the program itself, GET /cdrs with a key: account, rights, total, log and metrics of it all
 *   bytes          Fastify before platform/database/fast_read/rows_json.ts alone: PostgreSQL's bytes written as JSON bytes
 *   pg             Fastify before node-postgres as it comes: timestamps become Date objects
 *   pg-text        the same with timestamps left as text
 *   pg-whole       Fastify before node-postgres with all that the program's answer has, in the usual way: the key, the
 *                  account, the page and count(*), a statement each
 *   postgres.js    Fastify before postgres.js, timestamps as text
 *
 *   …-named        with named statements, which PostgreSQL plans once a connection: not through PgBouncer
 *                  (docs/decisions/0009). Those of `trunkline` have names where they can
 *   …, all months  with the statement that one would write: without the bound on time that
 *                  services/calls/api/lists/nearby_months.ts puts on a page, and with seconds cast to numbers
 *
 * The table has 36 months. All in turn, several rounds; a way's figure is its middle round. Both ends and the database
 * share the machine.
 */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, globSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startPostgres } from '#engines/postgres.ts';
import type { RowQuery } from '#platform/database/fast_read/fast_read.ts';
import { createPool } from '#platform/database/pool.ts';
import { nearbyMonths } from '#services/calls/api/lists/nearby_months.ts';
import { THE_PROGRAM } from '#services/calls/store/audit.ts';
import { callsToWrite, pageOfCalls } from '#services/calls/store/calls.ts';
import { createKey } from '#services/identity/keys.ts';
import { keyPlaces } from '#system';
import { findPgBouncer, startPgBouncer } from '#tests/pgbouncer.ts';
import { type AtEnd, runBench, stoppedAtEnd, temporaryFolder } from './ending.ts';
import type { LoadResult } from './http_load.ts';
import { ACCOUNTS, fillCalls } from './page_calls.ts';
import { DATABASE_CONNECTIONS, HTTP_CONNECTIONS, LIMIT, type Peer, WAYS } from './page_ways.ts';
import { endChild, processorMs, said, startProgram } from './program.ts';
import { benchOptions, finish, type Headline, type Row, ratio, refuseOptions } from './report.ts';

/** Until the compiler has done its work: the program has more to compile than a peer of a few lines. */
const WARM_UP_S = 4;
const WARM_UP_OF_PROGRAM_S = 12;
/** Before each round: V8 throws away the code of a server that was idle while the others had their turn. */
const WARM_UP_AGAIN_S = 2;
const WARM_UP_AGAIN_OF_PROGRAM_S = 6;
const ALL_MONTHS = ', all months';
const NAMED = '-named';
const WHOLE = 'pg-whole';
const THROUGH = ' through PgBouncer';

/** One figure: a way, straight or through PgBouncer. */
interface Runner {
  readonly name: string;
  readonly rates: number[];
  /** Of the Node process, a page. */
  readonly cpuMicros: number[];
  last?: LoadResult;
  run(): Promise<void>;
}

const run = promisify(execFile);
const beside = (file: string) => fileURLToPath(new URL(file, import.meta.url));

const options = benchOptions(
  'page',
  'A page of calls by HTTP, beside pgbench',
  { seconds: '5', rounds: '5', rows: '300000', ways: WAYS.join(','), url: '' },
  {
    seconds: 'of each round',
    rounds: 'a figure is the middle one of',
    rows: 'calls in the table',
    ways: 'some of the standard ones, beside pgbench; docs/PERFORMANCE.md explains them',
    url: 'of a PostgreSQL; its own without',
  },
);
const seconds = Number(options.values.seconds);
const wanted = options.values.ways!.split(',');
const unknown = wanted.filter((way) => !WAYS.some((it) => it === way));
if (unknown.length > 0)
  refuseOptions('page', `there is no way ${unknown.join(', ')}; there are ${WAYS.join(', ')}`);
for (const option of ['seconds', 'rounds', 'rows'])
  if (!(Number(options.values[option]) > 0)) refuseOptions('page', `--${option} is to be more than 0`);

const EVERYTHING = { iAccount: 1, type: 'all' } as const;
const [nearest = {}] = nearbyMonths(EVERYTHING, 'desc', undefined, Date.now());

/** The product's own statement, for the account $1; limit and window are written into it. */
const page = callsToWrite(EVERYTHING, 'desc', undefined, LIMIT + 1, nearest);
/** As one would write it: seconds made numbers in SQL, any month. */
const plainPage = pageOfCalls(EVERYTHING, 'desc', undefined, LIMIT + 1);

await runBench(async (atEnd) => {
  const folder = await temporaryFolder(atEnd);
  const url = options.values.url || (await ownPostgres(folder, atEnd));
  const pool = createPool({ url, applicationName: 'bench', size: 2, onIdleError: () => undefined });
  await fillCalls(pool, Number(options.values.rows));
  const { key } = await createKey(
    keyPlaces(pool),
    {
      name: 'bench',
      scope: 'operator',
      iAccount: null,
      expiresAt: null,
    },
    THE_PROGRAM,
  );
  await pool.end();

  const targets = [{ url, through: '', names: true }];
  if (findPgBouncer()) {
    const bouncer = startPgBouncer({ url, poolSize: DATABASE_CONNECTIONS, settings: { pkt_buf: '16384' } });
    targets.push({ url: (await stoppedAtEnd(atEnd, bouncer)).url, through: THROUGH, names: false });
  }
  const runners: Runner[] = [];
  for (const { url, through, names } of targets) {
    for (const mode of names ? (['extended', 'prepared'] as const) : (['extended'] as const)) {
      const pgbench = await pgbenchRunner(
        `pgbench${mode === 'prepared' ? NAMED : ''}${through}`,
        url,
        page.sql,
        folder,
        mode,
      );
      if (pgbench) runners.push(pgbench);
    }
    for (const way of WAYS.filter(
      (it) => it !== WHOLE && wanted.includes(it) && (names || !it.endsWith(NAMED)),
    )) {
      const server = way === 'trunkline' ? startTrunkline(url) : startPeer(way, url, page);
      runners.push(await serverRunner(`${way}${through}`, server, key, atEnd));
    }
  }
  const allMonths = await pgbenchRunner(`pgbench${ALL_MONTHS}`, url, plainPage.sql, folder, 'extended');
  if (allMonths) runners.push(allMonths);
  for (const way of (['pg', WHOLE] as const).filter((it) => wanted.includes(it))) {
    runners.push(await serverRunner(`${way}${ALL_MONTHS}`, startPeer(way, url, plainPage), key, atEnd));
  }
  for (let round = 0; round < Number(options.values.rounds); round++) {
    for (const runner of runners) await runner.run();
  }
  report(runners);
});

async function ownPostgres(folder: string, atEnd: AtEnd): Promise<string> {
  const starting = startPostgres({ folder: join(folder, 'postgres'), database: 'trunkline' });
  return (await stoppedAtEnd(atEnd, starting)).url;
}

/** @returns undefined where pgbench is not installed */
async function pgbenchRunner(
  name: string,
  url: string,
  sql: string,
  folder: string,
  mode: 'extended' | 'prepared',
): Promise<Runner | undefined> {
  const inPath = (process.env.PATH ?? '').split(':').map((part) => join(part, 'pgbench'));
  const program = [...globSync('/usr/lib/postgresql/*/bin/pgbench').reverse(), ...inPath].find((path) =>
    existsSync(path),
  );
  if (!program) return undefined;
  const script = join(folder, `${name}.sql`);
  await writeFile(
    script,
    `\\set account random(1, ${ACCOUNTS})\n${sql.replaceAll('$1', ':account').replaceAll('\n', ' ')};\n`,
  );
  const rates: number[] = [];
  const args = ['-n', '-M', mode, '-f', script, '-c', String(DATABASE_CONNECTIONS), '-j', '2'];
  return {
    name,
    rates,
    cpuMicros: [],
    async run() {
      const { stdout } = await run(program, [...args, '-T', String(seconds), url], { cwd: '/' });
      rates.push(Math.round(Number(/tps = ([\d.]+)/.exec(stdout)?.[1])));
    },
  };
}

/** A server of pages, and the port that it will say. */
interface PageServer {
  readonly process: ChildProcess;
  readonly port: Promise<string>;
}

function startPeer(way: Peer, url: string, { sql, formats }: RowQuery): PageServer {
  const process_ = spawn(
    process.execPath,
    [beside('page_server.ts'), way, url, JSON.stringify({ sql, formats })],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  return { process: process_, port: said(process_, /\d+/) };
}

/** With as many connections as the others, no limit of requests and no log of them. */
function startTrunkline(url: string): PageServer {
  const program = startProgram(['serve', 'calls'], {
    ...process.env,
    DATABASE_URL: url,
    CALLS_PORT: '0',
    POOL_SIZE: String(DATABASE_CONNECTIONS),
    RATE_LIMIT_PER_MINUTE: '10000000',
    LOG_LEVEL: 'warn',
  });
  return { process: program, port: said(program, /http:\/\/\S+/).then((at) => new URL(at).port) };
}

async function serverRunner(name: string, server: PageServer, key: string, atEnd: AtEnd): Promise<Runner> {
  atEnd(() => endChild(server.process));
  const port = await server.port;
  const paths = Array.from({ length: ACCOUNTS }, (_, i) => `/cdrs?i_account=${i + 1}`).join('\n');
  const load = async (forSeconds: number): Promise<LoadResult> => {
    const args = [beside('http_load.ts'), port, String(HTTP_CONNECTIONS), String(forSeconds), paths, key];
    const { stdout } = await run(process.execPath, args).catch(({ stderr }) => {
      throw new Error(`${name}: ${stderr}`);
    });
    return JSON.parse(stdout) as LoadResult;
  };
  const isProgram = name.startsWith('trunkline');
  await load(isProgram ? WARM_UP_OF_PROGRAM_S : WARM_UP_S);
  const runner: Runner = {
    name,
    rates: [],
    cpuMicros: [],
    async run() {
      await load(isProgram ? WARM_UP_AGAIN_OF_PROGRAM_S : WARM_UP_AGAIN_S);
      const before = await processorMs(server.process);
      runner.last = await load(seconds);
      runner.rates.push(runner.last.perSecond);
      const usedMs = (await processorMs(server.process)) - before;
      runner.cpuMicros.push(Math.round((1_000 * usedMs) / runner.last.answers));
    },
  };
  return runner;
}

function report(runners: readonly Runner[]): void {
  const middle = (values: readonly number[]) =>
    values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
  const rateOf = (name: string) => middle(runners.find((runner) => runner.name === name)?.rates ?? []);
  const peers = ['pgbench', 'pg', 'pg-text', 'postgres.js'];
  const rows: Row[] = [
    ['', 'pages/s', ...peers.map((peer) => `of ${peer}`), 'p50 ms', 'p99 ms', 'answer bytes', 'Node CPU µs'],
  ];
  for (const { name, rates, cpuMicros, last } of runners) {
    const rate = middle(rates);
    const through = name.endsWith(THROUGH) ? THROUGH : '';
    rows.push([
      ...[name, rate],
      ...peers.map((peer) => (rateOf(peer + through) ? ratio(rate, rateOf(peer + through)) : '')),
      ...(last ? [last.p50Ms, last.p99Ms, last.bytes, middle(cpuMicros)] : ['', '', '', '']),
    ]);
  }
  const headlines = [
    headline(
      'page of calls, the program whole',
      'trunkline',
      '',
      '≥ 50 % of pgbench, ≥ 5 × all of the answer, ≥ 2 × postgres.js',
    ),
    headline('page of calls, its writer alone', 'bytes-named', '', '≥ 5 × Fastify + pg'),
    headline('page of calls, the program whole', 'trunkline', THROUGH),
    headline('page of calls, its writer alone', 'bytes', THROUGH),
  ].filter((it) => it !== undefined);
  finish(options, `${LIMIT} calls, every column of the list, one Node process`, rows, headlines);

  function headline(figure: string, way: string, through: string, expected?: string): Headline | undefined {
    const rate = rateOf(way + through);
    if (!rate) return undefined;
    const times = (peer: string, what: string) =>
      rateOf(peer) ? [`${(rate / rateOf(peer)).toFixed(1)} × ${what}`] : [];
    const pgbench = rateOf(`pgbench${through}`);
    return {
      figure: `${figure}${through}`,
      value: `${rate}/s`,
      ratio: [
        pgbench ? `${ratio(rate, pgbench)} of pgbench` : 'pgbench is not installed',
        ...times(`pg${through}`, 'Fastify + pg'),
        ...(through === '' ? times(`pg${ALL_MONTHS}`, 'that with all months') : []),
        ...(way === 'trunkline' && through === ''
          ? times(`${WHOLE}${ALL_MONTHS}`, 'Fastify + pg with all of the answer')
          : []),
        ...times(`postgres.js${through}`, 'postgres.js'),
      ].join(', '),
      ...(expected && { expected }),
    };
  }
}
