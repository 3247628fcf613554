/**
 * Calls that come by themselves, beside what one would glue together.
 *
 *   follow   `trunkline import cdrs --follow` of an Asterisk file that is there already: rows a second until all are stored
 *   COPY     of the same calls, already clean, by one connection, into the same tables
 *   delay    from a row's being appended until it is seen in the table: by --follow, and by `tail -F` into one INSERT a
 *            line into a table without any index
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { statSync } from 'node:fs';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { startPostgres } from '#engines/postgres.ts';
import { writeAsteriskRows } from './asterisk_rows.ts';
import { copyClean } from './copy_clean.ts';
import { type AtEnd, runBench, stoppedAtEnd, temporaryFolder } from './ending.ts';
import { endChild, memoryKb, said, startProgram } from './program.ts';
import { benchOptions, finish, ratio } from './report.ts';

const options = benchOptions(
  'follow',
  'Asterisk rows that are followed',
  { rows: '1000000', delays: '300' },
  { delays: 'rows that are appended one by one' },
);
const rows = Number(options.values.rows);
const delays = Number(options.values.delays);

const POLL_MS = 20;
/** Between two rows whose delay is measured: longer than either way takes. */
const PAUSE_MS = 60;
const LIMIT_MS = 600_000;

await runBench(async (atEnd) => {
  const folder = await temporaryFolder(atEnd);
  const server = await stoppedAtEnd(
    atEnd,
    startPostgres({ folder: join(folder, 'postgres'), database: 'trunkline' }),
  );
  const client = new pg.Client({ connectionString: server.url });
  client.on('error', () => undefined);
  atEnd(() => client.end());
  await client.connect();
  const file = join(folder, 'Master.csv');
  await writeAsteriskRows(file, rows);
  const more = join(folder, 'more.csv');
  await writeAsteriskRows(more, 2 * delays);
  const lines = (await readFile(more, 'utf8'))
    .split('\n')
    .filter(Boolean)
    // Other calls than those of the file: ids of a switch of its own.
    .map((line) => `${line.replaceAll('.', '9.')}\n`);

  const env = { ...process.env, DATA_DIR: folder };
  const child = startProgram(
    ['import', 'cdrs', '--follow', file, '--create-accounts', '--country', 'DE'],
    env,
  );
  atEnd(() => endChild(child));
  child.stderr!.on('data', () => undefined);
  await said(child, /following/);
  const followed = await untilStored(client, child);
  const ours = await delaysOf(lines.slice(0, delays), file, () => rowsTold(client));
  await endChild(child, 'SIGTERM');
  const theirs = await tailDelays(client, server.url, folder, lines.slice(delays), atEnd);
  await client.query('TRUNCATE lines');
  const copied = await copyClean(server.url, folder, rows + delays, atEnd);
  const figures = (name: string, { p50, p99 }: Delay) => [name, `p50 ${p50} ms`, `p99 ${p99} ms`, ''];
  finish(
    options,
    `${rows} Asterisk rows (${Math.round(statSync(file).size / 1e6)} MB) that are there, ${delays} that come one by one`,
    [
      [
        'follow',
        `${followed.perSecond}/s`,
        ratio(followed.perSecond, copied.all),
        `${followed.memoryMb} MB peak`,
      ],
      ['COPY, calls and usage', `${copied.all}/s`, '100 %', ''],
      figures('delay, follow', ours),
      figures('delay, tail -F into an INSERT a line', theirs),
    ],
    [
      {
        figure: `following ${rows} Asterisk rows`,
        value: `${followed.perSecond}/s, ${followed.memoryMb} MB peak`,
        ratio: `${ratio(followed.perSecond, copied.all)} of one COPY of the same, clean rows`,
      },
      {
        figure: 'delay of a row, p50',
        value: `${ours.p50} ms (p99 ${ours.p99} ms)`,
        ratio: `${ratio(ours.p50, theirs.p50)} of tail -F into an INSERT a line (p99 ${theirs.p99} ms)`,
        expected: '< 2,000 ms',
      },
    ],
  );
});

/** Counted in the transaction of the rows; counting a million calls anew would take longer than a row does. */
async function rowsTold(client: pg.Client): Promise<number> {
  const { rows: told } = await client.query('SELECT coalesce(sum(rows), 0) AS n FROM calls.followed_sources');
  return Number(told[0].n);
}

async function count(client: pg.Client, table: string): Promise<number> {
  return Number((await client.query(`SELECT count(*) AS n FROM ${table}`)).rows[0].n);
}

/** From the first row that is seen on, so that the start of the program counts for nothing. */
async function untilStored(
  client: pg.Client,
  child: ChildProcess,
): Promise<{ perSecond: number; memoryMb: number }> {
  const begun = performance.now();
  let first: { at: number; stored: number } | undefined;
  let peakKb = 0;
  for (;;) {
    const stored = await rowsTold(client);
    peakKb = Math.max(peakKb, (await memoryKb(child.pid!, 'VmHWM')) ?? 0);
    if (stored > 0) first ??= { at: performance.now(), stored };
    if (stored >= rows && first) {
      const seconds = (performance.now() - first.at) / 1_000;
      return { perSecond: Math.round((rows - first.stored) / seconds), memoryMb: Math.round(peakKb / 1_024) };
    }
    if (child.exitCode !== null || performance.now() - begun > LIMIT_MS)
      throw new Error(`${stored} of ${rows} rows were stored`);
    await sleep(POLL_MS);
  }
}

interface Delay {
  readonly p50: number;
  readonly p99: number;
}

/** @param seen how many rows are there */
async function delaysOf(
  appended: readonly string[],
  file: string,
  seen: () => Promise<number>,
): Promise<Delay> {
  const found: number[] = [];
  let there = await seen();
  for (const line of appended) {
    const begun = performance.now();
    await appendFile(file, line);
    there++;
    while ((await seen()) < there)
      if (performance.now() - begun > LIMIT_MS) throw new Error(`a row did not come: ${line}`);
    found.push(performance.now() - begun);
    await sleep(PAUSE_MS);
  }
  found.sort((a, b) => a - b);
  const at = (share: number) =>
    Math.round(found[Math.min(found.length - 1, Math.floor(share * found.length))]! * 10) / 10;
  return { p50: at(0.5), p99: at(0.99) };
}

/** What a script of three lines does: no position, no check, no index. */
async function tailDelays(
  client: pg.Client,
  url: string,
  folder: string,
  appended: readonly string[],
  atEnd: AtEnd,
): Promise<Delay> {
  const file = join(folder, 'tailed.csv');
  await writeFile(file, '');
  await client.query('CREATE TABLE lines (line text)');
  const writer = new pg.Client({ connectionString: url });
  writer.on('error', () => undefined);
  atEnd(() => writer.end());
  await writer.connect();
  const tail = spawn('tail', ['-n', '0', '-F', file], { stdio: ['ignore', 'pipe', 'ignore'] });
  atEnd(() => endChild(tail));
  createInterface({ input: tail.stdout! }).on('line', (line) => {
    void writer.query('INSERT INTO lines VALUES ($1)', [line]);
  });
  await sleep(1_000);
  return delaysOf(appended, file, () => count(client, 'lines'));
}
