/**
 * Bodies that are made to hold up the service: how long `GET /health/live` waits at most while one is read, against the time
 * that JSON.parse takes for the largest body that is allowed, which would hold up everybody for as long. The largest body
 * is one record of as many keys as fit.
 */
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startPostgres } from '#engines/postgres.ts';
import { runBench, stoppedAtEnd, temporaryFolder } from './ending.ts';
import { endChild, said, startProgram } from './program.ts';
import { benchOptions, finish, ratio } from './report.ts';

const LIMIT_MB = 32;
const PROBE_EVERY_MS = 2;

const options = benchOptions('big_bodies', 'bodies that are made to hold up the service', { rounds: '3' });
const rounds = Number(options.values.rounds);

const JSON_TYPE = 'application/json';
const FORM_TYPE = 'application/x-www-form-urlencoded';
const keys = (count: number) => Array.from({ length: count }, (_, at) => `"key${at}":1`).join();
const record = (at: number) =>
  `{"account":"acme","call_id":"c${at}","start_time":"2026-11-20T10:00:00Z","cld":"+442079460001","duration_s":1,"result":"busy","description":"${'x'.repeat(900)}"}`;

const aDocument = (bytes: number) =>
  `{"variables":{"uuid":"u","accountcode":"acme","start_epoch":"1763632800","note":"${'x'.repeat(bytes)}"}}`;
const BODIES: readonly [what: string, type: string, body: Buffer][] = [
  ['a record of 2,000,000 keys', JSON_TYPE, `[{${keys(2_000_000)}}]`],
  ['3,000 records of 1 kB', JSON_TYPE, `[${Array.from({ length: 3_000 }, (_, at) => record(at)).join()}]`],
  ['15,000,000 records', JSON_TYPE, `[${'1,'.repeat(15_000_000)}1]`],
  ['a document of 1 MB', JSON_TYPE, aDocument(1_000_000)],
  ['a form of 3 MB', FORM_TYPE, `cdr=${encodeURIComponent(aDocument(500_000)).replaceAll('x', '%78')}`],
  ['base64 of 1 MB', FORM_TYPE, `cdr=${Buffer.from(aDocument(700_000)).toString('base64')}`],
].map(([what, type, body]) => [what!, type!, Buffer.from(body!)]);

/** Milliseconds that JSON.parse takes for the largest body. */
function parsingOfLargest(): number {
  const largest = `[{${keys(2_200_000)}}]`;
  const before = performance.now();
  JSON.parse(largest);
  return ((performance.now() - before) * LIMIT_MB * 1e6) / largest.length;
}

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
      BODY_LIMIT_MB: String(LIMIT_MB),
      RATE_LIMIT_PER_MINUTE: '10000000',
    });
  await said(start(['migrate']), /calls\//);
  const key = await said(start(['keys', 'create', '--scope', 'ingest', '--name', 'bench']), /tl_\w+/);
  const service = start(['serve', 'calls']);
  atEnd(() => endChild(service));
  const url = await said(service, /http:\/\/\S+/);

  const parsing = Math.min(...Array.from({ length: rounds }, parsingOfLargest));
  const rows = [['JSON.parse of the largest body', `${parsing.toFixed(0)} ms`, '1.00', '']];
  let worst = 0;
  await longestWait(url, sleep(500)); // connections are open, code is compiled
  for (const [what, type, body] of BODIES) {
    const waits: number[] = [];
    let status = 0;
    for (let round = 0; round < rounds; round++) {
      const posting = post(`${url}/cdrs?create_accounts=true`, key, type, body);
      waits.push(await longestWait(url, posting));
      status = await posting;
    }
    const wait = Math.min(...waits);
    worst = Math.max(worst, wait);
    rows.push([what, `${wait.toFixed(1)} ms`, ratio(wait, parsing), `${status}`]);
  }
  finish(
    options,
    `the longest that /health/live waited while a body was read, least of ${rounds} rounds`,
    rows,
    [
      {
        figure: 'longest wait beside a body',
        value: `${worst.toFixed(1)} ms`,
        ratio: `${ratio(worst, parsing)} of JSON.parse of the largest body`,
      },
    ],
  );
});

/** The longest that an answer took while something went on, in milliseconds. */
async function longestWait(url: string, until: Promise<unknown>): Promise<number> {
  const agent = new Agent({ keepAlive: true });
  let going = true;
  void until.finally(() => {
    going = false;
  });
  let longest = 0;
  while (going) {
    const before = performance.now();
    await new Promise<void>((answered, failed) => {
      request(`${url}/health/live`, { agent }, (answer) => answer.resume().on('end', answered))
        .on('error', failed)
        .end();
    });
    longest = Math.max(longest, performance.now() - before);
    await sleep(PROBE_EVERY_MS);
  }
  agent.destroy();
  return longest;
}

/** @returns the status of the answer */
function post(url: string, key: string, type: string, body: Buffer): Promise<number> {
  return new Promise((answered, failed) => {
    const headers = { authorization: `Bearer ${key}`, 'content-type': type };
    request(url, { method: 'POST', headers }, (answer) =>
      answer.resume().on('end', () => answered(answer.statusCode ?? 0)),
    )
      .on('error', failed)
      .end(body);
  });
}
