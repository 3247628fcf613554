/** `trunkline migrate`: brings a database up to date. */
import { Command } from 'commander';
import { readConfig } from '#config';
import { EMBEDDED_DATABASE, postgresFolder, startPostgres } from '#engines/postgres.ts';
import { migrate, pendingMigrations } from '#platform/database/migrate.ts';
import { createPool } from '#platform/database/pool.ts';
import { callsMigrations } from '#services/calls/schema.ts';
import { print, printJson } from './print.ts';

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
        const names = options.dryRun
          ? await pendingMigrations(pool, callsMigrations)
          : await migrate(pool, callsMigrations);
        if (options.json) return printJson({ service: 'calls', [options.dryRun ? 'pending' : 'ran']: names });
        const verb = options.dryRun ? 'would run' : 'ran';
        print(names.length === 0 ? 'up to date' : names.map((name) => `${verb} calls/${name}`).join('\n'));
      } finally {
        await pool.end();
        await embedded?.stop();
      }
    });
}
