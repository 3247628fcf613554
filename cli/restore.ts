/** `trunkline restore`: restores a back-up into the database, or compares the database with a back-up. */
import { Command } from 'commander';
import { auditTrail, RESTORED } from '#platform/database/audit.ts';
import { isFolder, listBackups } from '#platform/database/backup/backup_files.ts';
import { type OpenedBackup, openBackup } from '#platform/database/backup/frames.ts';
import { usersOfDatabase } from '#platform/database/backup/in_use.ts';
import {
  analyseRestored,
  type Compared,
  holdsRows,
  NotEmptyError,
  type RestoreProgress,
  restoreBackup,
  SumsDifferError,
  verifyBackup,
} from '#platform/database/backup/restore.ts';
import { migrate } from '#platform/database/migrate.ts';
import { type Pool, withSession } from '#platform/database/pool.ts';
import type { Session } from '#platform/database/session.ts';
import { countDeadLetters, RESTORED_CAUSE } from '#platform/messaging/dead_letters.ts';
import { backedUpOf, schemasOf } from '#platform/service/definition.ts';
import { printable } from '#platform/telemetry/printable.ts';
import { grouped, note, print, printJson } from '#platform/terminal/print.ts';
import { megabytes, showRunning } from '#platform/terminal/running_line.ts';
import { terminalActor } from '#platform/terminal/terminal_actor.ts';
import { typedAgain } from '#platform/terminal/typed_again.ts';
import type { Config } from '#system';
import { ofOption, tellDifferences } from './backup.ts';
import { type ProgramDatabase, withDatabase } from './database.ts';

interface Options {
  readonly verify?: true;
  readonly yes?: true;
  readonly of?: string;
  readonly replace?: true;
  readonly json?: true;
}

export function restoreCommand(): Command {
  return new Command('restore')
    .description('restore a back-up into an empty database, or compare a database with a back-up')
    .argument('[path]', 'the file, or a folder for its newest back-up; by default BACKUP_DIR')
    .addOption(ofOption())
    .option('--replace', 'delete the rows in the database first')
    .option('--yes', 'do not ask, and restore also while services run')
    .option('--verify', 'change nothing: read the whole file, and compare its sums with the database')
    .option('--json', 'the result as JSON')
    .addHelpText(
      'after',
      `
Stop the services before. While services run, the command names them and restores nothing, unless you type the database's name
or give --yes. The same holds before rows are deleted. Either the whole back-up is restored and agrees with its own sums, or
nothing changes. Then the tables are brought up to this version. The audit trail records who restored which back-up.

Exit status: 0 restored, or the same; 1 nothing was restored, or the database differs; 2 not confirmed.

Examples:
  $ trunkline restore /var/backups/trunkline/
  $ trunkline restore before-upgrade.backup --replace --yes
  $ trunkline restore --verify before-upgrade.backup --json`,
    )
    .action((path: string | undefined, options: Options) =>
      withDatabase((database) => restore(database, path, options), {
        ...{ endsItself: true, asItIs: true },
        ...(options.of !== undefined && { service: options.of }),
      }),
    );
}

async function restore(database: ProgramDatabase, path: string | undefined, options: Options): Promise<void> {
  const file = await chosenFile(path, database.config);
  const backup = await openBackup(file);
  try {
    if (!options.verify && !options.yes && !(await isConfirmed(database, backup, options))) {
      process.exitCode = 2;
      return;
    }
    const began = performance.now();
    const read = options.verify ? verify : load;
    const compared = await showing(file, backup, (progress) =>
      read(database, backup, progress, options.replace === true),
    );
    const seconds = (performance.now() - began) / 1000;
    const { rows, tables, sums, differences } = compared;
    const { made_at, program } = backup.header;
    const same = differences.count === 0;
    if (!same) process.exitCode = 1;
    if (options.json) {
      const words = options.verify ? { same } : { restored: same };
      return printJson({ file, made_at, program, ...words, tables, rows, sums, differences, seconds });
    }
    if (!same) {
      tellDifferences(differences);
      if (options.verify)
        note('The database differs: perhaps rows were stored or deleted since the back-up.');
      return;
    }
    const what = options.verify ? 'the database is the same' : 'restored';
    print(
      `${printable(file)} of ${made_at}: ${what}: ${grouped(rows)} rows of ${tables} tables, ${grouped(sums)} sums compared, ${seconds.toFixed(1)} s`,
    );
  } finally {
    await backup.close();
  }
}

