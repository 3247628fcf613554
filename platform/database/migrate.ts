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
import type { Session } from './session.ts';

export interface Migrations {
  /** The schema that the service owns; made if missing. */
  readonly schema: string;
  /**
   * Folder of files named 0001_what_it_does.sql. A name that ends with `_breaking` says that the version of the program
   * before it can't run any more once the migration has run; where no name does, that version can be gone back to.
   */
  readonly folder: string;
  /** The tables that every service has are made by the service's own files; else by service_tables.sql, before them. */
  readonly makesServiceTables?: true;
  /** Versions of the program that have this migration run with tables of later ones; earlier versions refuse them. All do, where it is left out. */
  readonly runsWithLaterFrom?: string;
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
 * What a later version of the program has run stays, where this version can run with it.
 * @returns the names of the migrations that ran now, in order
 * @throws Error naming the migration that failed; none of those that were to run has left anything then. Also where a
 *   later version has run a migration with which this version can't run
 */
export async function migrate(
  pool: Pool,
  migrations: Migrations,
  clock: Clock = systemClock,
): Promise<string[]> {
  const later = await laterMigrations(pool, migrations);
  for (let tries = LOCK_TRIES; ; tries--) {
    const { error, results = [] } = await createMigrator(pool, migrations, later).migrateToLatest();
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

const BREAKING = '_breaking';

/** The migrations with which no version runs that does not have them. */
const breakingOf = (names: readonly string[]): string[] => names.filter((name) => name.endsWith(BREAKING));

/**
 * Whether the version of the program that has made these tables so far can still run when all that is pending has run.
 * @returns null where no version has made any
 */
export async function versionBeforeRunsOn(
  pool: Pool,
  schemas: readonly Migrations[],
): Promise<boolean | null> {
  let isEmpty = true;
  for (const migrations of schemas) {
    const pending = await pendingMigrations(pool, migrations);
    const ran = await ranMigrations(pool, migrations);
    isEmpty &&= ran.length === 0;
    if (ran.length > 0 && breakingOf(pending).length > 0) return false;
    const from = migrations.runsWithLaterFrom;
    // A schema that is new is none that the version before looks into.
    if (pending.length > 0 && ran.length > 0 && from !== undefined && !ran.includes(from)) return false;
  }
  return isEmpty ? null : true;
}

/**
 * What a later version of the program has run in this database.
 * @throws Error where this version can't run with it
 */
async function laterMigrations(pool: Pool, migrations: Migrations): Promise<string[]> {
  const { schema } = migrations;
  const own = new Set(await availableMigrations(migrations));
  const later = (await ranMigrations(pool, migrations)).filter((name) => !own.has(name));
  const breaking = breakingOf(later);
  if (breaking.length === 0) return later;
  throw new Error(
    `the database belongs to a later version (${schema}/${breaking.join(', ')}), with which this version can't run: start that version, or restore a back-up that was made before the upgrade`,
  );
}

/** Names of the migrations that have run, of whatever version, in order. */
export async function ranMigrations(pool: Pool, { schema }: Migrations): Promise<string[]> {
  const { rows } = await pool.query<{ there: boolean }>('SELECT to_regclass($1) IS NOT NULL AS there', [
    `${schema}.migrations`,
  ]);
  if (!rows[0]!.there) return [];
  const ran = await pool.query<{ name: string }>(`SELECT name FROM ${schema}.migrations ORDER BY name`);
  return ran.rows.map(({ name }) => name);
}

/**
 * Names of the migrations that have not run yet, in order. Changes nothing.
 * @throws Error where a later version has run a migration with which this version can't run
 */
export async function pendingMigrations(pool: Pool, migrations: Migrations): Promise<string[]> {
  const later = await laterMigrations(pool, migrations);
  const all = await createMigrator(pool, migrations, later).getMigrations();
  return all.filter((migration) => migration.executedAt === undefined).map((migration) => migration.name);
}

/** Brings schemas up to date, one after the other. @returns what ran now, as `calls/0001_calls` */
export async function migrateAll(pool: Pool, schemas: readonly Migrations[]): Promise<string[]> {
  const ran: string[] = [];
  for (const schema of schemas) ran.push(...(await migrate(pool, schema)).map(nameIn(schema)));
  return ran;
}

/** What has not run yet of schemas, as `calls/0001_calls`. Changes nothing. */
export async function pendingInAll(pool: Pool, schemas: readonly Migrations[]): Promise<string[]> {
  const pending: string[] = [];
  for (const schema of schemas) pending.push(...(await pendingMigrations(pool, schema)).map(nameIn(schema)));
  return pending;
}

const nameIn =
  ({ schema }: Migrations) =>
  (name: string) =>
    `${schema}/${name}`;

/**
 * Migrating a database that others use as well is the operator's decision, so only the embedded one is migrated unasked.
 * @returns the migrations that ran now
 * @throws Error when another database lacks some
 */
export async function bringUpToDate(
  pool: Pool,
  schemas: readonly Migrations[],
  postgres: { readonly embedded: boolean },
): Promise<string[]> {
  if (postgres.embedded) return migrateAll(pool, schemas);
  const pending = await pendingInAll(pool, schemas);
  if (pending.length > 0) {
    throw new Error(`DATABASE_URL: the database lacks ${pending.length} migrations; run: trunkline migrate`);
  }
  return [];
}

/** Names of all migrations that this program has for a schema, in order. */
export async function availableMigrations(migrations: Migrations): Promise<string[]> {
  return Object.keys(await readMigrations(migrations)).sort();
}

/** Brings a schema to the state after a migration. @throws Error naming the one that failed */
export type MigrateTo = (migrations: Migrations, last: string) => Promise<void>;

/** Runs `work` in a transaction of its session, in which it may migrate: all of it counts, or nothing. */
export async function transactionWithMigrations<T>(
  { client }: Session,
  work: (migrateTo: MigrateTo) => Promise<T>,
): Promise<T> {
  const lent = { query: client.query.bind(client), release: () => undefined };
  const pool = { connect: async () => lent, end: async () => undefined } as unknown as Pool;
  const db = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) });
  const transaction = await db.startTransaction().execute();
  try {
    const answer = await work(async (migrations, last) => {
      const { error, results = [] } = await migratorOn(transaction, migrations).migrateTo(last);
      if (!error) return;
      const failed = results.find((r) => r.status === 'Error')?.migrationName;
      throw new Error(`migration ${migrations.schema}/${failed ?? last} failed`, { cause: error });
    });
    await transaction.commit().execute();
    return answer;
  } catch (error) {
    // Where the connection is gone, so is the transaction.
    await transaction
      .rollback()
      .execute()
      .catch(() => undefined);
    throw error;
  }
}

