/** `trunkline import rejected`: manages rejected rows. */
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { Command } from 'commander';
import { type Pool, withSession, withTransaction } from '#platform/database/pool.ts';
import { asCount, asPrintable } from '#platform/terminal/option_values.ts';
import { grouped, note, print, printJson, rawOutput, table } from '#platform/terminal/print.ts';
import { terminalActor } from '#platform/terminal/terminal_actor.ts';
import { typedAgain } from '#platform/terminal/typed_again.ts';
import type { DecimalSign } from '../formats/decimal_marks.ts';
import type { SameCallOptions } from '../intake/import_source.ts';
import { beginMendedFile, lineBefore } from '../intake/mended_rows.ts';
import { type RetryCounts, retryRejected } from '../intake/retry.ts';
import { noteAudit } from '../store/audit.ts';
import {
  countRejected,
  discardRejected,
  listRejected,
  type Rejected,
  type RejectedFilter,
} from '../store/rejected.ts';
import type { DateOrder } from '../time/stamp_text.ts';
import {
  asTimeZone,
  callIdsOption,
  countryOption,
  createAccountsOption,
  currencyOption,
  dateOrderOption,
  decimalSignOption,
  onConflictOption,
} from './option_values.ts';
import type { CallsTools } from './tools.ts';

/** Exit status when all files were read but some rows were rejected. For an import: rows that had not been rejected before. */
export const EXIT_SOME_SET_ASIDE = 3;
const PAGE_ROWS = 1_000;
const SHOWN_BYTES = 60;
/** The most rows of a kind that `export` names. */
const SHOWN_NAMED = 20;

interface Filter {
  readonly file?: string;
  readonly code?: string;
}

export function rejectedCommand(tools: CallsTools): Command {
  return new Command('rejected')
    .description('list, retry, mend and discard rejected rows')
    .addCommand(listCommand(tools))
    .addCommand(retryCommand(tools))
    .addCommand(exportCommand(tools))
    .addCommand(discardCommand(tools));
}

const filtered = (command: Command) =>
  command
    .option('--file <path>', 'only rows of this file, as `list` shows it')
    .option('--code <reason>', 'only rows with this reason, such as unknown_account');

function listCommand(tools: CallsTools): Command {
  return filtered(new Command('list'))
    .description('show them, oldest first')
    .option('--limit <count>', 'at most so many', asCount, 50)
    .option('--json', 'as JSON, bytes in base64')
    .addHelpText('after', '\nExample:\n  trunkline import rejected list --code bad_time')
    .action((options: Filter & { limit: number; json?: true }) =>
      tools.withDatabase(async ({ pool }) => {
        const [rows, counts] = await withSession(pool, async (session) => [
          await session.rows(listRejected(filterOf(options), 0, options.limit)),
          await session.rows(countRejected(filterOf(options))),
        ]);
        if (options.json) return printJson({ counts, rows: rows.map(rowJson) });
        const total = counts.reduce((sum, count) => sum + count.count, 0);
        if (total === 0) return print('There are no rejected rows.');
        print(table(['source', 'file', 'line', 'code', 'reason', 'row'], rows.map(rowCells)));
        print(
          `\n${table(
            ['file', 'code', 'rows'],
            counts.map((c) => [c.file, c.code, c.count]),
          )}`,
        );
        if (total > rows.length) note(`${grouped(total)} in all; --limit shows more`);
      }),
    );
}

const rowJson = ({ bytes, end, row_offset: _, ...row }: Rejected) => ({
  ...row,
  is_last_of_file: end !== null,
  bytes: bytes.toString('base64'),
});

function rowCells(row: Rejected): (string | number)[] {
  const text = row.bytes
    .subarray(0, SHOWN_BYTES)
    .toString('latin1')
    .replaceAll(/[^ -~]/g, '·');
  return [
    row.source,
    row.file,
    row.line,
    row.code,
    row.reason,
    row.bytes.length > SHOWN_BYTES ? `${text}…` : text,
  ];
}

