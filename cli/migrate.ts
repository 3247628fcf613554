/** `trunkline migrate`: brings a database up to date. */
import { Command } from 'commander';
import { EMBEDDED_DATABASE, postgresFolder, startPostgres } from '#engines/postgres.ts';
import { migrateAll, pendingInAll, versionBeforeRunsOn } from '#platform/database/migrate.ts';
import { createPool } from '#platform/database/pool.ts';
import type { AnyService } from '#platform/service/definition.ts';
import { note, print, printJson } from '#platform/terminal/print.ts';
import { readConfig, SCHEMAS, SERVICES } from '#system';

interface Options {
  readonly dryRun?: true;
  readonly json?: true;
}

export function migrateCommand(): Command {
  return new Command('migrate')
    .description("bring the database's tables up to date (the embedded one is at every start)")
    .option('--dry-run', 'say what would run, and run nothing')
    .option('--json', 'answer as JSON')
    .addHelpText('after', '\nExample:\n  DATABASE_URL=postgresql://… trunkline migrate --dry-run')
    .action(async (options: Options) => {
      const config = readConfig(process.env);
      const given = config.DATABASE_URL_CALLS ?? config.DATABASE_URL;
      const embedded = given
        ? undefined
        : await startPostgres({ folder: postgresFolder(config), database: EMBEDDED_DATABASE });
      const pool = createPool({
        url: given ?? embedded!.url,
        applicationName: 'trunkline-migrate',
        size: 1,
        onIdleError: () => undefined,
      });
      try {
        const runsOn = await versionBeforeRunsOn(pool, SCHEMAS);
        const names = options.dryRun ? await pendingInAll(pool, SCHEMAS) : await migrateAll(pool, SCHEMAS);
        if (options.json)
          return printJson({ [options.dryRun ? 'pending' : 'ran']: names, version_before_runs_on: runsOn });
        const verb = options.dryRun ? 'would run' : 'ran';
        print(names.length === 0 ? 'up to date' : names.map((name) => `${verb} ${name}`).join('\n'));
        note(
          runsOn === null
            ? 'there were no tables: no version made any before'
            : runsOn
              ? 'the version that made these tables so far runs on with them: it can be gone back to'
              : 'the version that made these tables so far does not run with the new ones: the way back to it is a back-up made before, by that version (docs/DEPLOY.md)',
        );
        if (options.dryRun) return;
        for (const service of SERVICES as readonly AnyService[]) {
          const left = await service.leftToRepair?.(pool);
          if (left !== undefined) note(left);
        }
      } finally {
        await pool.end();
        await embedded?.stop();
      }
    });
}
