/** `trunkline doctor`: checks the machine, the configuration and each engine, and gives advice. */
import { constants } from 'node:fs';
import { access, mkdir, statfs } from 'node:fs/promises';
import { availableParallelism, freemem, totalmem } from 'node:os';
import { Command } from 'commander';
import pg from 'pg';
import { ConfigError, documentedSettings, REMOVED_SETTINGS } from '#config';
import { CLIENTS_DEFAULT, HAPROXIES_DEFAULT, limitsFault, openFilesLimit } from '#engines/cluster/limits.ts';
import { missingPrograms } from '#engines/cluster/programs.ts';
import { runningTier, tierFolder } from '#engines/cluster/tier.ts';
import { formerData, formerDataWords } from '#engines/former_data.ts';
import { EMBEDDED_DATABASE, findPostgres, postgresFolder } from '#engines/postgres.ts';
import { pendingInAll } from '#platform/database/migrate.ts';
import { CONNECT_TIMEOUT_MS, createPool } from '#platform/database/pool.ts';
import { type AnyDatabaseService, byDatabase, schemasOf, tabledOf } from '#platform/service/definition.ts';
import { explainFailure } from '#platform/terminal/failure.ts';
import { indented, print, printJson } from '#platform/terminal/print.ts';
import { type Config, givenPlace, givenUrl, readConfig, SERVICES } from '#system';

/** The result of one check. `advice` says how to mend a fault. */
export interface Finding {
  readonly part: string;
  readonly state: 'ok' | 'warning' | 'fault';
  readonly says: string;
  readonly advice?: string;
}

const MARKS = { ok: '✓', warning: '!', fault: '✗' } as const;
const NEEDED_NODE = 24;
const NEEDED_POSTGRES = 15;
const LITTLE_DISK_BYTES = 5e9;
const LITTLE_MEMORY_BYTES = 1e9;

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('check the machine, the configuration and each engine, and give advice')
    .option('--json', 'the findings as JSON')
    .addHelpText(
      'after',
      '\nExample:\n  DATABASE_URL=postgresql://… trunkline doctor\n\nExit status: 0 no fault, 1 a fault.',
    )
    .action(async (options: { json?: true }) => {
      const findings = await examine(process.env);
      if (options.json) printJson(findings);
      else {
        for (const { state, part, says, advice } of findings) {
          print(
            `${MARKS[state]} ${part.padEnd(14)} ${indented(says)}${advice ? `\n  ${''.padEnd(14)} → ${indented(advice)}` : ''}`,
          );
        }
      }
      if (findings.some((finding) => finding.state === 'fault')) process.exitCode = 1;
    });
}

/** All findings. A broken configuration ends the checks early, since the other checks depend on it. */
export async function examine(environment: NodeJS.ProcessEnv): Promise<Finding[]> {
  const findings = [nodeVersion(), machine()];
  let config: Config;
  try {
    config = readConfig(environment);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return [
      ...findings,
      {
        part: 'configuration',
        state: 'fault',
        says: error.message,
        advice: 'correct these; docs/CONFIGURATION.md lists every setting',
      },
    ];
  }
  const set = documentedSettings(SERVICES).flatMap(({ name }) => (environment[name] ? name : []));
  findings.push({
    part: 'configuration',
    state: 'ok',
    says: set.length > 0 ? `set: ${set.join(', ')}` : 'all defaults',
  });
  findings.push(...removed(environment));
  findings.push(tier());
  findings.push(await dataFolder(config));
  findings.push(...(await folders(config)));
  for (const database of await databasesOf(config)) {
    findings.push(...('says' in database ? [database] : await postgres(config, database)));
  }
  const replicas = SERVICES.flatMap(({ name }) => givenPlace(config, name)?.replicaUrls ?? []);
  findings.push(...(await Promise.all([...new Set(replicas)].map(replica))));
  return findings;
}

/** Settings of earlier versions that are still set. */
function removed(environment: NodeJS.ProcessEnv): Finding[] {
  return Object.entries(REMOVED_SETTINGS).flatMap(([name, why]) =>
    environment[name] === undefined
      ? []
      : { part: 'configuration', state: 'warning', says: `${name} was removed: ${why}`, advice: 'remove it' },
  );
}