/** @param later has run and is of a later version: there is no file of it here */
function createMigrator(pool: Pool, migrations: Migrations, later: readonly string[] = []): Migrator {
  return migratorOn(new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) }), migrations, later);
}

function migratorOn(db: Kysely<unknown>, migrations: Migrations, later: readonly string[] = []): Migrator {
  return new Migrator({
    db,
    provider: {
      getMigrations: async () => ({
        ...(await readMigrations(migrations)),
        ...Object.fromEntries(later.map((name) => [name, HAS_RUN])),
      }),
    },
    migrationTableSchema: migrations.schema,
    migrationTableName: 'migrations',
    migrationLockTableName: 'migrations_lock',
  });
}

const HAS_RUN: Migration = { up: () => Promise.reject(new Error('it has run already')) };

async function readMigrations(migrations: Migrations): Promise<Record<string, Migration>> {
  const entries = (await migrationTexts(migrations)).map(({ name, text }): [string, Migration] => [
    name,
    {
      up: async (db) => {
        await sql.raw(`SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`).execute(db);
        await sql.raw(text).execute(db);
      },
    },
  ]);
  return Object.fromEntries(entries);
}

const SERVICE_TABLES = new URL('./service_tables.sql', import.meta.url);

/** The migrations of a schema as SQL, in order. */
export async function migrationTexts({
  schema,
  folder,
  makesServiceTables,
}: Migrations): Promise<{ readonly name: string; readonly text: string }[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.sql')).sort();
  const own = files.map(async (file) => {
    return { name: file.slice(0, -'.sql'.length), text: await readFile(join(folder, file), 'utf8') };
  });
  const texts = await Promise.all(own);
  if (makesServiceTables) return texts;
  const common = await readFile(SERVICE_TABLES, 'utf8');
  return [{ name: '0000_service_tables', text: common.replaceAll('SCHEMA.', `${schema}.`) }, ...texts];
}
