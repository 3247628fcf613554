/**
 * The nightly import beside PostgreSQL's own COPY: the same rows, the same tables, one after the other on one server.
 *
 *   import   `trunkline import cdrs` of an Asterisk file: read, normalised, de-duplicated, summed, stored
 *   COPY     of what the import stored, already clean, from a file: into calls.cdrs alone, and with both usage tables
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { startPostgres } from '#engines/postgres.ts';
import { writeAsteriskRows } from './asterisk_rows.ts';
import { copyClean } from './copy_clean.ts';
import { runBench, stoppedAtEnd, temporaryFolder } from './ending.ts';
import { type Imported, runImport } from './import_command.ts';
import { benchOptions, finish, ratio } from './report.ts';

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
  const copied = await copyClean(server.url, folder, rows, atEnd);
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
