/**
 * Migrations: numbered SQL files of one service, run by Kysely's migrator, which locks, records and orders them.
 * Each service has its own schema and its own table of what has run.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Kysely, PostgresDialect, sql } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';
import type { QueryResultRow } from 'pg';
import { type Clock, systemClock } from '#platform/lifecycle/clock.ts';
import { hasGivenWay, LOCK_PAUSE_MS, LOCK_TIMEOUT_MS, LOCK_TRIES } from './give_way.ts';
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
  /** Versions that have this migration know marks of use; earlier ones refuse every mark. All know them, where it is left out. */
  readonly knowsMarksFrom?: string;
}

/** Whoever runs a statement: a pool, or a connection with its transaction. */
export interface Queries {
  query<Row extends QueryResultRow>(text: string, values?: unknown[]): Promise<{ readonly rows: Row[] }>;
}

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
    if (!hasGivenWay(error) || tries === 1) {
      const failed = results.find((r) => r.status === 'Error')?.migrationName;
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(`migration ${migrations.schema}/${failed ?? '?'} failed: ${why}`, { cause: error });
    }
    await clock.sleep(LOCK_PAUSE_MS);
  }
}

const BREAKING = '_breaking';
/**
 * Behind the name of a migration it says that something is stored now that versions without that migration would read as
 * more rights than it gives. Triggers write it among what has run (as `calls.mark_use`), where every version looks for names
 * with which it can't run.
 */
const MARK = '_used_breaking';

/** The migration whose tables are in use, where a name says so. */
export const marksUseOf = (name: string): string | undefined =>
  name.endsWith(MARK) ? name.slice(0, -MARK.length) : undefined;

/** The migrations with which no version runs that does not have them. */
export const breakingOf = (names: readonly string[]): string[] =>
  names.filter((name) => name.endsWith(BREAKING));

/**
 * What has run in this database that this version has no file of: migrations of a later version, marks of use.
 * @throws Error where this version can't run with it, or where a migration has not run that comes before one that has
 */
async function laterMigrations(pool: Queries, migrations: Migrations): Promise<string[]> {
  const { schema } = migrations;
  const own = new Set(await availableMigrations(migrations));
  const ran = await namesIn(pool, schema);
  const later = ran.filter((name) => !own.has(name));
  const breaking = breakingOf(later).filter((name) => !own.has(marksUseOf(name) ?? name));
  if (breaking.length === 0) {
    requireOrder(migrations, [...own], ran);
    return later;
  }
  throw new Error(
    `the database belongs to a later version (${schema}/${breaking.join(', ')}), with which this version can't run: start that version, or restore a back-up that was made before the upgrade`,
  );
}

/** Kysely would hold marks of use to the order as well. @throws Error */
function requireOrder({ schema }: Migrations, own: readonly string[], ran: readonly string[]): void {
  const last = ran.filter((name) => marksUseOf(name) === undefined).at(-1);
  const missed = own.find((name) => last !== undefined && name < last && !ran.includes(name));
  if (missed === undefined) return;
  throw new Error(
    `${schema}/${missed} has not run, but ${schema}/${last}, which comes after it: the database is of a commit that was never released; restore a back-up into a new one`,
  );
}

/** Names of the migrations that have run, of whatever version, in order. */
export async function ranMigrations(pool: Queries, { schema }: Migrations): Promise<string[]> {
  return (await namesIn(pool, schema)).filter((name) => marksUseOf(name) === undefined);
}

/** Of what has run, marks of use among them, in order. */
export async function namesIn(pool: Queries, schema: string): Promise<string[]> {
  const { rows } = await pool.query<{ there: boolean }>('SELECT to_regclass($1) IS NOT NULL AS there', [
    `${schema}.migrations`,
  ]);
  if (!rows[0]!.there) return [];
  const ran = await pool.query<{ name: string }>(
    `SELECT name FROM ${schema}.migrations ORDER BY name COLLATE "C"`,
  );
  return ran.rows.map(({ name }) => name);
}

/**
 * Names of the migrations that have not run yet, in order. Changes nothing.
 * @throws Error where a later version has run a migration with which this version can't run
 */
export async function pendingMigrations(pool: Queries, migrations: Migrations): Promise<string[]> {
  await laterMigrations(pool, migrations);
  const ran = await namesIn(pool, migrations.schema);
  return (await availableMigrations(migrations)).filter((name) => !ran.includes(name));
}

/** What has not run yet of schemas, as `calls/0001_calls`. Changes nothing. */
export async function pendingInAll(pool: Queries, schemas: readonly Migrations[]): Promise<string[]> {
  const pending: string[] = [];
  for (const schema of schemas) pending.push(...(await pendingMigrations(pool, schema)).map(nameIn(schema)));
  return pending;
}

/** `calls/0001_calls` */
export const nameIn =
  ({ schema }: Migrations) =>
  (name: string) =>
    `${schema}/${name}`;

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

/** @param later has run: there is no file of it here */
function createMigrator(pool: Pool, migrations: Migrations, later: readonly string[]): Migrator {
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
    // Marks of use stand anywhere among them; laterMigrations looks after the order.
    allowUnorderedMigrations: true,
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
