/** `trunkline import rejected`: rows that could not be taken in. */
import { createWriteStream } from 'node:fs';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { Command } from 'commander';
import { type Pool, withSession } from '#platform/database/pool.ts';
import { type RetryCounts, retryRejected } from '#services/calls/intake/retry.ts';
import {
  countRejected,
  listRejected,
  type Rejected,
  type RejectedFilter,
} from '#services/calls/store/rejected.ts';
import { withDatabase } from './database.ts';
import { asCount } from './option_values.ts';
import { grouped, note, print, printJson, table } from './print.ts';

const EXIT_SOME_SET_ASIDE = 3;
const PAGE_ROWS = 1_000;
const SHOWN_BYTES = 60;

interface Filter {
  readonly file?: string;
  readonly code?: string;
}

export function rejectedCommand(): Command {
  return new Command('rejected')
    .description('rows that were set aside')
    .addCommand(listCommand())
    .addCommand(retryCommand())
    .addCommand(exportCommand());
}

const filtered = (command: Command) =>
  command
    .option('--file <path>', 'only rows of this file, as `list` shows it')
    .option('--code <reason>', 'only rows with this reason, such as unknown_account');

function listCommand(): Command {
  return filtered(new Command('list'))
    .description('show them, oldest first')
    .option('--limit <count>', 'at most so many', asCount, 50)
    .option('--json', 'as JSON, bytes in base64')
    .addHelpText('after', '\nExample:\n  trunkline import rejected list --code bad_time')
    .action((options: Filter & { limit: number; json?: true }) =>
      withDatabase(async ({ pool }) => {
        const [rows, counts] = await withSession(pool, async (session) => [
          await session.rows(listRejected(filterOf(options), 0, options.limit)),
          await session.rows(countRejected(filterOf(options))),
        ]);
        if (options.json) return printJson({ counts, rows: rows.map(rowJson) });
        const total = counts.reduce((sum, count) => sum + count.count, 0);
        if (total === 0) return print('Nothing is set aside.');
        print(table(['file', 'line', 'code', 'reason', 'row'], rows.map(rowCells)));
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

const rowJson = ({ bytes, ...row }: Rejected) => ({ ...row, bytes: bytes.toString('base64') });

function rowCells(row: Rejected): (string | number)[] {
  const text = row.bytes
    .subarray(0, SHOWN_BYTES)
    .toString('latin1')
    .replaceAll(/[^ -~]/g, '·');
  return [row.file, row.line, row.code, row.reason, row.bytes.length > SHOWN_BYTES ? `${text}…` : text];
}

function retryCommand(): Command {
  return filtered(new Command('retry'))
    .description('read them again; those that go in now leave the list')
    .option('--create-accounts', 'make accounts that do not exist yet')
    .option('--account <code>', 'account of rows that name none')
    .option('--json', 'the counts as JSON')
    .addHelpText(
      'after',
      '\nExample:\n  trunkline import rejected retry --code unknown_account --create-accounts',
    )
    .action((options: Filter & { createAccounts?: true; account?: string; json?: true }) =>
      withDatabase(async ({ pool, config }) => {
        const counts = await retryRejected(
          pool,
          {
            filter: filterOf(options),
            read: options.account === undefined ? {} : { account: options.account },
            newAccounts: options.createAccounts
              ? { currency: config.DEFAULT_CURRENCY, timeZone: config.IMPORT_TIME_ZONE, country: null }
              : null,
          },
          (so_far) => note(`${grouped(so_far.tried)} rows read again`),
        );
        if (options.json) printJson(counts);
        else print(retrySummary(counts));
        if (counts.stillSetAside > 0) process.exitCode = EXIT_SOME_SET_ASIDE;
      }),
    );
}

const retrySummary = (counts: RetryCounts) =>
  [
    `read again       ${grouped(counts.tried)}`,
    `stored           ${grouped(counts.stored)}`,
    `duplicates       ${grouped(counts.duplicates)}`,
    `still set aside  ${grouped(counts.stillSetAside)}`,
  ].join('\n');

function exportCommand(): Command {
  return filtered(new Command('export'))
    .description('write their bytes as they were, a row a line, to mend and import again')
    .option('--output <path>', 'a file instead of standard output')
    .addHelpText(
      'after',
      '\nExample:\n  trunkline import rejected export --file /var/log/Master.csv --output mend.csv',
    )
    .action((options: Filter & { output?: string }) =>
      withDatabase(async ({ pool }) => {
        const out = options.output ? createWriteStream(options.output) : process.stdout;
        const rows = await exportRows(pool, filterOf(options), out);
        if (options.output) {
          out.end();
          await finished(out);
        }
        note(`${grouped(rows)} rows`);
      }),
    );
}

/** A header stands before the first row of each file that had one. */
async function exportRows(pool: Pool, filter: RejectedFilter, out: Writable): Promise<number> {
  let rows = 0;
  let headerOf = '';
  for (let after = 0; ; ) {
    const page = await withSession(pool, (session) => session.rows(listRejected(filter, after, PAGE_ROWS)));
    if (page.length === 0) return rows;
    after = page.at(-1)!.i_rejected;
    for (const row of page) {
      if (row.columns && headerOf !== row.file) out.write(`${row.columns.map(columnName).join(',')}\n`);
      headerOf = row.file;
      out.write(row.bytes);
      if (!out.write('\n')) await new Promise((resume) => out.once('drain', resume));
      rows++;
    }
  }
}

/** As the import will read it again: the name must stay, so no spreadsheet's rules apply. */
const columnName = (name: string) => (/[",;\t\n]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name);

const filterOf = (options: Filter): RejectedFilter => ({ file: options.file, code: options.code });
