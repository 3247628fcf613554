/**
 * Real PostgreSQL databases for tests: one embedded server shared by all test processes, one migrated template,
 * cloned for each test file. The server's files live in the temporary folder; the last test process out stops it.
 */
import { createHash, randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import pg from 'pg';
import { type RunningPostgres, startPostgres } from '#engines/postgres.ts';
import { migrationTexts } from '#platform/database/migrate.ts';
import { createPool, type Pool } from '#platform/database/pool.ts';
import { migrateAll } from '#platform/database/upgrade.ts';
import { SCHEMAS } from '#system';

const FOLDER = join(tmpdir(), `trunkline-tests-${process.getuid?.() ?? 0}`);
const TEMPLATE_LOCK = 7_274_010;

/** The shared test server. tests/run.ts holds it for a whole run; a single test file starts it for itself. */
export function startTestPostgres(): Promise<RunningPostgres> {
  return startPostgres({
    folder: FOLDER,
    database: 'postgres',
    // A test that kills the server kills a process, not the machine: nothing here needs the disk to have it.
    settings: { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '300' },
  });
}

export interface TestDatabase {
  readonly url: string;
  readonly pool: Pool;
}

/**
 * A migrated database of this test file's own, dropped after its last test.
 * Call it at the top of the file: `const database = await testDatabase();`
 */
export async function testDatabase(): Promise<TestDatabase> {
  const server = await startTestPostgres();
  return databaseOfFile(server, await migratedTemplate(server.url));
}

/** The same without any tables. */
export async function emptyDatabase(): Promise<TestDatabase> {
  const server = await startTestPostgres();
  return databaseOfFile(server, 'template0');
}

/** Work on a migrated database outside of a test. */
export async function withMigratedDatabase<T>(work: (pool: Pool) => Promise<T>): Promise<T> {
  const server = await startTestPostgres();
  const url = databaseUrl(server.url, await migratedTemplate(server.url));
  const pool = createPool({ url, applicationName: 'scripts', size: 2, onIdleError: () => undefined });
  try {
    return await work(pool);
  } finally {
    await pool.end();
    await server.stop();
  }
}

async function databaseOfFile(server: RunningPostgres, template: string): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString('hex')}`;
  await withAdmin(server.url, (admin) => admin.query(`CREATE DATABASE ${name} TEMPLATE ${template}`));
  const url = databaseUrl(server.url, name);
  const pool = createPool({ url, applicationName: 'test', size: 10, onIdleError: () => undefined });
  after(async () => {
    await pool.end();
    await withAdmin(server.url, (admin) => admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`));
    await server.stop();
  });
  return { url, pool };
}

/** Named by what the migrations say, so that an edited one is never tested against yesterday's tables. */
async function migratedTemplate(serverUrl: string): Promise<string> {
  const hash = createHash('sha256');
  for (const migrations of SCHEMAS) {
    hash.update(migrations.schema);
    for (const { name, text } of await migrationTexts(migrations)) hash.update(name).update(text);
  }
  const name = `template_${hash.digest('hex').slice(0, 16)}`;
  await withAdmin(serverUrl, async (admin) => {
    await admin.query('SELECT pg_advisory_lock($1)', [TEMPLATE_LOCK]);
    const found = await admin.query('SELECT 1 FROM pg_database WHERE datname = $1', [name]);
    if (found.rowCount) return;
    const draft = `${name}_draft`;
    await admin.query(`DROP DATABASE IF EXISTS ${draft} WITH (FORCE)`);
    await admin.query(`CREATE DATABASE ${draft}`);
    const pool = createPool({
      url: databaseUrl(serverUrl, draft),
      applicationName: 'template',
      size: 1,
      onIdleError: () => undefined,
    });
    await migrateAll(pool, SCHEMAS).finally(() => pool.end());
    await admin.query(`ALTER DATABASE ${draft} RENAME TO ${name}`);
  });
  return name;
}

function databaseUrl(serverUrl: string, database: string): string {
  const url = new URL(serverUrl);
  url.pathname = `/${database}`;
  return url.href;
}

async function withAdmin<T>(url: string, work: (admin: pg.Client) => Promise<T>): Promise<T> {
  const admin = new pg.Client({ connectionString: url });
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.end();
  }
}