/** Checks for data elsewhere, and the folder of back-ups. */
async function folders(config: Config): Promise<Finding[]> {
  const found: Finding[] = [];
  const isOwn = SERVICES.every(({ name }) => givenUrl(config, name) === undefined);
  const elsewhere = isOwn ? await formerData(config.DATA_DIR) : [];
  if (elsewhere.length > 0) {
    const says = formerDataWords(config.DATA_DIR, elsewhere);
    found.push({ part: 'data folder', state: 'warning', says, advice: 'see docs/DEPLOY.md, Upgrade' });
  }
  const folder = config.BACKUP_DIR;
  if (folder === undefined) return found;
  try {
    await access(folder, constants.W_OK);
    found.push({ part: 'back-ups', state: 'ok', says: folder });
  } catch (error) {
    const advice = `make it for the user that runs the program: install -d -m 700 ${folder}`;
    found.push({ part: 'back-ups', state: 'fault', says: `BACKUP_DIR: ${explainFailure(error)}`, advice });
  }
  return found;
}

function nodeVersion(): Finding {
  const major = Number(process.versions.node.split('.')[0]);
  const says = `Node ${process.version}`;
  if (major >= NEEDED_NODE) return { part: 'node', state: 'ok', says };
  return { part: 'node', state: 'fault', says, advice: `Node ${NEEDED_NODE} is needed; npm ci brings it` };
}

function machine(): Finding {
  const says = `${availableParallelism()} cores, ${gigabytes(freemem())} of ${gigabytes(totalmem())} memory free`;
  if (freemem() > LITTLE_MEMORY_BYTES) return { part: 'machine', state: 'ok', says };
  return { part: 'machine', state: 'warning', says, advice: 'an import and PostgreSQL need about 1 GB' };
}

const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;

/** Whether `trunkline cluster` could run here with its default number of clients. */
function tier(): Finding {
  const part = 'tier';
  const missing = missingPrograms();
  if (missing.length > 0) {
    const says = `trunkline cluster: not installed: ${missing.join(', ')}`;
    return {
      part,
      state: 'ok',
      says,
      advice: 'to install it: scripts/engines, as root, on Debian or Ubuntu',
    };
  }
  const openFiles = openFilesLimit();
  const fault = limitsFault(openFiles, HAPROXIES_DEFAULT, CLIENTS_DEFAULT);
  if (fault)
    return { part, state: 'warning', says: `trunkline cluster: ${fault.says}`, advice: fault.advice };
  return {
    part,
    state: 'ok',
    says: `trunkline cluster: installed; ${openFiles} open files a process hold ${CLIENTS_DEFAULT} clients`,
  };
}

async function dataFolder(config: Config): Promise<Finding> {
  const part = 'data folder';
  try {
    await mkdir(config.DATA_DIR, { recursive: true, mode: 0o700 });
    await access(config.DATA_DIR, constants.W_OK);
  } catch (error) {
    return {
      part,
      state: 'fault',
      says: explainFailure(error),
      advice: 'set DATA_DIR to a folder that can be written',
    };
  }
  const disk = await statfs(config.DATA_DIR);
  const free = disk.bavail * disk.bsize;
  const says = `${config.DATA_DIR}, ${gigabytes(free)} free`;
  if (free > LITTLE_DISK_BYTES) return { part, state: 'ok', says };
  return {
    part,
    state: 'warning',
    says,
    advice: 'a million calls take about 0.6 GB with their indexes; make room',
  };
}

interface ExaminedDatabase {
  readonly url: string;
  readonly services: readonly AnyDatabaseService[];
  readonly kind: 'given' | 'embedded' | 'tier';
}

/** The databases of services; or the finding to report if there is no database to check. */
async function databasesOf(config: Config): Promise<(ExaminedDatabase | Finding)[]> {
  const part = 'postgresql';
  const on = (kind: ExaminedDatabase['kind'], urlOf: (service: string) => string) =>
    byDatabase(SERVICES, urlOf).map((database) => ({ ...database, kind }));
  if (SERVICES.some(({ name }) => givenUrl(config, name) !== undefined))
    return on('given', (name) => givenUrl(config, name)!);
  const embedded = await findPostgres(postgresFolder(config), EMBEDDED_DATABASE);
  if (embedded) return on('embedded', () => embedded);
  try {
    const tier = await runningTier(config);
    if (tier) return on('tier', () => tier.writeUrl);
  } catch (error) {
    const advice = 'correct the fault in the message; until then commands refuse to guess their database';
    return [{ part, state: 'fault', says: explainFailure(error), advice }];
  }
  const says = 'embedded, not running; it starts with `trunkline up` or any command that needs it';
  return [{ part, state: 'ok', says }];
}

