/** `trunkline drill restore`: whether the last back-up can be restored, and how long that takes, in a server of its own. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { startPostgres } from '#engines/postgres.ts';
import { openBackup } from '#platform/database/backup/frames.ts';
import { type Compared, restoreBackup, SumsDifferError } from '#platform/database/backup/restore.ts';
import { migrate } from '#platform/database/migrate.ts';
import { closePool, createPool, type Pool } from '#platform/database/pool.ts';
import { untilInterrupted } from '#platform/terminal/ending_signals.ts';
import { explainFailure } from '#platform/terminal/failure.ts';
import { duration, grouped, print, printJson } from '#platform/terminal/print.ts';
import { readConfig } from '#system';
import { BACKED_UP, tellDifferences } from './backup.ts';
import { chosenFile, showing } from './restore.ts';

interface Options {
  readonly scratch: string;
  readonly json?: true;
}

export function drillRestoreCommand(): Command {
  return new Command('restore')
    .description(
      'restore the last back-up into a scratch server, and compare: the live database is not touched',
    )
    .argument('[path]', 'the back-up, or a folder for its newest one; by default BACKUP_DIR')
    .option('--scratch <folder>', 'folder in which the scratch server is made and removed', tmpdir())
    .option('--json', 'only the report, as JSON')
    .addHelpText(
      'after',
      `
It prints the age of the back-up (the data that would be lost, RPO) and how long restoring takes (RTO). Exit code 0: PASS, 1: FAIL.

Examples:
  $ trunkline drill restore
  $ trunkline drill restore /var/backups/trunkline/ --json`,
    )
    .action(async (path: string | undefined, options: Options) => {
      const config = readConfig(process.env);
      const file = await chosenFile(path, config);
      const report = await drill(file, options.scratch, config.BACKUP_KEY);
      if (options.json) printJson(report);
      else print(summary(report));
      process.exitCode = report.passed ? 0 : 1;
    });
}

interface RestoreReport {
  readonly file: string;
  readonly made_at: string;
  readonly passed: boolean;
  readonly failure: string | null;
  readonly rpo_s: number;
  readonly rto_s: number;
  readonly tables: number;
  readonly rows: number;
  readonly sums: number;
}

/** A back-up that can't be restored is a FAIL and not an error; a server that can't be started is an error. */
async function drill(file: string, scratch: string, secret: Buffer | undefined): Promise<RestoreReport> {
  const givenUp = untilInterrupted('removing the scratch server');
  const backup = await openBackup(file);
  const { made_at } = backup.header;
  const rpo_s = Math.max(0, (Date.now() - Date.parse(made_at)) / 1000);
  const began = performance.now();
  const report = (compared: Partial<Compared>, failure: string | null): RestoreReport => ({
    ...{ file, made_at, passed: failure === null, failure, rpo_s },
    rto_s: (performance.now() - began) / 1000,
    ...{ tables: compared.tables ?? 0, rows: compared.rows ?? 0, sums: compared.sums ?? 0 },
  });
  const restore = async (pool: Pool) => {
    try {
      const compared = await showing(file, backup, async (progress) => {
        const options = { secret, replace: false, progress, signal: givenUp };
        const restored = await restoreBackup(pool, BACKED_UP, backup, options);
        for (const { migrations } of BACKED_UP) await migrate(pool, migrations);
        return restored;
      });
      return report(compared, null);
    } catch (error) {
      if (givenUp.aborted) throw error;
      if (error instanceof SumsDifferError) tellDifferences(error.differences);
      return report({}, explainFailure(error));
    }
  };
  return inScratchServer(scratch, restore).finally(backup.close);
}

/** Does `work` on a scratch server below `scratch`, and removes the server whatever goes wrong. */
async function inScratchServer<T>(scratch: string, work: (pool: Pool) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(scratch, 'trunkline-drill-'));
  try {
    const server = await startPostgres({ folder, database: 'trunkline' });
    const pool = createPool({
      url: server.url,
      applicationName: 'trunkline-drill',
      size: 2,
      onIdleError: () => undefined,
    });
    try {
      return await work(pool);
    } finally {
      await closePool(pool);
      await server.stop();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function summary({ file, made_at, passed, failure, ...found }: RestoreReport): string {
  const lines = [
    `back-up                       ${file} of ${made_at}`,
    `would be lost (RPO)           changes of the last ${duration(found.rpo_s)}`,
    `takes to be back (RTO)        ${found.rto_s.toFixed(1)} s, from nothing to a migrated database`,
    passed
      ? `compared                      ${grouped(found.rows)} rows of ${found.tables} tables, ${grouped(found.sums)} sums: the same`
      : `failed                        ${failure}`,
  ];
  return [...lines, '', passed ? 'PASS' : 'FAIL'].join('\n');
}