interface RetryOptions {
  readonly createAccounts?: true;
  readonly currency?: string;
  readonly country?: string;
  readonly timeZone?: string;
  readonly account?: string;
  readonly dateOrder?: DateOrder;
  readonly decimalSign?: DecimalSign;
  readonly credits?: true;
  readonly onConflict?: SameCallOptions['onConflict'];
  readonly callIds?: SameCallOptions['callIds'];
  readonly json?: true;
}

function retryCommand(tools: CallsTools): Command {
  return filtered(new Command('retry'))
    .description('retry them; rows that are imported now leave the list')
    .addOption(createAccountsOption())
    .addOption(currencyOption())
    .addOption(countryOption())
    .option(
      '--time-zone <zone>',
      'time zone of stamps without a zone, and of created accounts (default: that of their import)',
      asTimeZone,
    )
    .option('--account <code>', 'account of rows that name none')
    .option('--credits', 'costs below 0 are money')
    .addOption(dateOrderOption())
    .addOption(decimalSignOption())
    .addOption(onConflictOption())
    .addOption(callIdsOption())
    .option('--json', 'the counts as JSON')
    .addHelpText(
      'after',
      '\nExample:\n  trunkline import rejected retry --code unknown_account --create-accounts --country DE',
    )
    .action((options: Filter & RetryOptions) =>
      tools.withDatabase(async ({ pool }) => {
        const { settings } = tools.parts();
        const counts = await retryRejected(
          pool,
          {
            filter: filterOf(options),
            read: {
              ...(options.timeZone && { timeZone: options.timeZone }),
              ...(options.account !== undefined && { account: options.account }),
              ...(options.dateOrder && { dateOrder: options.dateOrder }),
              ...(options.decimalSign && { decimalSign: options.decimalSign }),
              ...(options.credits && { credits: true }),
            },
            newAccounts: options.createAccounts
              ? {
                  currency: options.currency ?? settings.defaultCurrency,
                  timeZone: settings.importTimeZone,
                  country: options.country ?? null,
                }
              : null,
            sameCall: {
              ...(options.onConflict && { onConflict: options.onConflict }),
              ...(options.callIds && { callIds: options.callIds }),
            },
          },
          (so_far) => note(`${grouped(so_far.tried)} rows read again`),
        );
        if (options.json) printJson(counts);
        else print(retrySummary(counts));
        if (counts.stillRejected + counts.conflicts > 0) process.exitCode = EXIT_SOME_SET_ASIDE;
      }),
    );
}

const retrySummary = (counts: RetryCounts) =>
  [
    `read again       ${grouped(counts.tried)}`,
    `stored           ${grouped(counts.stored)}`,
    `completed        ${grouped(counts.completed)}`,
    `duplicates       ${grouped(counts.duplicates)}`,
    `conflicts        ${grouped(counts.conflicts)}`,
    `still rejected   ${grouped(counts.stillRejected)}`,
    ...(counts.keptInPart > 0
      ? [
          `${grouped(counts.keptInPart)} of them ${keptInPart(counts.keptInPart)}, and were not read: only their files have them whole (trunkline import rejected discard)`,
        ]
      : []),
  ].join('\n');

const keptInPart = (rows: number): string =>
  rows === 1
    ? 'is kept only in part, since it was too large'
    : 'are kept only in part, since they were too large';

function exportCommand(tools: CallsTools): Command {
  return filtered(new Command('export'))
    .description(
      'write them to a file to mend, which import cdrs reads as it is; each mended row replaces its rejected row',
    )
    .option('--output <path>', 'write to a file instead of standard output')
    .addHelpText(
      'after',
      '\nExample:\n  trunkline import rejected export --file /var/log/Master.csv --output mend.csv\n  trunkline import cdrs mend.csv',
    )
    .action((options: Filter & { output?: string }) =>
      tools.withDatabase(async ({ pool }) => {
        let rows = 0;
        const cut: Rejected[] = [];
        const conflicts: Rejected[] = [];
        const lines = exportedLines(pool, filterOf(options), (row) => {
          if (row.conflict) conflicts.push(row);
          return row.cut ? cut.push(row) : rows++;
        });
        const first = await lines.next();
        if (first.done) note('There are no rows to mend; no file is written.');
        else {
          const all = startingWith(first.value, lines);
          if (options.output) await pipeline(all, createWriteStream(options.output));
          else await pipeline(all, rawOutput(), { end: process.stdout.isTTY });
          note(`${grouped(rows)} rows`);
        }
        if (cut.length > 0) {
          note(
            `${grouped(cut.length)} ${rows > 0 ? 'more ' : ''}${cut.length === 1 ? 'row' : 'rows'} ${keptInPart(cut.length)}, and left out (list --json has their first bytes):`,
          );
          noteEach(cut);
        }
        if (conflicts.length > 0) {
          note(
            `${grouped(conflicts.length)} of the rows contradict stored calls (list --json has both versions):`,
          );
          noteEach(conflicts);
        }
      }),
    );
}

