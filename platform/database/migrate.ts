/**
 * Migrations: numbered SQL files of one service, run by Kysely's migrator, which locks, records and orders them.
 * Each service has its own schema and its own table of what has run.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Kysely, PostgresDialect, sql } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';
import { type Clock, systemClock } from '#platform/lifecycle/clock.ts';
import type { Pool } from './pool.ts';

export interface Migrations {
  /** The schema that the service owns; made if missing. */
  readonly schema: string;
  /** Folder of files named 0001_what_it_does.sql. */
  readonly folder: string;
}

/**
 * How long a migration waits for a table that is in use. All who come for the table wait behind it, so it is short; and
 * shorter than PostgreSQL takes to look for a deadlock (1 s), so that the migration gives way to requests and not they to it.
 */
const LOCK_TIMEOUT_MS = 800;
/** How often it is begun again, and how long after it gave way. */
const LOCK_TRIES = 30;
const LOCK_PAUSE_MS = 1_000;

/** lock_not_available, deadlock_detected */
const GAVE_WAY = ['55P03', '40P01'];

/**
 * Brings one service's schema up to date, in one transaction. Requests may run meanwhile: a migration that finds a table in
 * use is rolled back and begun again.
 * @returns the names of the migrations that ran now, in order
 * @throws Error naming the migration that failed; none of those that were to run has left anything then
 */
export async function migrate(
  pool: Pool,
  migrations: Migrations,
  clock: Clock = systemClock,
): Promise<string[]> {
  for (let tries = LOCK_TRIES; ; tries--) {
    const { error, results = [] } = await createMigrator(pool, migrations).migrateToLatest();
    if (!error) return results.map((r) => r.migrationName);
    const gaveWay = GAVE_WAY.includes((error as { code?: string }).code ?? '');
    if (!gaveWay || tries === 1) {
      const failed = results.find((r) => r.status === 'Error')?.migrationName;
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(`migration ${migrations.schema}/${failed ?? '?'} failed: ${why}`, { cause: error });
    }
    await clock.sleep(LOCK_PAUSE_MS);
  }
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
          await sql.raw(`SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`).execute(db);
          await sql.raw(text).execute(db);
        },
      },
    ];
  });
  return Object.fromEntries(await Promise.all(entries));
}
