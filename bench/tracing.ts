/**
 * What traces cost: processor time a page of calls, of the whole program, by how much is traced.
 *
 *   off         no receiver is set
 *   off again   the same: what two runs of one program differ by
 *   0           a receiver is set, and nothing is traced
 *   0.01, …     that share of the requests is traced, and sent to a receiver beside it
 *
 * All run at the same time, and are loaded at the same time, so that whatever else the machine does falls on all of them alike. A figure is the median of the rounds' ratios to `off` of the same round, with the quartiles.
 */
import { type ChildProcess, execFile } from 'node:child_process';
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
import { endChild, processorMs, said, startProgram } from './program.ts';
import { benchOptions, finish, type Headline, quantile, type Row } from './report.ts';

const OFF = 'off';
const AGAIN = 'off again';
/** What traces may cost, by their ratio. */
const EXPECTED: Readonly<Record<string, string>> = { '0': '≤ 1 %', '0.01': '≤ 2 %' };

const options = benchOptions(
  'tracing',
  'processor time a page with and without traces',
  { rounds: '12', warm: '45', seconds: '5', rows: '100000', ratios: '0,0.01' },
  {
    warm: 'seconds of load before the first round',
    seconds: 'of each figure',
    rows: 'calls in the table',
    ratios: 'shares of the requests that are traced',
  },
);
const [rounds, warm, seconds] = ['rounds', 'warm', 'seconds'].map((name) => Number(options.values[name]));
const run = promisify(execFile);

interface Way {
  readonly name: string;
  readonly program: ChildProcess;
  readonly port: string;
  /** Processor time a page, of each round. */
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
  const endpoint = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`;

  const ways = await Promise.all(
    [OFF, AGAIN, ...options.values.ratios!.split(',')].map(async (name): Promise<Way> => {
      const isOff = name === OFF || name === AGAIN;
      const program = startProgram(['serve', 'calls'], {
        ...process.env,
        ...{ DATABASE_URL: url, CALLS_PORT: '0', POOL_SIZE: String(DATABASE_CONNECTIONS) },
        ...{ RATE_LIMIT_PER_MINUTE: '10000000', LOG_LEVEL: 'warn' },
        ...(!isOff && { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, TRACE_RATIO: name }),
      });
      atEnd(() => endChild(program));
      const { port } = new URL(await said(program, /http:\/\/\S+/));
      return { name, program, port, micros: [] };
    }),
  );
  await Promise.all(ways.map(({ port }) => load(port, key, warm!)));
  for (let round = 0; round < rounds!; round++) await Promise.all(ways.map((way) => measure(way, key)));
  report(ways, received);
});

async function measure({ program, port, micros }: Way, key: string): Promise<void> {
  const before = await processorMs(program);
  const { answers } = await load(port, key, seconds!);
  micros.push((1_000 * ((await processorMs(program)) - before)) / answers);
}

async function load(port: string, key: string, forSeconds: number): Promise<LoadResult> {
  const file = fileURLToPath(new URL('http_load.ts', import.meta.url));
  const paths = Array.from({ length: ACCOUNTS }, (_, i) => `/cdrs?i_account=${i + 1}`).join('\n');
  const args = [file, port, String(HTTP_CONNECTIONS), String(forSeconds), paths, key];
  const { stdout } = await run(process.execPath, args);
  return JSON.parse(stdout) as LoadResult;
}

function report([off, ...others]: readonly Way[], received: number): void {
  const percent = (ratio: number) => `${ratio < 1 ? '-' : '+'}${(100 * Math.abs(ratio - 1)).toFixed(1)} %`;
  const rows: Row[] = [['traced', 'CPU µs a page', 'beside off', 'quartiles', 'least and greatest']];
  rows.push([OFF, Math.round(quantile(off!.micros, 0.5))]);
  const headlines: Headline[] = [];
  for (const { name, micros } of others) {
    const ratios = micros.map((one, round) => one / off!.micros[round]!);
    const at = (share: number) => percent(quantile(ratios, share));
    const spread = `${at(0.25)} to ${at(0.75)}`;
    rows.push([name, Math.round(quantile(micros, 0.5)), at(0.5), spread, `${at(0)} to ${at(1)}`]);
    headlines.push({
      figure: `CPU a page, ${name} of requests traced`,
      value: at(0.5),
      ratio: `of untraced; quartiles of ${rounds} pairs ${spread}`,
      ...(EXPECTED[name] !== undefined && { expected: `${EXPECTED[name]}, or within the spread` }),
    });
  }
  finish(options, `${rounds} rounds of ${seconds} s; ${received} bytes of spans received`, rows, headlines);
}
