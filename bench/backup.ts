/**
 * A back-up and its restoring, beside PostgreSQL's own COPY of the same tables.
 *
 *   COPY       every table of the schema TO STDOUT, into files; and FROM STDIN into the migrated, indexed tables
 *   back-up    `takeBackup` into a file: COPY, zstd, sealed with a key, sums of every account and month
 *   restore    `restoreBackup` into an empty database: migrations, COPY, indexes, sums compared
 */
import { randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream, statSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { startPostgres } from '#engines/postgres.ts';
import { writeWholeFile } from '#platform/database/backup/backup_files.ts';
import { inOrderOfNeed, listTables } from '#platform/database/backup/catalogue.ts';
import { openBackup } from '#platform/database/backup/frames.ts';
import { restoreBackup } from '#platform/database/backup/restore.ts';
import { takeBackup } from '#platform/database/backup/take.ts';
import { createPool, type Pool, withSession } from '#platform/database/pool.ts';
import { migrateAll } from '#platform/database/upgrade.ts';
import { backedUpOf } from '#platform/service/definition.ts';
import { ensureMonths } from '#services/calls/partitions.ts';
import { calls } from '#services/calls/service.ts';
import { SCHEMAS, SERVICES } from '#system';
import { writeAsteriskRows } from './asterisk_rows.ts';
import { type AtEnd, runBench, stoppedAtEnd, temporaryFolder } from './ending.ts';
import { runImport } from './import_command.ts';
import { benchOptions, finish, ratio } from './report.ts';

const BACKED_UP = backedUpOf(SERVICES);
const options = benchOptions('backup', 'Asterisk rows in the database', { rows: '1000000' });
const rows = Number(options.values.rows);

await runBench(async (atEnd) => {
  const folder = await temporaryFolder(atEnd);
  const starting = startPostgres({ folder: join(folder, 'postgres'), database: 'trunkline' });
  const { url } = await stoppedAtEnd(atEnd, starting);
  const csv = join(folder, 'Master.csv');
  await writeAsteriskRows(csv, rows);
  await runImport(csv, { ...process.env, DATA_DIR: folder }, atEnd);
  const source = poolOf(url, atEnd);
  await source.query('CHECKPOINT');

  const { schema } = calls.migrations;
  const tables = await withSession(source, async (session) =>
    inOrderOfNeed(await session.rows(listTables(schema))),
  );
  const names = tables.map(({ name }) => name).filter((name) => !name.startsWith('migrations'));
  const plain = (name: string) => join(folder, `${name}.copy`);
  const copied = await timed(() =>
    onClient(source, async (client) => {
      for (const name of names)
        await pipeline(client.query(copyTo(`COPY calls.${name} TO STDOUT`)), createWriteStream(plain(name)));
    }),
  );
  const plainBytes = names.reduce((sum, name) => sum + statSync(plain(name)).size, 0);

  const secret = randomBytes(32);
  const file = join(folder, 'bench.backup');
  const taken = await timed(() => take(source, secret, file));
  const bytes = statSync(file).size;

  const loadedInto = await database(url, 'loaded', atEnd);
  await migrateAll(loadedInto, SCHEMAS);
  const months = names.flatMap((name) => Number(/^cdrs_(\d{6})$/.exec(name)?.[1]) || []);
  await ensureMonths(loadedInto, months);
  const loaded = await timed(() =>
    onClient(loadedInto, async (client) => {
      for (const name of names)
        await pipeline(
          createReadStream(plain(name)),
          client.query(copyFrom(`COPY calls.${name} FROM STDIN`)),
        );
    }),
  );
  const restoredInto = await database(url, 'restored', atEnd);
  const restored = await timed(() => restore(restoredInto, secret, file));

  const line = (name: string, seconds: number, size: number, peer: number) => [
    ...[name, `${seconds.toFixed(1)} s`, ratio(peer, seconds)],
    ...[`${Math.round(size / 1e6)} MB`, ratio(size, plainBytes)],
  ];
  finish(
    options,
    `${rows} Asterisk rows, all tables of the schema`,
    [
      ['', 'time', 'speed beside COPY', 'size', 'of plain COPY'],
      line('COPY out', copied, plainBytes, copied),
      line('back-up', taken, bytes, copied),
      line('COPY in, tables with indexes', loaded, plainBytes, loaded),
      line('restore', restored, bytes, loaded),
    ],
    [
      {
        figure: `back-up of ${rows} calls`,
        value: `${taken.toFixed(1)} s, ${Math.round(bytes / 1e6)} MB`,
        ratio: `${ratio(copied, taken)} of the speed of COPY, ${ratio(bytes, plainBytes)} of its bytes`,
      },
      {
        figure: 'restore, compared',
        value: `${restored.toFixed(1)} s`,
        ratio: `${ratio(loaded, restored)} of the speed of COPY into indexed tables`,
      },
    ],
  );
});

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

function poolOf(url: string, atEnd: AtEnd): Pool {
  const pool = createPool({ url, applicationName: 'bench', size: 2, onIdleError: () => undefined });
  atEnd(() => pool.end());
  return pool;
}

async function database(url: string, name: string, atEnd: AtEnd): Promise<Pool> {
  const admin = new pg.Client({ connectionString: url });
  await admin.connect();
  await admin.query(`CREATE DATABASE ${name}`);
  await admin.end();
  const own = new URL(url);
  own.pathname = `/${name}`;
  return poolOf(own.href, atEnd);
}

async function onClient(pool: Pool, work: (client: pg.PoolClient) => Promise<void>): Promise<void> {
  const client = await pool.connect();
  try {
    await work(client);
  } finally {
    client.release();
  }
}

async function take(pool: Pool, secret: Buffer, file: string): Promise<void> {
  const progress = { table: '', rows: 0, share: 0 };
  await takeBackup(pool, BACKED_UP, { program: 'bench', secret, progress }, (bytes) =>
    writeWholeFile(file, bytes, 0, () => undefined),
  );
}

async function restore(pool: Pool, secret: Buffer, file: string): Promise<void> {
  const backup = await openBackup(file);
  const progress = { table: '', rows: 0, bytes: 0 };
  await restoreBackup(pool, BACKED_UP, backup, { secret, replace: false, progress });
  await backup.close();
}
