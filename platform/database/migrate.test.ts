import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { sql } from 'kysely';
import { until } from '#engines/cluster/processes.ts';
import { testDatabase } from '#tests/postgres.ts';
import { valuesQuery } from './fast_read/fast_read.ts';
import { migrate, pendingMigrations } from './migrate.ts';
import { withSession } from './pool.ts';
import { sqlBuilder } from './statement.ts';

const { pool } = await testDatabase();
const LIMIT_MS = 20_000;
const build = sqlBuilder<unknown>();

async function migrationsOf(schema: string, files: Record<string, string>) {
  const folder = await mkdtemp(join(tmpdir(), 'trunkline-migrations-'));
  after(() => rm(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return { schema, folder, makesServiceTables: true as const };
}

const waiting = async (pattern: string) =>
  (
    await pool.query(
      `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query ~ $1`,
      [pattern],
    )
  ).rowCount! > 0;

test('all run in order or none does, and the one that failed is named', async () => {
  const migrations = await migrationsOf('ordered', {
    '0001_table.sql': 'CREATE TABLE ordered.one (a int)',
    '0002_column.sql': 'ALTER TABLE ordered.one ADD COLUMN b int; SELECT 1 / 0',
  });
  await assert.rejects(migrate(pool, migrations), /migration ordered\/0002_column failed: division by zero/);
  assert.deepEqual(await pendingMigrations(pool, migrations), ['0001_table', '0002_column']);
  await writeFile(join(migrations.folder, '0002_column.sql'), 'ALTER TABLE ordered.one ADD COLUMN b int');
  assert.deepEqual(await migrate(pool, migrations), ['0001_table', '0002_column']);
  assert.deepEqual(await migrate(pool, migrations), []);
});

test('what a later version has run stays, where this one can run with it, and is refused by name where not', async () => {
  const files = { '0001_table.sql': 'CREATE TABLE gone_back.one (a int)' };
  const before = await migrationsOf('gone_back', files);
  const later = await migrationsOf('gone_back', {
    ...files,
    '0002_column.sql': 'ALTER TABLE gone_back.one ADD COLUMN b int',
  });
  await migrate(pool, before);
  await migrate(pool, later);
  assert.deepEqual(await migrate(pool, before), []);
  assert.deepEqual(await pendingMigrations(pool, before), []);
  const breaking = 'ALTER TABLE gone_back.one DROP COLUMN a';
  await writeFile(join(later.folder, '0003_less_breaking.sql'), breaking);
  await migrate(pool, later);
  for (const work of [migrate, pendingMigrations]) {
    await assert.rejects(
      work(pool, before),
      /belongs to a later version \(gone_back\/0003_less_breaking\), with which this version can't run/,
    );
  }
  assert.deepEqual(await migrate(pool, later), []);
});

test('a table in use is waited for, and those who come for it do not wait as long', async () => {
  await pool.query('CREATE TABLE used AS SELECT 1 AS a');
  const migrations = await migrationsOf('patient', {
    '0001.sql': 'ALTER TABLE public.used ADD COLUMN b int',
  });
  const user = await pool.connect();
  await user.query('BEGIN; SELECT * FROM used');
  const migrated = migrate(pool, migrations);
  assert.ok(await until(() => waiting('ALTER TABLE'), LIMIT_MS));
  await pool.query('SELECT a FROM used'); // would not come back before the end of the transaction, without a limit
  await user.query('COMMIT');
  user.release();
  assert.deepEqual(await migrated, ['0001']);
});

test('statements that are read together and a migration that takes their tables the other way round both come through', async () => {
  await pool.query('CREATE TABLE first AS SELECT 1 AS a; CREATE TABLE second AS SELECT 2 AS a');
  const migrations = await migrationsOf('crossing', {
    '0001.sql': `ALTER TABLE public.second ADD COLUMN b int; SELECT pg_sleep(0.5);
                 ALTER TABLE public.first ADD COLUMN b int`,
  });
  const statement = (text: string) => sql.raw<{ a: number }>(text).compile(build);
  const migrated = migrate(pool, migrations);
  assert.ok(
    await until(async () => {
      const { rowCount } = await pool.query(
        `SELECT 1 FROM pg_locks WHERE relation = 'second'::regclass AND mode = 'AccessExclusiveLock' AND granted`,
      );
      return rowCount! > 0;
    }, LIMIT_MS),
  );
  const read = withSession(pool, (session) =>
    session.pipeline(
      valuesQuery(statement('SELECT a FROM first')),
      valuesQuery(statement('SELECT a FROM second')),
    ),
  );
  assert.ok(await until(() => waiting('SELECT a FROM second'), LIMIT_MS));
  assert.deepEqual(await read, [[{ a: 1 }], [{ a: 2 }]]);
  assert.deepEqual(await migrated, ['0001']);
});
