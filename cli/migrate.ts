/** `trunkline migrate`: brings a database up to date. */
import { Command } from 'commander';
import { EMBEDDED_DATABASE, postgresFolder, startPostgres } from '#engines/postgres.ts';
import { pendingInAll } from '#platform/database/migrate.ts';
import { createPool } from '#platform/database/pool.ts';
import { migrateAll, type WayBack, wayBack } from '#platform/database/upgrade.ts';
import { byDatabase, schemasOf } from '#platform/service/definition.ts';
import { note, print, printJson } from '#platform/terminal/print.ts';
import { givenUrl, readConfig, SERVICES } from '#system';

interface Options {
  readonly dryRun?: true;
  readonly json?: true;
}

/** At most so many reasons against going back are shown. */
const SHOWN = 4;

export function migrateCommand(): Command {
  return new Command('migrate')
    .description("bring the database's tables up to date (the embedded database is updated at every start)")
    .option('--dry-run', 'list the migrations to run, and run nothing')
    .option('--json', 'answer as JSON')
    .addHelpText('after', '\nExample:\n  DATABASE_URL=postgresql://… trunkline migrate --dry-run')
    .action(async (options: Options) => {
      const config = readConfig(process.env);
      const isGiven = SERVICES.some(({ name }) => givenUrl(config, name) !== undefined);
      const embedded = isGiven
        ? undefined
        : await startPostgres({ folder: postgresFolder(config), database: EMBEDDED_DATABASE });
      const databases = byDatabase(SERVICES, (name) => givenUrl(config, name) ?? embedded!.url).map(
        ({ url, services }) => ({
          services,
          schemas: schemasOf(services),
          pool: createPool({
            url,
            applicationName: 'trunkline-migrate',
            size: 1,
            onIdleError: () => undefined,
          }),
        }),
      );
      try {
        const names: string[] = [];
        const ways: WayBack[] = [];
        for (const { pool, schemas } of databases) {
          names.push(...(await (options.dryRun ? pendingInAll(pool, schemas) : migrateAll(pool, schemas))));
          ways.push(await wayBack(pool, schemas));
        }
        const back = together(ways);
        if (options.json)
          return printJson({
            [options.dryRun ? 'pending' : 'ran']: names,
            version_before_runs_on: back.runsOn,
            because: back.because,
          });
        const verb = options.dryRun ? 'would run' : 'ran';
        print(names.length === 0 ? 'up to date' : names.map((name) => `${verb} ${name}`).join('\n'));
        for (const line of wordsOf(back)) note(line);
        if (options.dryRun) return;
        for (const { pool, services } of databases) {
          for (const service of services) {
            const left = await service.leftToRepair?.(pool);
            if (left !== undefined) note(left);
          }
        }
      } finally {
        for (const { pool } of databases) await pool.end();
        await embedded?.stop();
      }
    });
}

/** Of several databases: back to where each of them goes. */
function together(ways: readonly WayBack[]): WayBack {
  const known = ways.flatMap(({ runsOn }) => runsOn ?? []);
  return {
    runsOn: known.length > 0 ? known.every((runsOn) => runsOn) : null,
    because: ways.flatMap(({ because }) => because),
  };
}

/** Whether the version before this upgrade (or before the last one, where no migration is pending) still runs on the tables. */
function wordsOf({ runsOn, because }: WayBack): string[] {
  if (runsOn === null) return [];
  if (runsOn)
    return [
      'the version before the upgrade still runs with these tables: you can go back to it (docs/DEPLOY.md)',
    ];
  const shown =
    because.length > SHOWN ? [...because.slice(0, SHOWN), `${because.length - SHOWN} more`] : because;
  return [
    `the version before the upgrade does not run with these tables (${shown.join(', ')}): to go back to it, restore a back-up from before the upgrade (docs/DEPLOY.md)`,
  ];
}
