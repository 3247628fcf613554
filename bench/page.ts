/**
 * A page of calls, every column of the list: how much of what PostgreSQL can serve reaches the client.
 *
 *   pgbench        PostgreSQL and its own client in C, which throws the rows away: what is to be had
 *   bytes          Fastify before platform/database/rows_json.ts: PostgreSQL's bytes written as JSON bytes
 *   pg             Fastify before node-postgres as it comes: timestamps become Date objects
 *   pg-text        the same with timestamps left as text
 *   postgres.js    Fastify before postgres.js, timestamps as text; unnamed statements, as PgBouncer's transactions want
 *   postgres.js-named   the same with named ones, which PostgreSQL plans once: no way through PgBouncer below 1.21
 *
 *   …, all months  pgbench, and pg, with the statement that one would write: without the bound on time that
 *                  services/calls/api/nearby_months.ts puts on a page
 *
 * The table has 36 months. All in turn, several rounds; a way's figure is its middle round. Both ends and the database
 * share the machine.
 */
import { execFile, spawn } from 'node:child_process';
import { existsSync, globSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startPostgres } from '#engines/postgres.ts';
import { createPool } from '#platform/database/pool.ts';
import type { CallFilter } from '#services/calls/api/call_filter.ts';
import { nearbyMonths } from '#services/calls/api/nearby_months.ts';
import { pageOfCalls } from '#services/calls/store/calls.ts';
import { findPgBouncer, startPgBouncer } from '#tests/pgbouncer.ts';
import { type AtEnd, runBench, stoppedAtEnd, temporaryFolder } from './ending.ts';
import type { LoadResult } from './http_load.ts';
import { ACCOUNTS, END, fillCalls } from './page_calls.ts';
import { DATABASE_CONNECTIONS, HTTP_CONNECTIONS, LIMIT, WAYS, type Way } from './page_ways.ts';
import { endChild } from './program.ts';
import { benchOptions, finish, type Row, ratio } from './report.ts';

/** Until the compiler has done its work. */
const WARM_UP_S = 3;
const ALL_MONTHS = ', all months';

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

const options = benchOptions('page', 'A page of calls by HTTP, beside pgbench', {
  seconds: '5',
  rounds: '5',
  rows: '300000',
  ways: WAYS.join(','),
  url: '',
});
const seconds = Number(options.values.seconds);
const wanted = options.values.ways!.split(',');

await runBench(async (atEnd) => {
  const folder = await temporaryFolder(atEnd);
  const url = options.values.url || (await ownPostgres(folder, atEnd));
  const pool = createPool({ url, applicationName: 'bench', size: 2, onIdleError: () => undefined });
  await fillCalls(pool, Number(options.values.rows)).finally(() => pool.end());

  const all: CallFilter = { iAccount: 1, type: 'all' };
  const [nearest] = nearbyMonths(all, 'desc', undefined, END - 1);
  const sql = pageSql(nearest!);
  const targets = [{ url, through: '' }];
  if (findPgBouncer()) {
    const bouncer = await stoppedAtEnd(atEnd, startPgBouncer({ url, poolSize: DATABASE_CONNECTIONS }));
    targets.push({ url: bouncer.url, through: ' through PgBouncer' });
  }
  const runners: Runner[] = [];
  for (const target of targets) {
    const pgbench = await pgbenchRunner(`pgbench${target.through}`, target.url, sql, folder);
    if (pgbench) runners.push(pgbench);
    for (const way of WAYS.filter((it) => wanted.includes(it))) {
      // PgBouncer below 1.21 has no named statements in transaction mode.
      if (target.through && way === 'postgres.js-named') continue;
      runners.push(await serverRunner(way, target.url, target.through, sql, atEnd));
    }
  }
  const allMonths = await pgbenchRunner(`pgbench${ALL_MONTHS}`, url, pageSql(all), folder);
  if (allMonths) runners.push(allMonths);
  if (wanted.includes('pg')) runners.push(await serverRunner('pg', url, ALL_MONTHS, pageSql(all), atEnd));
  for (let round = 0; round < Number(options.values.rounds); round++) {
    for (const runner of runners) await runner.run();
  }
  report(runners);
});

