/**
 * Single posts of a switch: mod_json_cdr documents from 50 connections, each durable before its answer, against one
 * INSERT a request by plain Fastify and pg. Both write to the same server, one after the other; ours also normalises,
 * recognises duplicates and keeps usage up.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startPostgres } from '#engines/postgres.ts';
import { benchOptions, finish, ratio } from './report.ts';

const CONNECTIONS = 50;
const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
const PEER = fileURLToPath(new URL('./ingest_peer.ts', import.meta.url));

const options = benchOptions('ingest', 'posts of single calls', { seconds: '10' });
const seconds = Number(options.values.seconds);
const folder = await mkdtemp(join(tmpdir(), 'trunkline-bench-'));
const server = await startPostgres({ folder: join(folder, 'postgres'), database: 'trunkline' });
const env = {
  ...process.env,
  DATABASE_URL: server.url,
  CALLS_PORT: '0',
  LOG_LEVEL: 'warn',
  RATE_LIMIT_PER_MINUTE: '10000000',
};
try {
  await said(start(['migrate']), /calls\//);
  const key = (
    await said(start(['keys', 'create', '--scope', 'ingest', '--name', 'bench']), /tl_\w+/)
  ).trim();
  const service = start(['serve', 'calls']);
  const url = (await said(service, /http:\/\/\S+/)).trim();
  const ours = await load(`${url}/cdrs?create_accounts=true`, key);
  service.kill('SIGTERM');
  const peer = spawn(process.execPath, [PEER, server.url], { stdio: ['ignore', 'pipe', 'inherit'] });
  const port = (await said(peer, /\d+/)).trim();
  const plain = await load(`http://127.0.0.1:${port}/cdrs`, key);
  peer.kill('SIGTERM');
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
  );
} finally {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
}

function start(args: string[]): ChildProcess {
  return spawn(process.execPath, [MAIN, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
}

function said(child: ChildProcess, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const hear = (chunk: Buffer) => {
      text += chunk;
      const found = pattern.exec(text);
      if (found && text.indexOf('\n', found.index) >= 0) resolve(found[0]);
    };
    child.stdout!.on('data', hear);
    child.stderr?.on('data', hear);
    child.on('close', () => reject(new Error(`ended without saying ${pattern}: ${text}`)));
  });
}

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
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.floor(times.length * share)]?.toFixed(1) ?? '';
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
