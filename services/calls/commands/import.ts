/** `trunkline import`: imports a switch's files, and manages the rows that were rejected. */
import { Command, Option } from 'commander';
import type { CommandDatabase } from '#platform/service/commands.ts';
import { grouped, note, print, printJson } from '#platform/terminal/print.ts';
import type { SourceStatus } from '../follow/follow.ts';
import type { DecimalSign } from '../formats/decimal_marks.ts';
import { FORMATS, type FormatName } from '../formats/formats.ts';
import type { ImportCounts, ReadingOption } from '../intake/import_counts.ts';
import type { ImportOptions } from '../intake/import_file.ts';
import type { SameCallOptions } from '../intake/import_source.ts';
import { listSources } from '../intake/source_files.ts';
import { oldestKept } from '../partitions.ts';
import type { CallsSettings } from '../settings.ts';
import type { DateOrder } from '../time/stamp_text.ts';
import { importFiles } from './import_files.ts';
import { keepMapping, mappingOf } from './import_maps.ts';
import { createProgress } from './import_progress.ts';
import { type KeptTimes, keptTimesLine, keptTimesOf } from './kept_times.ts';
import {
  asName,
  asPattern,
  asTimeZone,
  callIdsOption,
  countryOption,
  createAccountsOption,
  currencyOption,
  dateOrderOption,
  decimalSignOption,
  onConflictOption,
} from './option_values.ts';
import { EXIT_SOME_SET_ASIDE, rejectedCommand } from './rejected.ts';
import type { CallsTools } from './tools.ts';

const EXIT_FAILED = 1;
/** The most pieces of advice of one kind in a summary, beside how to mend a row. */
const HAS_A_HINT = ['unknown_account', 'no_account', 'erased_account'];
/** The most groups of similar account codes in a summary. */
const SHOWN_ALIKE = 20;

interface Options {
  readonly format?: FormatName;
  readonly timeZone?: string;
  readonly dateOrder?: DateOrder;
  readonly decimalSign?: DecimalSign;
  readonly map: string[];
  readonly mapName?: string;
  readonly source?: string;
  readonly account?: string;
  readonly accountFrom?: string;
  readonly inboundContext?: RegExp;
  readonly createAccounts?: true;
  readonly credits?: true;
  readonly currency?: string;
  readonly country?: string;
  readonly onConflict?: SameCallOptions['onConflict'];
  readonly callIds?: SameCallOptions['callIds'];
  readonly dryRun?: true;
  readonly follow?: true;
  readonly json?: true;
}

export function importCommand(tools: CallsTools): Command {
  return new Command('import')
    .description('import call detail records, and manage the rejected ones')
    .addCommand(importCdrsCommand(tools))
    .addCommand(rejectedCommand(tools));
}

function importCdrsCommand(tools: CallsTools): Command {
  return new Command('cdrs')
    .description('import files of a switch; the same record is stored once, however often it is read')
    .argument('<file...>', 'files, folders of them, or - for standard input; gzip is unpacked')
    .addOption(
      new Option('--format <name>', 'format of the files (default: detected from their content)').choices(
        Object.keys(FORMATS),
      ),
    )
    .option(
      '--time-zone <zone>',
      'time zone of stamps without a zone (default: IMPORT_TIME_ZONE, UTC)',
      asTimeZone,
    )
    .addOption(dateOrderOption())
    .addOption(decimalSignOption())
    .option(
      '--map <column=field>',
      'for a CSV with a header: the field of a column, and its unit (repeatable)',
      collect,
      [],
    )
    .option('--map-name <name>', 'the name under which to remember the --map, or of a remembered one', asName)
    .option('--source <name>', 'the switch, where several write the same kind of file', asName)
    .option('--account <code>', 'account of rows that name none')
    .option('--account-from <field>', 'source field that names the account')
    .option('--inbound-context <regexp>', 'dialplan contexts of incoming calls', asPattern)
    .addOption(createAccountsOption())
    .addOption(currencyOption())
    .addOption(countryOption())
    .option('--credits', 'costs below 0 are money: these files are credit notes')
    .addOption(onConflictOption())
    .addOption(callIdsOption())
    .option('--dry-run', 'report what would happen, and store nothing')
    .option('--follow', 'keep reading as the files or folders grow, until a signal ends it')
    .option('--json', 'the summary as JSON')
    .addHelpText(
      'after',
      `
Examples:
  trunkline import cdrs /var/log/asterisk/cdr-csv/Master.csv --time-zone Europe/Berlin --create-accounts
  trunkline import cdrs --follow /var/log/asterisk/cdr-csv/Master.csv --time-zone Europe/Berlin
  zcat cdr-2026-*.gz | trunkline import cdrs - --dry-run
  trunkline import cdrs carrier.csv --map "Start=start_time" --map "From=cli" --map "To=cld" \\
      --map "Secs=duration_s" --map "Customer=account" --map-name carrier

Formats: ${Object.keys(FORMATS).join(', ')}
Exit status: 0 all stored, 3 some rows set aside that were not before (trunkline import rejected list), 1 failed. The same holds for --follow, once
Ctrl-C or SIGTERM has ended it.`,
    )
    .action((paths: string[], options: Options) => importCdrs(tools, paths, options));
}