async function postgres(config: Config, { url, services, kind }: ExaminedDatabase): Promise<Finding[]> {
  const part = 'postgresql';
  // If each service has its own database, the name of the service identifies the database.
  const isShared = services.length === tabledOf(SERVICES).length;
  const setting = isShared
    ? 'DATABASE_URL'
    : `the database of ${services.map(({ name }) => name).join(' and ')}`;
  try {
    const { version, dateStyle } = await settingsOf(url);
    const where =
      kind === 'given'
        ? setting
        : `${kind === 'embedded' ? 'embedded' : 'the tier'} at ${withoutPassword(url)}`;
    const answered: Finding =
      Number.parseInt(version, 10) >= NEEDED_POSTGRES
        ? { part, state: 'ok', says: `${where}, PostgreSQL ${version}, answers` }
        : {
            part,
            state: 'fault',
            says: `PostgreSQL ${version}`,
            advice: `PostgreSQL ${NEEDED_POSTGRES} or later is needed`,
          };
    return [answered, ...timesAsText(dateStyle), await schema(url, services)];
  } catch (error) {
    const advice =
      kind === 'given'
        ? `check ${setting}, and that the server runs and accepts this user`
        : kind === 'embedded'
          ? `see ${postgresFolder(config)}/postgres.log`
          : `see trunkline cluster status, and the logs in ${tierFolder(config)}/log`;
    return [{ part, state: 'fault', says: explainFailure(error), advice }];
  }
}

/** Checks one replica of DATABASE_REPLICA_URL. If no replica answers, no read is answered, even with a healthy primary. */
async function replica(url: string, index: number): Promise<Finding> {
  const part = `replica ${index + 1}`;
  const where = withoutPassword(url);
  try {
    return { part, state: 'ok', says: `${where}, PostgreSQL ${(await settingsOf(url)).version}, answers` };
  } catch (error) {
    return {
      part,
      state: 'fault',
      says: `${where}: ${explainFailure(error)}`,
      advice: 'check DATABASE_REPLICA_URL; where it is set, all reads go to the replicas',
    };
  }
}

/** The style of times is a setting of PostgreSQL, and Trunkline reads only ISO. */
function timesAsText(dateStyle: string): Finding[] {
  if (dateStyle.startsWith('ISO')) return [];
  return [
    {
      part: 'postgresql',
      state: 'fault',
      says: `its DateStyle is ${dateStyle}, so Trunkline can't read its times`,
      advice: "for the role that DATABASE_URL names: ALTER ROLE … SET datestyle = 'ISO, MDY'",
    },
  ];
}

async function settingsOf(url: string): Promise<{ version: string; dateStyle: string }> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  try {
    await client.connect();
    const { rows } = await client.query<{ version: string; dateStyle: string }>(
      `SELECT current_setting('server_version') AS version, current_setting('DateStyle') AS "dateStyle"`,
    );
    return rows[0]!;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** The findings as text that an operator can read and copy. */
function withoutPassword(url: string): string {
  const shown = new URL(url);
  shown.password = '';
  shown.searchParams.delete('password');
  return shown.href;
}

async function schema(url: string, services: readonly AnyDatabaseService[]): Promise<Finding> {
  const pool = createPool({
    url,
    applicationName: 'trunkline-doctor',
    size: 1,
    onIdleError: () => undefined,
  });
  try {
    const pending = await pendingInAll(pool, schemasOf(services));
    if (pending.length === 0) return { part: 'schema', state: 'ok', says: 'up to date' };
    return {
      part: 'schema',
      state: 'warning',
      says: `${pending.length} migrations have not run`,
      advice: 'run: trunkline migrate',
    };
  } finally {
    await pool.end();
  }
}
