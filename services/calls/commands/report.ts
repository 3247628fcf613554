/** `trunkline report`: the usage of all accounts, for a terminal, a script or a spreadsheet. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { withSession } from '#platform/database/pool.ts';
import { grouped, note, print, printJson, rawOutput, table } from '#platform/terminal/print.ts';
import { usageLine } from '../csv/consumption_csv.ts';
import { type CsvForm, csvHeader } from '../csv/csv_form.ts';
import { readDate } from '../time/instants.ts';
import { zoneClock } from '../time/zone_clock.ts';
import {
  MAX_REPORT_ROWS,
  REPORT_GROUPS,
  type ReportGroup,
  type ReportRow,
  reportUsage,
} from '../usage/report.ts';
import { asTimeZone } from './option_values.ts';
import type { CallsTools } from './tools.ts';

interface UsageOptions {
  readonly month?: Range;
  readonly from?: string;
  readonly to?: string;
  readonly by: readonly ReportGroup[];
  readonly timeZone?: string;
  readonly csv?: true;
  readonly json?: true;
  readonly separator?: ',' | ';' | 'tab';
  readonly decimal?: '.' | ',';
  readonly bom?: true;
}

interface Range {
  readonly from: string;
  readonly to: string;
}

export function reportCommand(tools: CallsTools): Command {
  return new Command('report').description('sums over all accounts').addCommand(usageCommand(tools));
}

const EXAMPLES = `
Examples:
  trunkline report usage --month 2026-10 --by account,country --csv > october.csv
  trunkline report usage --from 2026-10-01 --to 2026-10-08 --by day --time-zone Europe/Berlin
  trunkline report usage --month 2026-10 --by account --csv --separator ';' --decimal ,

Each account's days are those of its own zone, unless --time-zone names one for all. Amounts of different currencies
stand in rows of their own. XLSX is not written: spreadsheets open the CSV.`;

function usageCommand(tools: CallsTools): Command {
  return new Command('usage')
    .description('calls, minutes and costs')
    .option('--month <yyyy-mm>', 'a month', asMonth)
    .option('--from <date>', 'or from this day on', asDate)
    .option('--to <date>', 'up to, and not including, this day', asDate)
    .option('--by <names>', `split by any of ${REPORT_GROUPS.join(', ')}, with commas between`, asGroups, [])
    .option('--time-zone <zone>', "one IANA zone for all days (default: each account's own)", asTimeZone)
    .option('--csv', 'as CSV')
    .addOption(new Option('--json', 'as JSON').conflicts('csv'))
    .addOption(
      new Option('--separator <sign>', 'separator of the CSV: , ; or tab').choices([',', ';', 'tab']),
    )
    .addOption(new Option('--decimal <sign>', 'decimal sign of the CSV: . or ,').choices(['.', ',']))
    .option('--bom', 'a byte-order mark before the CSV, by which Excel recognises UTF-8')
    .addHelpText('after', EXAMPLES)
    .action(async (options: UsageOptions, command: Command) => {
      const range = rangeOf(options, command);
      const form = formOf(options, command);
      await tools.withDatabase(async ({ pool }) => {
        const zone = options.timeZone === undefined ? undefined : zoneClock(options.timeZone);
        const rows = await withSession(pool, (session) =>
          reportUsage(session, { ...range, by: options.by, zone }),
        );
        if (!rows)
          throw new Error(
            `the report has more than ${grouped(MAX_REPORT_ROWS)} rows: use fewer groups or less time`,
          );
        if (options.json) return printJson(rows.map(({ groups, ...sums }) => ({ ...groups, ...sums })));
        if (form) return writeCsv(rows, form);
        if (rows.length === 0) return note('No account has a call in this time.');
        show(rows, options.by);
      });
    });
}

function rangeOf({ month, from, to }: UsageOptions, command: Command): Range {
  if (month && (from ?? to) === undefined) return month;
  if (month || from === undefined || to === undefined)
    command.error('error: give the time: --month, or --from and --to');
  if (from >= to) command.error('error: --from must be before --to, which is not included');
  return { from, to };
}

/** Undefined: not as CSV. */
function formOf(options: UsageOptions, command: Command): CsvForm | undefined {
  const { csv, separator = ',', decimal = '.', bom = false } = options;
  if (!csv) {
    if ((options.separator ?? options.decimal ?? options.bom) !== undefined)
      command.error('error: --separator, --decimal and --bom are for --csv');
    return undefined;
  }
  if (separator === decimal)
    command.error("error: --decimal , needs another separator: --separator ';' or --separator tab");
  return {
    separator: separator === 'tab' ? '\t' : separator,
    decimal,
    mark: bom,
    columns: [...options.by, ...SUMS],
  };
}

const SUMS = [
  ...['calls', 'answered', 'seconds', 'billed_seconds', 'minutes', 'billed_minutes'],
  ...['cost', 'currency'],
];

function writeCsv(rows: readonly ReportRow[], form: CsvForm): Promise<void> {
  function* lines() {
    yield csvHeader(form);
    for (const { groups, cost, ...sums } of rows) {
      const costs = cost === null ? [] : [{ currency: sums.currency, amount: cost }];
      yield usageLine({ ...groups, ...sums, cost: costs }, form);
    }
  }
  return pipeline(Readable.from(lines()), rawOutput(), { end: false });
}

const SECONDS_PER_MINUTE = 60;

function show(rows: readonly ReportRow[], by: readonly ReportGroup[]): void {
  const minutes = (seconds: number) => Math.round(seconds / SECONDS_PER_MINUTE);
  print(
    table(
      [...by, 'calls', 'answered', 'minutes', 'billed', 'cost', 'currency'],
      rows.map((row) => [
        ...by.map((group) => row.groups[group] ?? '?'),
        row.calls,
        row.answered,
        minutes(row.seconds),
        minutes(row.billed_seconds),
        row.cost ?? '',
        row.currency,
      ]),
    ),
  );
}

function asMonth(value: string): Range {
  const first = readDate(`${value}-01`);
  if (first === undefined || value.length !== 7)
    throw new InvalidArgumentError('It must be a month such as 2026-10.');
  const [year = 0, month = 0] = value.split('-').map(Number);
  return { from: first, to: new Date(Date.UTC(year, month, 1)).toISOString().slice(0, 10) };
}

function asDate(value: string): string {
  const date = readDate(value);
  if (date === undefined) throw new InvalidArgumentError('It must be a day such as 2026-10-01.');
  return date;
}

function asGroups(value: string): ReportGroup[] {
  const groups = value.split(',').map((name) => REPORT_GROUPS.find((group) => group === name.trim()));
  if (groups.includes(undefined) || new Set(groups).size < groups.length)
    throw new InvalidArgumentError(
      `It must be any of ${REPORT_GROUPS.join(', ')}, each once, with commas between.`,
    );
  if (groups.filter((group) => group === 'day' || group === 'week' || group === 'month').length > 1)
    throw new InvalidArgumentError('It may have one of day, week and month.');
  return groups as ReportGroup[];
}
