/** `trunkline import`: takes in what a switch wrote, and looks after the rows that could not be taken in. */
import { Command, Option } from 'commander';
import { FORMATS, type FormatName } from '#services/calls/formats/formats.ts';
import type { SourceOptions } from '#services/calls/formats/reader.ts';
import { dryRun } from '#services/calls/intake/dry_run.ts';
import {
  type ImportCounts,
  type ImportOptions,
  importSource,
  newCounts,
} from '#services/calls/intake/import_file.ts';
import { listSources, openSourceFile, type SourceFile } from '#services/calls/intake/source_files.ts';
import { oldestKept } from '#services/calls/partitions.ts';
import { type CommandDatabase, withDatabase } from './database.ts';
import { explainFailure } from './failure.ts';
import { rememberedMapping } from './import_maps.ts';
import { createProgress, type Progress } from './import_progress.ts';
import { asCountry, asCurrency, asPattern, asTimeZone } from './option_values.ts';
import { grouped, note, print, printJson } from './print.ts';
import { rejectedCommand } from './rejected.ts';

/** Exit status when all was read but some rows were set aside. */
const EXIT_SOME_SET_ASIDE = 3;
const EXIT_FAILED = 1;

interface Options {
  readonly format?: FormatName;
  readonly timeZone?: string;
  readonly dateOrder?: 'ymd' | 'dmy' | 'mdy';
  readonly map: string[];
  readonly mapName?: string;
  readonly source?: string;
  readonly account?: string;
  readonly accountFrom?: string;
  readonly inboundContext?: RegExp;
  readonly createAccounts?: true;
  readonly currency?: string;
  readonly country?: string;
  readonly dryRun?: true;
  readonly json?: true;
}

export function importCommand(): Command {
  return new Command('import')
    .description('take in call detail records, and look after those that could not be')
    .addCommand(importCdrsCommand())
    .addCommand(rejectedCommand());
}

function importCdrsCommand(): Command {
  return new Command('cdrs')
    .description('read files that a switch wrote; the same record is stored once, however often it is read')
    .argument('<file...>', 'files, folders of JSON documents, or - for standard input; gzip is unpacked')
    .addOption(
      new Option('--format <name>', 'what the files are, instead of telling it from their content').choices(
        Object.keys(FORMATS),
      ),
    )
    .option(
      '--time-zone <zone>',
      'what stamps without a zone mean (default: IMPORT_TIME_ZONE, UTC)',
      asTimeZone,
    )
    .addOption(
      new Option('--date-order <order>', 'order of dates such as 03/04/2026').choices(['ymd', 'dmy', 'mdy']),
    )
    .option(
      '--map <column=field>',
      'of a CSV with a header: which column is which field (repeat it)',
      collect,
      [],
    )
    .option('--map-name <name>', 'the name to remember the --map by, or to use a remembered one')
    .option('--source <name>', 'the switch, where several write the same kind of file')
    .option('--account <code>', 'account of rows that name none')
    .option('--account-from <field>', 'source field that names the account')
    .option('--inbound-context <regexp>', 'dialplan contexts of calls that come in', asPattern)
    .option('--create-accounts', 'make accounts that do not exist yet')
    .option('--currency <code>', 'currency of accounts that are made (default: DEFAULT_CURRENCY)', asCurrency)
    .option(
      '--country <code>',
      'country of accounts that are made, whose national numbers they dial',
      asCountry,
    )
    .option('--dry-run', 'say what would happen, and store nothing')
    .option('--json', 'the summary as JSON')
    .addHelpText(
      'after',
      `
Examples:
  trunkline import cdrs /var/log/asterisk/cdr-csv/Master.csv --time-zone Europe/Berlin --create-accounts
  zcat cdr-2026-*.gz | trunkline import cdrs - --dry-run
  trunkline import cdrs carrier.csv --map "Start=start_time" --map "From=cli" --map "To=cld" \\
      --map "Secs=duration_s" --map "Customer=account" --map-name carrier

Formats: ${Object.keys(FORMATS).join(', ')}
Exit status: 0 all stored, 3 some rows set aside (trunkline import rejected list), 1 failed.`,
    )
    .action(importCdrs);
}

async function importCdrs(paths: string[], options: Options): Promise<void> {
  if (paths.includes(''))
    throw new Error('a file name is empty (""): name the file, or . for the current folder');
  const sources = await listSources(paths);
  await withDatabase(async (database) => {
    const settings = await importOptions(database, options);
    const progress = createProgress(process.stderr, sources);
    const started = performance.now();
    const { total, failures } = await importAll(database, sources, settings, options, progress);
    progress.end();
    const seconds = (performance.now() - started) / 1000;
    if (options.json) printJson(summaryJson(total, seconds, failures));
    else print(summaryText(total, seconds, options));
    for (const failure of failures) note(failure);
    if (failures.length > 0) process.exitCode = EXIT_FAILED;
    else if (total.setAside > 0) process.exitCode = EXIT_SOME_SET_ASIDE;
  });
}