function noteEach(rows: readonly Rejected[]): void {
  for (const { file, line, reason } of rows.slice(0, SHOWN_NAMED)) note(`  ${file}:${line}: ${reason}`);
}

/**
 * Writes a file that `import cdrs` reads once it is mended. Rows of which only the first bytes are kept are left out:
 * an import would take them for other rows. No file at all where no row is left.
 * @param onRow gets each row
 */
async function* exportedLines(
  pool: Pool,
  filter: RejectedFilter,
  onRow: (row: Rejected) => void,
): AsyncGenerator<Buffer | string> {
  let begun = false;
  for (let after = 0; ; ) {
    const page = await withSession(pool, (session) => session.rows(listRejected(filter, after, PAGE_ROWS)));
    if (page.length === 0) return;
    after = page.at(-1)!.i_rejected;
    for (const row of page) {
      onRow(row);
      if (row.cut) continue;
      if (!begun) yield beginMendedFile();
      begun = true;
      yield lineBefore(row);
      yield row.bytes;
      yield '\n';
    }
  }
}

async function* startingWith<T>(first: T, rest: AsyncIterable<T>): AsyncGenerator<T> {
  yield first;
  yield* rest;
}

function discardCommand(tools: CallsTools): Command {
  return filtered(new Command('discard'))
    .description(
      'discard rows that need no mending: they are not listed again, even when their file is read again',
    )
    .requiredOption('--reason <text>', 'the reason, for the audit trail', asPrintable)
    .option('--all', 'all of them, where neither file nor code is given')
    .option('--yes', 'do not ask; for scripts')
    .addHelpText(
      'after',
      '\nExamples:\n  trunkline import rejected discard --file /var/log/Master.csv --code wrong_column_count --reason "test calls"\n' +
        '  trunkline import rejected discard --code erased_account --reason erased --yes',
    )
    .action((options: Filter & { all?: true; yes?: true; reason: string }) => {
      if (options.file === undefined && options.code === undefined && !options.all)
        throw new Error('say which rows: --file PATH, --code CODE, or --all');
      if (options.reason.trim() === '') throw new Error('--reason is blank: say why they are discarded');
      return tools.withDatabase(async ({ pool }) => {
        if (!options.yes) await confirmDiscard(pool, filterOf(options));
        const count = await withTransaction(pool, async (session) => {
          const discarded = (await session.row(discardRejected(filterOf(options))))!.count;
          const { file = null, code = null, reason } = options;
          await session.run(
            noteAudit(terminalActor(), {
              action: 'rejected.discard',
              subject: 'rejected rows',
              detail: { reason, file, code },
              before: { rows: discarded },
              after: { rows: 0 },
            }),
          );
          return discarded;
        });
        print(`${grouped(count)} rows discarded`);
      });
    });
}

/** @throws Error unless the user types the number of rows */
async function confirmDiscard(pool: Pool, filter: RejectedFilter): Promise<void> {
  const counts = await withSession(pool, (session) => session.rows(countRejected(filter)));
  const rows = counts.reduce((sum, { count }) => sum + count, 0);
  if (rows === 0) return;
  const answer = await typedAgain(String(rows), `Type ${rows} to discard ${grouped(rows)} rows: `);
  if (answer === 'nobody')
    throw new Error(
      'this is no terminal, so nothing can be asked: rejected list shows the rows, --yes discards them',
    );
  if (answer === 'other') throw new Error('nothing was discarded');
}

const filterOf = (options: Filter): RejectedFilter => ({ file: options.file, code: options.code });
