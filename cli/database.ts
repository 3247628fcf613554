/**
 * The database of a command: that of DATABASE_URL, else the embedded one in DATA_DIR if it runs, else the tier that runs
 * in DATA_DIR, else the embedded one, started for the command.
 */

import { keepsTierData, runningTier, tierFolder } from '#engines/cluster/tier.ts';
import { warnOfFormerData } from '#engines/former_data.ts';
import {
  EMBEDDED_DATABASE,
  findPostgres,
  hasCluster,
  postgresFolder,
  startPostgres,
} from '#engines/postgres.ts';
import { closePool, createPool } from '#platform/database/pool.ts';
import { bringUpToDate } from '#platform/database/upgrade.ts';
import type { CommandDatabase, DatabaseUse } from '#platform/service/commands.ts';
import { type AnyDatabaseService, byDatabase, schemasOf } from '#platform/service/definition.ts';
import { onEndingSignal, statusOf } from '#platform/terminal/ending_signals.ts';
import { note } from '#platform/terminal/print.ts';
import { type Config, givenUrl, prepareDataFolder, readConfig, SERVICES } from '#system';

/** A command stores batches one after the other; the second connection is for its queries meanwhile. */
const COMMAND_POOL_SIZE = 4;

/** The same as in the program's own commands. */
export interface ProgramDatabase extends CommandDatabase {
  readonly config: Config;
  /** The services that stand on it. */
  readonly services: readonly AnyDatabaseService[];
}

/** Whose database a command of the program's own means, where it does not say. */
const MAIN_SERVICE = 'calls';

/**
 * Runs `work` on the database, and stops whatever it had to start. A signal that asks the command to end closes its
 * connections, so that PostgreSQL rolls uncommitted work back; then the process ends with 128 + the signal.
 */
export async function withDatabase<T>(
  work: (database: ProgramDatabase) => Promise<T>,
  { endsItself = false, asItIs = false, service = MAIN_SERVICE }: DatabaseUse = {},
): Promise<T> {
  const ending = new AbortController();
  let isWorking = false;
  let leave = async () => {};
  const stopListening = onEndingSignal((signal, again) => {
    if (again) process.exit(statusOf(signal));
    ending.abort(new Error(signal));
    if (endsItself && isWorking) return;
    note(`${signal}: stopping; stored data stays`);
    leave().finally(() => process.exit(statusOf(signal)));
  });
  try {
    const config = readConfig(process.env);
    const given = givenUrl(config, service);
    const opening = given ? undefined : ownDatabase(config);
    // A server that is being started is not known until it runs.
    leave = async () => (await opening)?.stop();
    const own = await opening;
    const urlOf = (name: string) => givenUrl(config, name) ?? own!.url;
    const databases = byDatabase(SERVICES, urlOf).map((database) => ({
      ...database,
      pool: createPool({
        url: database.url,
        applicationName: 'trunkline-command',
        size: COMMAND_POOL_SIZE,
        onIdleError: () => undefined,
      }),
    }));
    const find = (name: string) =>
      databases.find(({ services }) => services.some((one) => one.name === name)) ?? databases[0]!;
    leave = once(async () => {
      await Promise.all(databases.map(({ pool }) => closePool(pool)));
      await own?.stop();
    });
    try {
      const embedded = own !== undefined;
      const { pool, url, services } = find(service);
      for (const one of asItIs ? [] : databases)
        await bringUpToDate(one.pool, schemasOf(one.services), { embedded });
      isWorking = true;
      const poolOf = (name: string) => find(name).pool;
      return await work({ pool, poolOf, config, url, services, ending: ending.signal });
    } finally {
      await leave();
    }
  } finally {
    stopListening();
  }
}

/** Does the work once, for all callers. */
function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => {
    done ??= work();
    return done;
  };
}

/**
 * @throws Error when the command can't know its database: an answer from a wrong database, or from a new and empty one,
 *   would be wrong without notice
 */
async function ownDatabase(config: Config): Promise<{ url: string; stop(): Promise<void> }> {
  const folder = postgresFolder(config);
  if (!(await findPostgres(folder, EMBEDDED_DATABASE))) {
    const tier = await runningTier(config);
    if (tier) {
      note(`database  PostgreSQL tier in ${tierFolder(config)}`);
      return { url: tier.writeUrl, stop: async () => {} };
    }
    await refuseBesideTier(config);
  }
  await prepareDataFolder(config);
  await warnOfFormerData(config.DATA_DIR, (words) => note(`database  ${words}`));
  return startPostgres({
    folder,
    database: EMBEDDED_DATABASE,
    port: config.EMBEDDED_POSTGRES_PORT || undefined,
  });
}

/** @throws Error where a stopped tier may hold the command's data */
async function refuseBesideTier(config: Config): Promise<void> {
  const tier = tierFolder(config);
  if (!(await keepsTierData(tier))) return;
  if (await hasCluster(postgresFolder(config))) {
    note(`database  the embedded PostgreSQL in ${config.DATA_DIR}; the tier in ${tier} does not run`);
    return;
  }
  throw new Error(
    `the PostgreSQL tier in ${tier} does not run, and ${config.DATA_DIR} has no other database. Start the tier: trunkline cluster up --detach --data ${tier}; or name the database in DATABASE_URL`,
  );
}
