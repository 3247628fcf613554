/**
 * The nightly import beside PostgreSQL's own COPY: the same rows, the same tables, one after the other on one server.
 *
 *   import   `trunkline import cdrs` of an Asterisk file: read, normalised, de-duplicated, summed, stored
 *   COPY     of what the import stored, already clean, from a file: into calls.cdrs alone, and with both usage tables
 */
import { createReadStream, createWriteStream, statSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { startPostgres } from '#engines/postgres.ts';
import { writeAsteriskRows } from './asterisk_rows.ts';
import { type AtEnd, runBench, stoppedAtEnd, temporaryFolder } from './ending.ts';
import { endChild, memoryKb, startProgram } from './program.ts';
import { benchOptions, finish, ratio } from './report.ts';

const TABLES = ['calls.cdrs', 'calls.usage_quarters', 'calls.usage_days'];
const MEMORY_POLL_MS = 100;

const options = benchOptions('import', 'Asterisk rows to import', { rows: '5000000' });
const rows = Number(options.values.rows);

await runBench(async (atEnd) => {
  const folder = await temporaryFolder(atEnd);
  const server = await stoppedAtEnd(
    atEnd,
    startPostgres({ folder: join(folder, 'postgres'), database: 'trunkline' }),
  );
  const file = join(folder, 'Master.csv');
  await writeAsteriskRows(file, rows);
  const env = { ...process.env, DATA_DIR: folder };
  const imported = await runImport(file, env, atEnd);
  const again = await runImport(file, env, atEnd);
  const copied = await copyClean(server.url, folder, atEnd);
  const row = (name: string, { perSecond, memoryMb }: Imported) => [
    ...[name, `${perSecond}/s`, ratio(perSecond, copied.all), `${memoryMb} MB peak`],
  ];
  finish(
    options,
    `${rows} Asterisk rows (${Math.round(statSync(file).size / 1e6)} MB) into partitioned, indexed, summed tables`,
    [
      row('import', imported),
      row('import again (all known)', again),
      ['COPY, calls and usage', `${copied.all}/s`, '100 %', ''],
      ['COPY, calls alone', `${copied.calls}/s`, ratio(copied.calls, copied.all), ''],
    ],
    [
      {
        figure: `import of ${rows} Asterisk rows`,
        value: `${imported.perSecond}/s, ${imported.memoryMb} MB peak`,
        ratio: `${ratio(imported.perSecond, copied.all)} of COPY of the same, clean rows`,
        expected: '≥ 60 %, < 300 MB',
      },
    ],
  );
});

interface Imported {
  readonly perSecond: number;
  /** The most that the process had in memory, as the kernel says. */
  readonly memoryMb: number;
}

/** The command itself, as its own process. */
async function runImport(file: string, env: NodeJS.ProcessEnv, atEnd: AtEnd): Promise<Imported> {
  const child = startProgram(['import', 'cdrs', file, '--create-accounts', '--country', 'DE', '--json'], env);
  atEnd(() => endChild(child));
  let out = '';
  let peakKb = 0;
  child.stdout!.on('data', (chunk) => (out += chunk));
  child.stderr!.pipe(process.stderr);
  const poll = setInterval(async () => {
    peakKb = Math.max(peakKb, (await memoryKb(child.pid!, 'VmHWM')) ?? 0);
  }, MEMORY_POLL_MS);
  const code = await new Promise((done) => child.on('close', done));
  clearInterval(poll);
  if (code !== 0) throw new Error(`the import ended with ${code}: ${out}`);
  return { perSecond: JSON.parse(out).per_second, memoryMb: Math.round(peakKb / 1024) };
}

async function copyClean(url: string, folder: string, atEnd: AtEnd): Promise<{ calls: number; all: number }> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  atEnd(() => client.end());
  await client.connect();
  for (const table of TABLES) {
    await pipeline(
      client.query(copyTo(`COPY (SELECT * FROM ${table}) TO STDOUT`)),
      createWriteStream(join(folder, table)),
    );
  }
  await client.query(`TRUNCATE ${TABLES.join(', ')}`);
  await client.query('CHECKPOINT');
  const seconds: number[] = [];
  for (const table of TABLES) {
    const started = performance.now();
    await pipeline(createReadStream(join(folder, table)), client.query(copyFrom(`COPY ${table} FROM STDIN`)));
    seconds.push((performance.now() - started) / 1000);
  }
  const all = seconds.reduce((sum, s) => sum + s, 0);
  return { calls: Math.round(rows / seconds[0]!), all: Math.round(rows / all) };
}
