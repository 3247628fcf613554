/**
 * The database of a command: that of DATABASE_URL, else the embedded one in DATA_DIR where a program runs on it, else
 * the tier that runs in DATA_DIR, else the embedded one, started for the command.
 */
import { type Config, readConfig } from '#config';
import { runningTier, tierFolder } from '#engines/cluster/tier.ts';
import { EMBEDDED_DATABASE, findPostgres, postgresFolder, startPostgres } from '#engines/postgres.ts';
import { createPool, type Pool } from '#platform/database/pool.ts';
import { bringUpToDate } from '#services/calls/schema.ts';
import { note } from './print.ts';

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
  const own = given ? undefined : await ownDatabase(config);
  const url = given ?? own!.url;
  const pool = createPool({
    url,
    applicationName: 'trunkline-command',
    size: COMMAND_POOL_SIZE,
    onIdleError: () => undefined,
  });
  try {
    await bringUpToDate(pool, { embedded: own !== undefined });
    return await work({ pool, config, url });
  } finally {
    await pool.end();
    await own?.stop();
  }
}

async function ownDatabase(config: Config): Promise<{ url: string; stop(): Promise<void> }> {
  const folder = postgresFolder(config);
  const tier = (await findPostgres(folder, EMBEDDED_DATABASE)) ? undefined : await runningTier(config);
  if (tier) {
    note(`database  PostgreSQL tier in ${tierFolder(config)}`);
    return { url: tier.writeUrl, stop: async () => {} };
  }
  return startPostgres({
    folder,
    database: EMBEDDED_DATABASE,
    port: config.EMBEDDED_POSTGRES_PORT || undefined,
  });
}