/** Asks for confirmation where services run or rows would be deleted. */
async function isConfirmed(
  { pool, services }: ProgramDatabase,
  { header }: OpenedBackup,
  { replace = false }: { readonly replace?: boolean },
): Promise<boolean> {
  const { name, users, loses } = await withSession(pool, async (session) => ({
    name: (await session.client.query('SELECT current_database() AS name')).rows[0].name as string,
    users: await session.rows(usersOfDatabase()),
    loses: replace && (await holdsRows(session, backedUpOf(services))),
  }));
  if (users.length === 0 && !loses) return true;
  for (const user of users)
    note(
      `${printable(user.name)} runs on the database${user.address === null ? '' : `, from ${user.address}`}`,
    );
  if (loses)
    note(`The rows in the database ${printable(name)} will be deleted for the back-up of ${header.made_at}.`);
  const answer = await typedAgain(name, `Type ${printable(name)} to restore it anyway: `);
  if (answer === 'other') note('Nothing is restored: the typed name is not the name of the database.');
  if (answer === 'nobody')
    note(
      users.length > 0
        ? 'Nothing is restored: stop the services, or give --yes.'
        : 'Nothing is restored: without a terminal, --yes must confirm it.',
    );
  return answer === 'typed';
}

/** The back-up to restore. */
export async function chosenFile(path: string | undefined, config: Config): Promise<string> {
  const given = path ?? config.BACKUP_DIR;
  if (given === undefined) throw new Error('name the back-up or its folder, or set BACKUP_DIR');
  if (!(await isFolder(given))) return given;
  const [newest] = await listBackups(given);
  if (!newest) throw new Error(`there is no back-up in ${given}`);
  return newest.path;
}

/** Shows the progress of reading a back-up. */
export async function showing<T>(
  file: string,
  backup: OpenedBackup,
  work: (progress: RestoreProgress) => Promise<T>,
): Promise<T> {
  note(`${printable(file)}: made at ${backup.header.made_at} by trunkline ${backup.header.program}`);
  const progress: RestoreProgress = { table: '', rows: 0, bytes: 0 };
  const stop = showRunning(process.stderr, () => {
    const percent = `${Math.floor((100 * progress.bytes) / backup.bytes)}%`.padStart(4);
    return `${percent}  ${printable(progress.table)}  ${grouped(progress.rows)} rows of ${megabytes(backup.bytes)}`;
  });
  return work(progress).finally(stop);
}

type Reading = (
  database: ProgramDatabase,
  backup: OpenedBackup,
  progress: RestoreProgress,
  replace: boolean,
) => Promise<Compared>;

const verify: Reading = ({ pool, config, ending, services }, backup, progress) =>
  verifyBackup(pool, backedUpOf(services), backup, { secret: config.BACKUP_KEY, progress, signal: ending });

const load: Reading = async ({ pool, config, ending, services }, backup, progress, replace) => {
  const secret = config.BACKUP_KEY;
  let isNoted = false;
  // Calls stand first, where they stand there.
  const { schema } = services[0]!.migrations;
  const noteIn = async (session: Session, { tables, rows }: Compared) => {
    const { header } = backup;
    const detail = { made_at: header.made_at, by_version: header.program, replaced: replace };
    const subject = `back-up of ${header.made_at}`;
    await session.run(
      auditTrail(schema).note(terminalActor(), {
        action: RESTORED,
        subject,
        detail,
        after: { tables, rows },
      }),
    );
  };
  const atEnd = async (session: Session, compared: Compared) => {
    const { rows } = await session.client.query('SELECT to_regclass($1) IS NOT NULL AS there', [
      `${schema}.audit`,
    ]);
    if (!rows[0].there) return;
    await noteIn(session, compared);
    isNoted = true;
  };
  try {
    const compared = await restoreBackup(pool, backedUpOf(services), backup, {
      secret,
      replace,
      progress,
      signal: ending,
      atEnd,
    });
    for (const schema of schemasOf(services)) await migrate(pool, schema);
    // The back-up is of a version without an audit trail.
    if (!isNoted) await withSession(pool, (session) => noteIn(session, compared));
    await analyseRestored(pool, backedUpOf(services));
    await noteRestoredMessages(pool);
    return compared;
  } catch (error) {
    if (error instanceof SumsDifferError) tellDifferences(error.differences);
    if (!(error instanceof NotEmptyError)) throw error;
    throw new Error(`${error.message}; --replace deletes them for the back-up`);
  }
};

async function noteRestoredMessages(pool: Pool): Promise<void> {
  const restored = countDeadLetters({ cause: RESTORED_CAUSE });
  const { dead } = (await withSession(pool, (session) => session.row(restored)))!;
  if (dead === 0) return;
  note(
    `${grouped(dead)} messages were under way when the back-up was made. They may have been delivered since, so they are dead letters with the cause ${RESTORED_CAUSE} now.`,
  );
}
