/**
 * Single posts of a switch: mod_json_cdr documents from 50 connections, each durable before its answer, against one
 * INSERT a request by plain Fastify and pg. Both write to the same server, one after the other; ours also normalises,
 * recognises duplicates and keeps usage up.
 */
import { spawn } from 'node:child_process';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startPostgres } from '#engines/postgres.ts';
import { runBench, stoppedAtEnd, temporaryFolder } from './ending.ts';
import { endChild, said, startProgram } from './program.ts';
import { benchOptions, finish, quantile, ratio } from './report.ts';

const CONNECTIONS = 50;
const PEER = fileURLToPath(new URL('./ingest_peer.ts', import.meta.url));

const options = benchOptions('ingest', 'posts of single calls', { seconds: '10' });
const seconds = Number(options.values.seconds);

await runBench(async (atEnd) => {
  const folder = await temporaryFolder(atEnd);
  const server = await stoppedAtEnd(
    atEnd,
    startPostgres({ folder: join(folder, 'postgres'), database: 'trunkline' }),
  );
  const start = (args: string[]) =>
    startProgram(args, {
      ...process.env,
      DATABASE_URL: server.url,
      CALLS_PORT: '0',
      LOG_LEVEL: 'warn',
      RATE_LIMIT_PER_MINUTE: '10000000',
    });
  await said(start(['migrate']), /calls\//);
  const key = await said(start(['keys', 'create', '--scope', 'ingest', '--name', 'bench']), /tl_\w+/);
  const service = start(['serve', 'calls']);
  atEnd(() => endChild(service));
  const ours = await load(`${await said(service, /http:\/\/\S+/)}/cdrs?create_accounts=true`, key);
  await endChild(service, 'SIGTERM');
  const peer = spawn(process.execPath, [PEER, server.url], { stdio: ['ignore', 'pipe', 'inherit'] });
  atEnd(() => endChild(peer));
  const plain = await load(`http://127.0.0.1:${await said(peer, /\d+/)}/cdrs`, key);
  const row = (name: string, r: LoadResult) => [
    name,
    `${r.perSecond} calls/s`,
    ratio(r.perSecond, plain.perSecond),
    `p50 ${r.p50} ms`,
    `p99 ${r.p99} ms`,
    `${r.errors} errors`,
  ];
  finish(
    options,
    `mod_json_cdr documents, one a post, ${CONNECTIONS} connections, durable before the answer`,
    [row('this service, batched', ours), row('Fastify + pg, one INSERT a request', plain)],
    [
      {
        figure: 'single posts, durable',
        value: `${ours.perSecond} calls/s, p99 ${ours.p99} ms, ${ours.errors} errors`,
        ratio: `${ratio(ours.perSecond, plain.perSecond)} of Fastify + pg, one INSERT a request`,
      },
    ],
  );
});

interface LoadResult {
  readonly perSecond: number;
  readonly p50: string;
  readonly p99: string;
  readonly errors: number;
}

async function load(url: string, key: string): Promise<LoadResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const times: number[] = [];
  let errors = 0;
  let number = 0;
  const end = performance.now() + seconds * 1000;
  const post = () =>
    new Promise<void>((resolve) => {
      const began = performance.now();
      const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
      const sent = request(url, { method: 'POST', agent, headers }, (answer) => {
        answer.resume();
        answer.on('end', () => {
          times.push(performance.now() - began);
          if (answer.statusCode !== 200) errors++;
          resolve();
        });
      });
      sent.on('error', () => {
        errors++;
        resolve();
      });
      sent.end(document(number++));
    });
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      while (performance.now() < end) await post();
    }),
  );
  agent.destroy();
  const at = (share: number) => quantile(times, share).toFixed(1);
  return { perSecond: Math.round(times.length / seconds), p50: at(0.5), p99: at(0.99), errors };
}

function document(number: number): string {
  const start = 1_763_700_000 + Math.floor(number / 50);
  const variables = {
    uuid: `00000000-0000-4000-8000-${number.toString(16).padStart(12, '0')}`,
    accountcode: `cust${number % 200}`,
    caller_id_number: '+493023125001',
    destination_number: `+4420794600${String(number % 100).padStart(2, '0')}`,
    start_epoch: String(start),
    answer_epoch: String(start + 3),
    end_epoch: String(start + 63),
    duration: '63',
    billsec: '60',
    hangup_cause: 'NORMAL_CLEARING',
  };
  return JSON.stringify({
    'core-uuid': 'c0',
    switchname: 'bench',
    channel_data: { state: 'CS_REPORTING' },
    variables,
    callflow: [
      {
        caller_profile: {
          caller_id_number: variables.caller_id_number,
          destination_number: variables.destination_number,
        },
      },
    ],
  });
}
