/**
 * The nightly import beside PostgreSQL's own COPY: the same rows, the same tables, one after the other on one server.
 *
 *   import   `trunkline import cdrs` of an Asterisk file: read, normalised, de-duplicated, summed, stored
 *   COPY     of what the import stored, already clean, from a file: into calls.cdrs alone, and with both usage tables
 */
import { spawn } from 'node:child_process';
import { createReadStream, createWriteStream, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { startPostgres } from '#engines/postgres.ts';
import { writeAsteriskRows } from './asterisk_rows.ts';
import { benchOptions, finish, type Row, ratio } from './report.ts';

const TABLES = ['calls.cdrs', 'calls.usage_quarters', 'calls.usage_days'];
const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));

const options = benchOptions('import', 'Asterisk rows to import', { rows: '5000000' });
const rows = Number(options.values.rows);
const folder = await mkdtemp(join(tmpdir(), 'trunkline-bench-'));
const server = await startPostgres({ folder: join(folder, 'data/postgres'), database: 'trunkline' });
try {
  const file = join(folder, 'Master.csv');
  await writeAsteriskRows(file, rows);
  const imported = await runImport(file);
  const again = await runImport(file);
  const copied = await copyClean();
  const table: Row[] = [
    [
      'import',
      `${imported.perSecond}/s`,
      ratio(imported.perSecond, copied.all),
      `${imported.memoryMb} MB peak`,
    ],
    [
      'import again (all known)',
      `${again.perSecond}/s`,
      ratio(again.perSecond, copied.all),
      `${again.memoryMb} MB peak`,
    ],
    ['COPY, calls and usage', `${copied.all}/s`, '100 %', ''],
    ['COPY, calls alone', `${copied.calls}/s`, ratio(copied.calls, copied.all), ''],
  ];
  finish(
    options,
    `${rows} Asterisk rows (${Math.round(statSync(file).size / 1e6)} MB) into partitioned, indexed, summed tables`,
    table,
    [
      {
        figure: `import of ${rows} Asterisk rows`,
        value: `${imported.perSecond}/s, ${imported.memoryMb} MB peak`,
        ratio: `${ratio(imported.perSecond, copied.all)} of COPY of the same, clean rows`,
        expected: '≥ 60 %, < 300 MB',
      },
    ],
  );
} finally {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
}

/** The command itself, as its own process; its peak memory is what the kernel says of it. */
async function runImport(file: string): Promise<{ perSecond: number; memoryMb: number }> {
  const env = { ...process.env, DATA_DIR: join(folder, 'data') };
  const child = spawn(
    process.execPath,
    [MAIN, 'import', 'cdrs', file, '--create-accounts', '--country', 'DE', '--json'],
    {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  let text = '';
  let memoryKb = 0;
  const poll = setInterval(async () => {
    const status = await import('node:fs/promises').then((fs) =>
      fs.readFile(`/proc/${child.pid}/status`, 'utf8').catch(() => ''),
    );
    memoryKb = Math.max(memoryKb, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0));
  }, 200);
  child.stdout.on('data', (chunk) => (text += chunk));
  const code = await new Promise((done) => child.on('close', done));
  clearInterval(poll);
  if (code !== 0) throw new Error(`the import ended with ${code}: ${text}`);
  return { perSecond: JSON.parse(text).per_second, memoryMb: Math.round(memoryKb / 1024) };
}

async function copyClean(): Promise<{ calls: number; all: number }> {
  const client = new pg.Client({ connectionString: server.url });
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
  await client.end();
  const all = seconds.reduce((sum, s) => sum + s, 0);
  return { calls: Math.round(rows / seconds[0]!), all: Math.round(rows / all) };
}