async function importCdrs(tools: CallsTools, paths: string[], options: Options): Promise<void> {
  if (paths.includes(''))
    throw new Error('a file name is empty (""): name the file, or . for the current folder');
  if (options.follow) return follow(tools, paths, options);
  const sources = await listSources(paths);
  await tools.withDatabase(async (database) => {
    const progress = createProgress(process.stderr, sources);
    const { settings: set, roomAt } = tools.parts();
    const { url, ending } = database;
    const room = roomAt(url);
    const waitForRoom = room && (() => room.wait(ending, (why) => progress.tell(`waits: ${why}`)));
    const settings = { ...(await importOptions(database, set, options)), waitForRoom };
    const started = performance.now();
    const { total, failures } = await importFiles(database, sources, settings, options, progress);
    progress.end();
    if (!options.dryRun) await keepMapping(database.pool, options, total, failures);
    const seconds = (performance.now() - started) / 1000;
    const kept = await keptTimesOf(database.pool, total, settings.read);
    if (options.json) printJson(summaryJson(total, kept, seconds, failures));
    else print(summaryText(total, kept, seconds, options));
    for (const failure of failures) note(failure);
    if (failures.length > 0) process.exitCode = EXIT_FAILED;
    else if (total.newlyRejected > 0) process.exitCode = EXIT_SOME_SET_ASIDE;
  });
}

async function follow(tools: CallsTools, paths: string[], options: Options): Promise<void> {
  if (options.dryRun) throw new Error('--follow and --dry-run exclude each other');
  if (paths.includes('-')) throw new Error('standard input is read as it comes anyway: leave out --follow');
  const { followFiles } = await import('./import_follow.ts');
  const { settings: set } = tools.parts();
  let kept: KeptTimes[] = [];
  const { total, failures, statuses, seconds } = await followFiles(
    tools,
    paths,
    (database) => importOptions(database, set, options),
    async (database, total, failures) => {
      await keepMapping(database.pool, options, total, failures);
      kept = await keptTimesOf(database.pool, total, (await importOptions(database, set, options)).read);
    },
  );
  if (options.json)
    printJson({ ...summaryJson(total, kept, seconds, failures), sources: statuses.map(statusJson) });
  else print(summaryText(total, kept, seconds, options));
  if (failures.length > 0) process.exitCode = EXIT_FAILED;
  else if (total.newlyRejected > 0) process.exitCode = EXIT_SOME_SET_ASIDE;
}

const statusJson = ({ path, state, detail, bytesBehind, bytesRead }: SourceStatus) => ({
  ...{ path, state, detail },
  bytes_behind: bytesBehind,
  bytes_read: bytesRead,
});

async function importOptions(
  { pool }: CommandDatabase,
  set: CallsSettings,
  options: Options,
): Promise<ImportOptions> {
  const mapping = await mappingOf(pool, options);
  if (mapping && options.format && options.format !== 'mapped') {
    throw new Error(
      `--map and --format ${options.format} exclude each other: a mapped file has the format "mapped"`,
    );
  }
  if (options.format === 'mapped' && !mapping)
    throw new Error('--format mapped needs --map column=field or --map-name');
  const timeZone = options.timeZone ?? set.importTimeZone;
  return {
    format: mapping ? 'mapped' : options.format,
    source: options.source,
    read: {
      timeZone,
      ...(options.dateOrder && { dateOrder: options.dateOrder }),
      ...(options.decimalSign && { decimalSign: options.decimalSign }),
      ...(options.account !== undefined && { account: options.account }),
      ...(options.credits && { credits: true }),
      ...(options.accountFrom !== undefined && { accountField: options.accountFrom }),
      ...(options.inboundContext && { inboundContexts: options.inboundContext }),
      ...(mapping && { mapping }),
    },
    newAccounts: options.createAccounts
      ? {
          currency: options.currency ?? set.defaultCurrency,
          timeZone,
          country: options.country ?? null,
        }
      : null,
    sameCall: { onConflict: options.onConflict ?? 'set-aside', callIds: options.callIds ?? 'unique' },
    keptFrom: set.retentionMonths > 0 ? oldestKept(Date.now(), set.retentionMonths) : undefined,
  };
}

