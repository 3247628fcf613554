/**
 * Migrations: numbered SQL files of one service, run by Kysely's migrator, which locks, records and orders them.
 * Each service has its own schema and its own table of what has run.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Kysely, PostgresDialect, sql } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';
import type { Pool } from './pool.ts';

export interface Migrations {
  /** The schema that the service owns; made if missing. */
  readonly schema: string;
  /** Folder of files named 0001_what_it_does.sql. */
  readonly folder: string;
}

/**
 * Brings one service's schema up to date.
 * @returns the names of the migrations that ran now, in order
 * @throws Error naming the migration that failed; earlier ones stay, it itself leaves nothing
 */
export async function migrate(pool: Pool, migrations: Migrations): Promise<string[]> {
  const { error, results = [] } = await createMigrator(pool, migrations).migrateToLatest();
  if (error) {
    const failed = results.find((r) => r.status === 'Error')?.migrationName;
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`migration ${migrations.schema}/${failed ?? '?'} failed: ${why}`, { cause: error });
  }
  return results.map((r) => r.migrationName);
}

/** Names of the migrations that have not run yet, in order. Changes nothing. */
export async function pendingMigrations(pool: Pool, migrations: Migrations): Promise<string[]> {
  const all = await createMigrator(pool, migrations).getMigrations();
  return all.filter((migration) => migration.executedAt === undefined).map((migration) => migration.name);
}

function createMigrator(pool: Pool, migrations: Migrations): Migrator {
  return new Migrator({
    db: new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) }),
    provider: { getMigrations: () => readMigrations(migrations.folder) },
    migrationTableSchema: migrations.schema,
    migrationTableName: 'migrations',
    migrationLockTableName: 'migrations_lock',
  });
}

async function readMigrations(folder: string): Promise<Record<string, Migration>> {
  const files = (await readdir(folder)).filter((f) => f.endsWith('.sql'));
  const entries = files.map(async (file): Promise<[string, Migration]> => {
    const text = await readFile(join(folder, file), 'utf8');
    return [
      file.slice(0, -'.sql'.length),
      {
        up: async (db) => {
          await sql.raw(text).execute(db);
        },
      },
    ];
  });
  return Object.fromEntries(await Promise.all(entries));
}
