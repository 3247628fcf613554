/**
 * All calls of an account as a CSV file, beside PostgreSQL's own COPY of the same columns.
 *
 *   export   GET /cdrs of `trunkline serve calls` with Accept: text/csv, with times in UTC and in another zone
 *   COPY     the export's own statement, whole, TO STDOUT (FORMAT csv), and a client that throws the rows away
 *   values   Fastify and pg, each call made into JavaScript values and printed (export_peer.ts)
 *
 * All in turn, several rounds; a way's figure is its middle round. First the files of both servers are compared, and the
 * benchmark fails where they differ. Both ends and the database share the machine.
 */

import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import { startPostgres } from '#engines/postgres.ts';
import { createPool } from '#platform/database/pool.ts';
import { CALL_COLUMNS } from '#services/calls/call_fields.ts';
import { THE_PROGRAM } from '#services/calls/store/audit.ts';
import { recordsOfCalls } from '#services/calls/store/calls.ts';
import { createKey } from '#services/identity/keys.ts';
import { keyPlaces } from '#system';
import { type AtEnd, runBench, stoppedAtEnd, temporaryFolder } from './ending.ts';
import { fillCalls } from './page_calls.ts';
import { endChild, memoryKb, said, startProgram } from './program.ts';
import { benchOptions, finish, quantile, type Row, ratio } from './report.ts';

const I_ACCOUNT = 1;
const OTHER_ZONE = 'Asia/Kathmandu';
const PEER = fileURLToPath(new URL('./export_peer.ts', import.meta.url));
const READ_BYTES = 256 * 1024;
/** What ends a body that comes in chunks: without it, it is not whole. */
const LAST_CHUNK = '\r\n0\r\n\r\n';

const options = benchOptions('export', 'All calls of an account as CSV, beside COPY', {
  rows: '300000',
  rounds: '5',
});
const rows = Number(options.values.rows);

interface Server {
  readonly pid: number;
  readonly url: string;
  readonly key: string;
}

await runBench(async (atEnd) => {
  const folder = await temporaryFolder(atEnd);
  const starting = startPostgres({ folder: join(folder, 'postgres'), database: 'trunkline' });
  const { url } = await stoppedAtEnd(atEnd, starting);
  const service = await startService(url, atEnd);
  const peer = await startPeer(url, service.key, atEnd);

  const idle = await memory('VmRSS', service);
  const ourFile = await wholeFile(service);
  if (ourFile !== (await wholeFile(peer))) throw new Error('the two files differ');
  const lines = ourFile.split('\r\n').length - 2;
  if (lines !== rows) throw new Error(`${lines} calls in the file, not ${rows}`);

  const ways = {
    export: () => timeOfFile(service),
    zone: () => timeOfFile(service, `&time_zone=${OTHER_ZONE}`),
    copy: () => timeOfCopy(url),
    values: () => timeOfFile(peer),
  };
  const times: Record<keyof typeof ways, number[]> = { export: [], zone: [], copy: [], values: [] };
  for (let round = 1; round <= Number(options.values.rounds); round++) {
    for (const [way, time] of Object.entries(ways)) times[way as keyof typeof ways].push(await time());
    process.stderr.write(`round ${round} of ${options.values.rounds}\n`);
  }
  const perSecond = (way: keyof typeof ways) => Math.round((1000 * rows) / quantile(times[way], 0.5));
  const row = (name: string, way: keyof typeof ways, memoryUsed = ''): Row => {
    const megabytes = (ourFile.length / rows / 1e6) * perSecond(way);
    return [
      name,
      perSecond(way),
      Math.round(megabytes),
      ratio(perSecond(way), perSecond('copy')),
      memoryUsed,
    ];
  };
  const peak = await memory('VmHWM', service);
  finish(
    options,
    `${rows} calls of one account (${Math.round(ourFile.length / 1e6)} MB) as CSV`,
    [
      ['', 'calls/s', 'MB/s', 'of COPY', 'memory'],
      row('export', 'export', `${peak} peak, ${idle} before`),
      row(`export, times in ${OTHER_ZONE}`, 'zone'),
      row('COPY, thrown away', 'copy'),
      row('Fastify + pg, calls as values', 'values', `${await memory('VmHWM', peer)} peak`),
    ],
    [
      {
        figure: `export of ${rows} calls as CSV`,
        value: `${perSecond('export')}/s, ${peak} peak`,
        ratio: `${ratio(perSecond('export'), perSecond('copy'))} of COPY, ${(perSecond('export') / perSecond('values')).toFixed(1)} × calls as values`,
      },
    ],
  );
});

