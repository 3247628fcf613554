/**
 * The database of a command: that of DATABASE_URL, else the embedded one in DATA_DIR, joined when a program runs on it
 * and started for the command when none does.
 */
import { type Config, readConfig } from '#config';
import { EMBEDDED_DATABASE, postgresFolder, startPostgres } from '#engines/postgres.ts';
import { createPool, type Pool } from '#platform/database/pool.ts';
import { bringUpToDate } from '#services/calls/schema.ts';

/** A command stores batches one after the other; the second connection is for what it asks meanwhile. */
const COMMAND_POOL_SIZE = 4;

export interface CommandDatabase {
  readonly pool: Pool;
  readonly config: Config;
  readonly url: string;
}

/** Runs `work` on the database, up to date, and leaves as it found what it had to start. */
export async function withDatabase<T>(work: (database: CommandDatabase) => Promise<T>): Promise<T> {
  const config = readConfig(process.env);
  const given = config.DATABASE_URL_CALLS ?? config.DATABASE_URL;
  const embedded = given
    ? undefined
    : await startPostgres({
        folder: postgresFolder(config),
        database: EMBEDDED_DATABASE,
        port: config.EMBEDDED_POSTGRES_PORT || undefined,
      });
  const url = given ?? embedded!.url;
  const pool = createPool({
    url,
    applicationName: 'trunkline-command',
    size: COMMAND_POOL_SIZE,
    onIdleError: () => undefined,
  });
  try {
    await bringUpToDate(pool, { embedded: embedded !== undefined });
    return await work({ pool, config, url });
  } finally {
    await pool.end();
    await embedded?.stop();
  }
}