/** One source after the other; one that fails does not keep the others out. */
async function importAll(
  database: CommandDatabase,
  sources: readonly SourceFile[],
  settings: ImportOptions,
  options: Options,
  progress: Progress,
): Promise<{ total: ImportCounts; failures: string[] }> {
  const { pool } = database;
  const total = newCounts();
  const failures: string[] = [];
  const importOne = async (source: SourceFile, dry?: Parameters<typeof importSource>[5]) => {
    let counts = newCounts();
    try {
      const opened = await openSourceFile(source, process.stdin);
      progress.begin(source, opened);
      const events = {
        onFormat: (format: FormatName, why: string) =>
          progress.announce(format, `${FORMATS[format].title}: ${why}${zoneNote(settings.read)}`),
        onProgress: (now: ImportCounts) => {
          counts = now;
          progress.update(now);
        },
      };
      await importSource(pool, source.name, opened, settings, events, dry);
    } catch (error) {
      failures.push(`${source.name}: ${explainFailure(error)}`);
    }
    // Of one that broke off too: what was stored until then stays.
    addCounts(total, counts);
    progress.finish();
  };
  if (options.dryRun)
    await dryRun(pool, async (session) => forEach(sources, (source) => importOne(source, session)));
  else await forEach(sources, (source) => importOne(source));
  return { total, failures };
}

async function forEach<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  for (const item of items) await work(item);
}

const zoneNote = (read: SourceOptions) => `; stamps without a zone are read as ${read.timeZone}`;

async function importOptions({ pool, config }: CommandDatabase, options: Options): Promise<ImportOptions> {
  const mapping = await rememberedMapping(pool, options.map, options.mapName);
  if (mapping && options.format && options.format !== 'mapped') {
    throw new Error(
      `--map and --format ${options.format} exclude each other: a mapped file has the format "mapped"`,
    );
  }
  if (options.format === 'mapped' && !mapping)
    throw new Error('--format mapped needs --map column=field or --map-name');
  const timeZone = options.timeZone ?? config.IMPORT_TIME_ZONE;
  return {
    format: mapping ? 'mapped' : options.format,
    source: options.source,
    read: {
      timeZone,
      ...(options.dateOrder && { dateOrder: options.dateOrder }),
      ...(options.account !== undefined && { account: options.account }),
      ...(options.accountFrom !== undefined && { accountField: options.accountFrom }),
      ...(options.inboundContext && { inboundContexts: options.inboundContext }),
      ...(mapping && { mapping }),
    },
    newAccounts: options.createAccounts
      ? { currency: options.currency ?? config.DEFAULT_CURRENCY, timeZone, country: options.country ?? null }
      : null,
    keptFrom:
      config.CDR_RETENTION_MONTHS > 0 ? oldestKept(Date.now(), config.CDR_RETENTION_MONTHS) : undefined,
  };
}

function addCounts(total: ImportCounts, counts: ImportCounts): void {
  total.read += counts.read;
  total.stored += counts.stored;
  total.duplicates += counts.duplicates;
  total.setAside += counts.setAside;
  total.olderThanRetention += counts.olderThanRetention;
  for (const [reason, count] of counts.reasons)
    total.reasons.set(reason, (total.reasons.get(reason) ?? 0) + count);
}

function summaryJson(total: ImportCounts, seconds: number, failures: readonly string[]): object {
  const { read, stored, duplicates, setAside } = total;
  const reasons = Object.fromEntries(total.reasons);
  return {
    read,
    stored,
    duplicates,
    set_aside: setAside,
    older_than_retention: total.olderThanRetention,
    reasons,
    seconds,
    per_second: rate(read, seconds),
    failures,
  };
}

function summaryText(total: ImportCounts, seconds: number, options: Options): string {
  const words = options.dryRun ? ['would be stored', 'would be set aside'] : ['stored', 'set aside'];
  const reasons = [...total.reasons].map(([reason, count]) => `${grouped(count)} ${reason}`).join(', ');
  const lines = [
    `read        ${grouped(total.read)}`,
    `${words[0]!.padEnd(12)}${grouped(total.stored)}`,
    `duplicates  ${grouped(total.duplicates)}`,
    `${words[1]!.padEnd(12)}${grouped(total.setAside)}${reasons && ` (${reasons})`}`,
    `per second  ${grouped(rate(total.read, seconds))} (${seconds.toFixed(1)} s)`,
  ];
  if (total.olderThanRetention > 0) {
    lines.push(
      `${grouped(total.olderThanRetention)} of the calls ${words[0]} are older than CDR_RETENTION_MONTHS keeps: a running service removes them within the hour`,
    );
  }
  if (total.reasons.has('unknown_account')) {
    lines.push(
      'Rows of unknown accounts: make the accounts (--create-accounts), then: trunkline import rejected retry',
    );
  }
  if (total.reasons.has('no_account')) {
    lines.push(
      'Rows that name no account: say whose they are (--account CODE, or --account-from FIELD) and import again',
    );
  }
  return lines.join('\n');
}

const rate = (count: number, seconds: number) => Math.round(count / Math.max(seconds, 0.001));

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}