function summaryJson(
  total: ImportCounts,
  kept: readonly KeptTimes[],
  seconds: number,
  failures: readonly string[],
): object {
  const { read, stored, completed, duplicates, conflicts, rejected } = total;
  const reasons = Object.fromEntries(total.reasons);
  return {
    read,
    stored,
    completed,
    duplicates,
    conflicts,
    set_aside: rejected,
    set_aside_first: total.newlyRejected,
    older_than_retention: total.olderThanRetention,
    reasons,
    kept_times: kept,
    alike_accounts: total.alikeCodes.slice(0, SHOWN_ALIKE),
    seconds,
    per_second: rate(read, seconds),
    failures,
  };
}

/** The reasons of rejected rows, by the option that imports them. */
const NEEDED: Readonly<Record<ReadingOption, (rows: string) => string>> = {
  'date-order': (rows) =>
    `Rows with dates in an unknown order (${rows}): trunkline import rejected retry --date-order dmy (or mdy, ymd)`,
  'decimal-sign': (rows) =>
    `Rows with figures whose decimal sign is unknown (${rows}): trunkline import rejected retry --decimal-sign , (or .)`,
};

function summaryText(
  total: ImportCounts,
  kept: readonly KeptTimes[],
  seconds: number,
  options: Options,
): string {
  const would = options.dryRun ? 'would be ' : '';
  const reasons = [...total.reasons].map(([reason, count]) => `${grouped(count)} ${reason}`).join(', ');
  const figures = [
    ['read', grouped(total.read)],
    [`${would}stored`, grouped(total.stored)],
    [`${would}completed`, grouped(total.completed)],
    ['duplicates', grouped(total.duplicates)],
    ['conflicts', grouped(total.conflicts)],
    [`${would}rejected`, `${grouped(total.rejected)}${reasons && ` (${reasons})`}`],
    ['per second', `${grouped(rate(total.read, seconds))} (${seconds.toFixed(1)} s)`],
  ] as const;
  const width = would.length + 12;
  const lines = figures.map(([name, figure]) => `${name.padEnd(width)}${figure}`);
  if (total.olderThanRetention > 0) {
    lines.push(
      `${grouped(total.olderThanRetention)} of the calls ${would}stored are older than CDR_RETENTION_MONTHS keeps: a running service removes them within the hour`,
    );
  }
  const known = total.rejected + total.conflicts - total.newlyRejected;
  if (known > 0)
    lines.push(`${grouped(known)} of those had been rejected before, and do not count for the exit status`);
  if (total.conflicts > 0) {
    lines.push(
      'Rows that contradict stored calls: trunkline import rejected list --code conflict; --on-conflict replace stores their values',
    );
  }
  lines.push(...kept.map((times) => keptTimesLine(times, options.dryRun ?? false)));
  if (total.reasons.has('unknown_account')) {
    lines.push(
      `Rows of unknown accounts: create the accounts, then: trunkline import rejected retry; or create them with it: trunkline import rejected retry --create-accounts --currency ${options.currency ?? 'CODE'} --country ${options.country ?? 'CODE'}`,
    );
  }
  for (const [option, count] of total.needs) lines.push(NEEDED[option](grouped(count)));
  if (total.reasons.has('erased_account')) {
    lines.push(
      'Rows of erased accounts are kept as one for each source: trunkline import rejected discard --code erased_account --reason …',
    );
  }
  if (total.reasons.has('no_account')) {
    lines.push(
      'Rows that name no account: give their account (--account CODE, or --account-from FIELD) and import again',
    );
  }
  const mendable = [...total.reasons.keys()].filter((reason) => !HAS_A_HINT.includes(reason));
  if (mendable.length > 0 && !options.dryRun) {
    lines.push(
      'Rows that can not be read: trunkline import rejected list shows why; rejected export --output mend.csv writes them to a file to mend, then: trunkline import cdrs mend.csv; rejected discard drops them',
    );
  }
  for (const group of total.alikeCodes.slice(0, SHOWN_ALIKE)) {
    lines.push(
      `Account codes that differ in case alone are different accounts: ${group.map((code) => JSON.stringify(code)).join(', ')}`,
    );
  }
  return lines.join('\n');
}

const rate = (count: number, seconds: number) => Math.round(count / Math.max(seconds, 0.001));

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}