async function ownPostgres(folder: string, atEnd: AtEnd): Promise<string> {
  const settings = { shared_buffers: '512MB', max_wal_size: '4GB' };
  const starting = startPostgres({ folder: join(folder, 'postgres'), database: 'trunkline', settings });
  return (await stoppedAtEnd(atEnd, starting)).url;
}

/** The product's own statement; all parameters but the account are written into it. */
function pageSql(filter: CallFilter): string {
  const { sql, parameters } = pageOfCalls(filter, 'desc', undefined, LIMIT + 1);
  const literal = (value: unknown) => (typeof value === 'number' ? String(value) : `'${value}'`);
  return sql.replace(/\$(\d+)/g, (name, n) => (name === '$1' ? name : literal(parameters[Number(n) - 1])));
}

/** @returns undefined where pgbench is not installed */
async function pgbenchRunner(
  name: string,
  url: string,
  sql: string,
  folder: string,
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
  const args = ['-n', '-M', 'extended', '-f', script, '-c', String(DATABASE_CONNECTIONS), '-j', '2'];
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

async function serverRunner(
  way: Way,
  url: string,
  through: string,
  sql: string,
  atEnd: AtEnd,
): Promise<Runner> {
  const server = spawn(process.execPath, [beside('page_server.ts'), way, url, sql], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  atEnd(() => endChild(server));
  const lines = createInterface(server.stdout)[Symbol.asyncIterator]();
  const line = async () => String((await lines.next()).value ?? '');
  const port = await line();
  const paths = Array.from({ length: ACCOUNTS }, (_, i) => `/cdrs?i_account=${i + 1}`).join('\n');
  const load = async (forSeconds: number): Promise<LoadResult> => {
    const args = [beside('http_load.ts'), port, String(HTTP_CONNECTIONS), String(forSeconds), paths];
    return JSON.parse((await run(process.execPath, args)).stdout) as LoadResult;
  };
  const cpu = async () => {
    server.kill('SIGUSR2');
    return (JSON.parse(await line()) as { cpuMicros: number }).cpuMicros;
  };
  await load(WARM_UP_S);
  const runner: Runner = {
    name: `${way}${through}`,
    rates: [],
    cpuMicros: [],
    async run() {
      await cpu();
      runner.last = await load(seconds);
      runner.rates.push(runner.last.perSecond);
      runner.cpuMicros.push(await cpu());
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
    ['', 'pages/s', ...peers.map((peer) => `of ${peer}`), 'p50 ms', 'p99 ms', 'bytes', 'Node CPU µs'],
  ];
  for (const { name, rates, cpuMicros, last } of runners) {
    const rate = middle(rates);
    const through = name.includes(' through') ? ' through PgBouncer' : '';
    rows.push([
      ...[name, rate],
      ...peers.map((peer) => (rateOf(peer + through) ? ratio(rate, rateOf(peer + through)) : '')),
      ...(last ? [last.p50Ms, last.p99Ms, last.bytes, middle(cpuMicros)] : ['', '', '', '']),
    ]);
  }
  const headlines = ['', ' through PgBouncer'].flatMap((through) => {
    const rate = rateOf(`bytes${through}`);
    const of = (peer: string) => rateOf(peer + through);
    const [pgbench, fastify, postgresJs] = [of('pgbench'), of('pg'), of('postgres.js')];
    const usual = rateOf(`pg${ALL_MONTHS}`);
    if (!rate) return [];
    return [
      {
        figure: `page of ${LIMIT} calls${through}`,
        value: `${rate}/s`,
        ratio: [
          pgbench ? `${ratio(rate, pgbench)} of pgbench` : 'pgbench is not installed',
          ...(fastify ? [`${(rate / fastify).toFixed(1)} × Fastify + pg`] : []),
          ...(usual && through === '' ? [`${(rate / usual).toFixed(1)} × that with all months`] : []),
          ...(postgresJs ? [`${(rate / postgresJs).toFixed(1)} × postgres.js`] : []),
        ].join(', '),
        ...(through === '' && { expected: '≥ 50 %, ≥ 5 ×, ≥ 2 ×' }),
      },
    ];
  });
  finish(options, `${LIMIT} calls, every column of the list, one Node process`, rows, headlines);
}
