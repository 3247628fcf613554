/** `trunkline backup`: the whole database in one file. */
import { join, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { backupName, isFolder, writeWholeFile } from '#platform/database/backup/backup_files.ts';
import type { Differences } from '#platform/database/backup/compare.ts';
import { type TakeProgress, takeBackup } from '#platform/database/backup/take.ts';
import { ranMigrations } from '#platform/database/migrate.ts';
import type { Pool } from '#platform/database/pool.ts';
import { type AnyDatabaseService, backedUpOf, tabledOf } from '#platform/service/definition.ts';
import { printable } from '#platform/telemetry/printable.ts';
import { grouped, note, print, printJson, table } from '#platform/terminal/print.ts';
import { megabytes, showRunning } from '#platform/terminal/running_line.ts';
import type { Config } from '#system';
import { SERVICES } from '#system';
import { withDatabase } from './database.ts';

/** All services whose data is in a back-up. */
export const BACKED_UP = backedUpOf(SERVICES);

/** For services on databases of their own. */
export const ofOption = () =>
  new Option(
    '--of <service>',
    'the database that this service stands on, with all that stands there',
  ).choices(tabledOf(SERVICES).map(({ name }) => name));

export function backupCommand(version: string): Command {
  return new Command('backup')
    .description('write everything in the database into one file, while the program runs')
    .argument('[path]', 'the file, or a folder in which the file is named by its time; by default BACKUP_DIR')
    .addOption(ofOption())
    .option('--json', 'the result as JSON')
    .addHelpText(
      'after',
      `
The file holds one moment. It is compressed. It is encrypted where BACKUP_KEY is set. It appears only once it is complete.
\`trunkline restore\` reads it.

Examples:
  $ trunkline backup /var/backups/trunkline/
  $ BACKUP_KEY=$(openssl rand -base64 32) trunkline backup before-upgrade.backup`,
    )
    .action((path: string | undefined, options: { json?: true; of?: string }) =>
      withDatabase(
        async ({ pool, config, services, ending }) => {
          await requireTables(pool, services);
          const now = Date.now();
          const file = await fileFor(path, config, now);
          const began = performance.now();
          const progress: TakeProgress = { table: '', rows: 0, share: 0 };
          let written = 0;
          const stopShowing = showRunning(process.stderr, () => {
            const percent = `${Math.floor(progress.share * 100)}%`.padStart(4);
            return `${percent}  ${printable(progress.table)}  ${grouped(progress.rows)} rows  ${megabytes(written)}`;
          });
          const taken = await takeBackup(
            pool,
            backedUpOf(services),
            { program: version, secret: config.BACKUP_KEY, progress, signal: ending },
            (bytes) => writeWholeFile(file, bytes, now, (count) => (written += count)),
          ).finally(stopShowing);
          const seconds = (performance.now() - began) / 1000;
          const { rows, tables, bytes, madeAt } = taken;
          const encrypted = config.BACKUP_KEY !== undefined;
          if (options.json)
            return printJson({ file, made_at: madeAt, tables, rows, bytes, encrypted, seconds });
          print(
            `${printable(file)}: ${grouped(rows)} rows of ${tables} tables at ${madeAt}, ${megabytes(bytes)} in ${seconds.toFixed(1)} s`,
          );
          const elsewhere = tabledOf(SERVICES).filter((one) => !services.includes(one));
          for (const { name } of elsewhere)
            note(`${name} stands on another database: trunkline backup --of ${name}`);
          if (!encrypted)
            note('It is not encrypted: BACKUP_KEY is not set. It holds all numbers and hashes of keys.');
        },
        { endsItself: true, asItIs: true, ...(options.of !== undefined && { service: options.of }) },
      ),
    );
}

/** @throws Error where a service has no tables yet */
async function requireTables(pool: Pool, services: readonly AnyDatabaseService[]): Promise<void> {
  for (const { migrations } of services) {
    if ((await ranMigrations(pool, migrations)).length > 0) continue;
    throw new Error(
      `the database has no tables of ${migrations.schema}: they are those of an earlier version, or none were made yet. ` +
        'Make the back-up with the version that made them, or run `trunkline migrate` first',
    );
  }
}

async function fileFor(path: string | undefined, config: Config, now: number): Promise<string> {
  const given = path ?? config.BACKUP_DIR;
  if (given === undefined) throw new Error('name a file or a folder, or set BACKUP_DIR');
  if (await isFolder(given)) return join(resolve(given), backupName(now));
  if (given.endsWith('/') || path === undefined) throw new Error(`there is no folder ${given}`);
  return resolve(given);
}

/** Notes the differences between a database and its back-up. */
export function tellDifferences({ first, count }: Differences): void {
  const rows = first.map(({ what, key, backup, database }) => [what, key, told(backup), told(database)]);
  note(table(['what', 'of', 'back-up', 'database'], rows));
  if (count > first.length) note(`and ${grouped(count - first.length)} more`);
  for (const { name, columns } of BACKED_UP.flatMap(({ sums }) => sums))
    if (first.some(({ what }) => what === name)) note(`${name}: ${columns.join(', ')}`);
}

/** In COPY's format. */
const told = (sums: string | null): string =>
  sums === null ? 'not there' : sums.replaceAll('\t', ' ').replaceAll('\\N', '-');
