/**
 * What traces cost: processor time a page of calls, by how much is traced.
 *
 *   off         a service that was started without a receiver of traces
 *   off again   the same once more: what two of them differ by
 *   0           a service with a receiver, and nothing is traced
 *   0.01, …     that share of its requests is traced, and sent to a receiver beside it
 *
 * All run in one process (tracing_program.ts) and are loaded in turns, a moment each, there and back in each round. A figure is the
 * median of the rounds' ratios to `off` of the same round, with the quartiles.
 */
import { execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startPostgres } from '#engines/postgres.ts';
import { createPool } from '#platform/database/pool.ts';
import { THE_PROGRAM } from '#services/calls/store/audit.ts';
import { createKey } from '#services/identity/keys.ts';
import { keyPlaces } from '#system';
import { runBench, stoppedAtEnd, temporaryFolder } from './ending.ts';
import type { LoadResult } from './http_load.ts';
import { ACCOUNTS, fillCalls } from './page_calls.ts';
import { DATABASE_CONNECTIONS, HTTP_CONNECTIONS } from './page_ways.ts';
import { endChild } from './program.ts';
import { benchOptions, finish, type Headline, quantile, type Row } from './report.ts';
import type { Started } from './tracing_program.ts';

/** What traces may cost, by their ratio. */
const EXPECTED: Readonly<Record<string, string>> = { '0': '≤ 1 %', '0.01': '≤ 2 %' };

const options = benchOptions(
  'tracing',
  'processor time a page with and without traces',
  { rounds: '12', warm: '8', seconds: '1.25', rows: '100000', ratios: '0,0.01' },
  {
    warm: 'seconds of load before the first round',
    seconds: 'of each figure',
    rows: 'calls in the table',
    ratios: 'shares of the requests that are traced',
  },
);
const [rounds, warm, seconds] = ['rounds', 'warm', 'seconds'].map((name) => Number(options.values[name]));
const run = promisify(execFile);
const beside = (file: string) => fileURLToPath(new URL(file, import.meta.url));

interface Way {
  readonly name: string;
  readonly ratio: number;
  readonly port: string;
  /** Processor time a page, in microseconds, of each round. */
  readonly micros: number[];
}

await runBench(async (atEnd) => {
  const folder = await temporaryFolder(atEnd);
  const { url } = await stoppedAtEnd(
    atEnd,
    startPostgres({ folder: join(folder, 'postgres'), database: 'trunkline' }),
  );
  const pool = createPool({ url, applicationName: 'bench', size: 2, onIdleError: () => undefined });
  await fillCalls(pool, Number(options.values.rows));
  const about = { name: 'bench', scope: 'operator', iAccount: null, expiresAt: null } as const;
  const { key } = await createKey(keyPlaces(pool), about, THE_PROGRAM);
  await pool.end();

  let received = 0;
  const receiver = createServer((request, answer) => {
    request.on('data', (chunk: Buffer) => (received += chunk.length));
    request.on('end', () => answer.writeHead(200, { 'content-type': 'application/x-protobuf' }).end());
  }).listen(0, '127.0.0.1');
  atEnd(() => receiver.closeAllConnections());
  atEnd(() => receiver.close());
  await new Promise((listening) => receiver.once('listening', listening));
  const { port } = receiver.address() as AddressInfo;

  const program = fork(beside('tracing_program.ts'), [`http://127.0.0.1:${port}`], {
    env: {
      ...process.env,
      ...{ DATABASE_URL: url, CALLS_PORT: '0', POOL_SIZE: String(DATABASE_CONNECTIONS) },
      ...{ RATE_LIMIT_PER_MINUTE: '10000000', LOG_LEVEL: 'warn' },
    },
  });
  atEnd(() => endChild(program));
  const [{ urls, lookNs }] = (await once(program, 'message')) as [Started];
  const [off, again, traced] = urls.map((one) => new URL(one).port) as [string, string, string];
  const way = (name: string, port: string, ratio = 0): Way => ({ name, ratio, port, micros: [] });
  const ratios = options.values.ratios!.split(',').map((text) => way(text, traced, Number(text)));
  const ways = [way('off', off), way('off again', again), ...ratios];

  /** Sets the share that is traced. @returns processor time so far, in microseconds */
  const used = async (ratio: number): Promise<number> => {
    program.send({ ratio });
    return (await once(program, 'message'))[0];
  };
  for (const { port, ratio } of ways) {
    await used(ratio);
    await load(port, key, warm!);
  }
  for (let round = 0; round < rounds!; round++) {
    const sums = new Map(ways.map((way) => [way, { micros: 0, pages: 0 }]));
    for (const way of [...ways, ...ways.toReversed()]) {
      const before = await used(way.ratio);
      const { answers } = await load(way.port, key, seconds!);
      const sum = sums.get(way)!;
      sum.micros += (await used(way.ratio)) - before;
      sum.pages += answers;
    }
    for (const [way, { micros, pages }] of sums) way.micros.push(micros / pages);
  }
  report(ways, received, lookNs);
});

async function load(port: string, key: string, forSeconds: number): Promise<LoadResult> {
  const paths = Array.from({ length: ACCOUNTS }, (_, i) => `/cdrs?i_account=${i + 1}`).join('\n');
  const args = [beside('http_load.ts'), port, String(HTTP_CONNECTIONS), String(forSeconds), paths, key];
  const { stdout } = await run(process.execPath, args);
  return JSON.parse(stdout) as LoadResult;
}

function report([off, ...others]: readonly Way[], received: number, lookNs: number): void {
  const percent = (ratio: number) => `${ratio < 1 ? '-' : '+'}${(100 * Math.abs(ratio - 1)).toFixed(1)} %`;
  const rows: Row[] = [['traced', 'CPU µs a page', 'beside off', 'quartiles', 'least and greatest']];
  rows.push([off!.name, Math.round(quantile(off!.micros, 0.5))]);
  const headlines: Headline[] = [];
  for (const { name, micros } of others) {
    const ratios = micros.map((one, round) => one / off!.micros[round]!);
    const at = (share: number) => percent(quantile(ratios, share));
    const spread = `${at(0.25)} to ${at(0.75)}`;
    rows.push([name, Math.round(quantile(micros, 0.5)), at(0.5), spread, `${at(0)} to ${at(1)}`]);
    headlines.push({
      figure: `CPU a page, traced: ${name}`,
      value: at(0.5),
      ratio: `of untraced; quartiles of ${rounds} pairs ${spread}`,
      ...(EXPECTED[name] !== undefined && { expected: `${EXPECTED[name]}, or within the spread` }),
    });
  }
  const look = `a look whether a span is under way takes ${lookNs.toFixed(1)} ns`;
  finish(options, `${rounds} rounds; ${received} bytes of spans received; ${look}`, rows, headlines);
}