/** The program on a database of `rows` calls, all of one account. */
async function startService(url: string, atEnd: AtEnd): Promise<Server> {
  const pool = createPool({ url, applicationName: 'bench', size: 2, onIdleError: () => undefined });
  atEnd(() => pool.end());
  await fillCalls(pool, rows, 1);
  const wanted = { name: 'bench', scope: 'customer', iAccount: I_ACCOUNT, expiresAt: null } as const;
  const { key } = await createKey(keyPlaces(pool), wanted, THE_PROGRAM);
  const service = startProgram(['serve', 'calls'], {
    ...process.env,
    DATABASE_URL: url,
    CALLS_PORT: '0',
    LOG_LEVEL: 'warn',
    RATE_LIMIT_PER_MINUTE: '10000000',
  });
  atEnd(() => endChild(service));
  return { pid: service.pid!, url: await said(service, /http:\/\/\S+/), key };
}

async function startPeer(url: string, key: string, atEnd: AtEnd): Promise<Server> {
  const peer = spawn(process.execPath, [PEER, url], { stdio: ['ignore', 'pipe', 'inherit'] });
  atEnd(() => endChild(peer));
  return { pid: peer.pid!, url: `http://127.0.0.1:${await said(peer, /\d+/)}`, key };
}

async function wholeFile({ url, key }: Server): Promise<string> {
  const headers = { authorization: `Bearer ${key}`, accept: 'text/csv' };
  const answer = await fetch(`${url}/cdrs?i_account=${I_ACCOUNT}`, { headers });
  if (!answer.ok) throw new Error(`${url} answers ${answer.status}`);
  return answer.text();
}

/** Milliseconds until a client that does nothing with the bytes has read all of them. */
function timeOfFile({ url, key }: Server, more = ''): Promise<number> {
  const { hostname, port } = new URL(url);
  const began = performance.now();
  return new Promise((done, failed) => {
    let tail = '';
    const socket = connect({
      host: hostname,
      port: Number(port),
      onread: {
        buffer: Buffer.allocUnsafe(READ_BYTES),
        callback(length, bytes) {
          const end = Buffer.from(bytes.buffer, bytes.byteOffset, length).subarray(-LAST_CHUNK.length);
          tail = (tail + end.toString('latin1')).slice(-LAST_CHUNK.length);
          return true;
        },
      },
    });
    socket.on('error', failed);
    socket.on('close', () => {
      if (tail === LAST_CHUNK) done(performance.now() - began);
      else failed(new Error(`the file of ${url} breaks off`));
    });
    const lines = [
      `GET /cdrs?i_account=${I_ACCOUNT}${more} HTTP/1.1`,
      ...[`Host: ${hostname}`, 'Connection: close', 'Accept: text/csv', `Authorization: Bearer ${key}`],
    ];
    socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  });
}

async function timeOfCopy(url: string): Promise<number> {
  const { sql, parameters } = recordsOfCalls(
    CALL_COLUMNS,
    { iAccount: I_ACCOUNT, type: 'all' },
    'desc',
    undefined,
    rows,
  );
  const whole = sql.replace(/\$(\d+)/g, (_, n) => String(parameters[Number(n) - 1]));
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const began = performance.now();
  for await (const _ of client.query(copyTo(`COPY (${whole}) TO STDOUT (FORMAT csv)`)));
  const ms = performance.now() - began;
  await client.end();
  return ms;
}

/** What the kernel says of a process, where it is Linux. */
async function memory(field: 'VmRSS' | 'VmHWM', { pid }: Server): Promise<string> {
  const kilobytes = await memoryKb(pid, field);
  return kilobytes === undefined ? 'unknown' : `${Math.round(kilobytes / 1024)} MB`;
}
