/** `trunkline imports`: lists imports, and undoes them. */
import { resolve } from 'node:path';
import { Command } from 'commander';
import { withSession } from '#platform/database/pool.ts';
import { asCount } from '#platform/terminal/option_values.ts';
import { grouped, note, print, printJson, table } from '#platform/terminal/print.ts';
import { terminalActor } from '#platform/terminal/terminal_actor.ts';
import { typedAgain } from '#platform/terminal/typed_again.ts';
import { countUndone, dryUndo, type UndoProgress, undoImport, undoneBefore } from '../intake/undo_import.ts';
import { type ImportRow, importByNumber, listImports } from '../store/imports.ts';
import type { CallsTools } from './tools.ts';

export function importsCommand(tools: CallsTools): Command {
  return new Command('imports')
    .description('list imports, with their files and switches, and undo them')
    .addCommand(listCommand(tools))
    .addCommand(showCommand(tools))
    .addCommand(undoCommand(tools));
}

interface ListOptions {
  readonly source?: string;
  readonly file?: string;
  readonly limit: number;
  readonly json?: true;
}

function listCommand(tools: CallsTools): Command {
  return new Command('list')
    .description(
      'show imports, the newest first, and how many of their rows still wait; a switch that posts has one import',
    )
    .option('--source <name>', 'only those of this switch')
    .option(
      '--file <path>',
      'only those of this file, and of its retried or mended rows; also stdin, or the route of posts (POST /cdrs)',
    )
    .option('--limit <count>', 'at most so many', asCount, 50)
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample:\n  trunkline imports list --file Master.csv')
    .action((options: ListOptions) =>
      tools.withDatabase(async ({ pool }) => {
        const rows = await withSession(pool, (session) =>
          session.rows(listImports({ ...options, file: storedAs(options.file) }, undefined, options.limit)),
        );
        if (options.json) return printJson(rows);
        if (rows.length === 0) return print('There are no imports.');
        print(table(COLUMNS, rows.map(cells)));
      }),
    );
}

/** A file's absolute path, or the name of another way in. */
const storedAs = (file: string | undefined): string | undefined =>
  file === undefined || file === 'stdin' || file.startsWith('POST ') ? file : resolve(file);

const COLUMNS = [
  'i_import',
  'started',
  'state',
  'source',
  'stored',
  'completed',
  'duplicates',
  'conflicts',
  'waiting',
  'file',
];

const cells = (row: ImportRow) => [
  row.i_import,
  row.started_at,
  stateOf(row),
  row.source,
  row.stored,
  row.completed,
  row.duplicates,
  row.conflicts,
  row.waiting,
  row.file,
];

/** For an import with calls of accounts that were erased since: the number of those calls. */
const erasedOf = ({ erased }: ImportRow): string => (erased > 0 ? `, ${grouped(erased)} erased` : '');

const stateOf = (row: ImportRow): string => `${stepOf(row)}${erasedOf(row)}`;

const stepOf = ({ state }: ImportRow): string => (state === 'partly_undone' ? 'undone in part' : state);

function showCommand(tools: CallsTools): Command {
  return new Command('show')
    .description('show one import: the outcomes of its rows, and how they were read')
    .argument('<i_import>', 'its number, as `imports list` shows it', asCount)
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample:\n  trunkline imports show 12')
    .action((iImport: number, options: { json?: true }) =>
      tools.withDatabase(async ({ pool }) => {
        const row = await withSession(pool, (session) => session.row(importByNumber(iImport)));
        if (!row) throw noImport(iImport);
        if (options.json) return printJson(row);
        print(shown(row));
      }),
    );
}

const shown = (row: ImportRow): string =>
  [
    `import     ${row.i_import}, ${stepOf(row)}${row.state === 'interrupted' ? ': import its file again, or undo it' : ''}`,
    `file       ${row.file}`,
    `source     ${row.source} (${row.format})`,
    `started    ${row.started_at}`,
    `finished   ${row.finished_at ?? '-'}`,
    ...(row.undone_at === null ? [] : [`undone     ${row.undone_at}`]),
    `calls to   ${row.told_to ?? '-'}`,
    `read       ${grouped(row.read)}`,
    `stored     ${grouped(row.stored)}`,
    ...(row.erased === 0 ? [] : [`erased     ${grouped(row.erased)} of its calls, with their accounts`]),
    `completed  ${grouped(row.completed)}`,
    `duplicates ${grouped(row.duplicates)}`,
    `conflicts  ${grouped(row.conflicts)}`,
    `rejected   ${grouped(row.set_aside)}`,
    `waiting    ${grouped(row.waiting)} of those two: neither imported since nor discarded`,
    `options    ${JSON.stringify(row.options)}`,
  ].join('\n');

function undoCommand(tools: CallsTools): Command {
  return new Command('undo')
    .description('undo an import, as if it had never been; shows the effects first, and asks')
    .argument('<i_import>', 'its number, as `imports list` shows it', asCount)
    .option('--dry-run', 'only show what would be undone')
    .option('--yes', 'do not ask; for scripts')
    .option('--json', 'the effects as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  trunkline imports undo 12 --dry-run\n  trunkline imports undo 12\n\n' +
        'If it is interrupted, give the command again to go on. The same file can be imported again at once.',
    )
    .action((iImport: number, options: UndoOptions) =>
      tools.withDatabase(async ({ pool, ending }) => {
        const [dry, before] = await withSession(pool, async (session) => [
          await dryUndo(session, iImport),
          await undoneBefore(session, iImport),
        ]);
        if (!dry) throw noImport(iImport);
        if (options.dryRun) return tell(dry, options, 'would be');
        if (!options.yes) await confirm(dry);
        const all = grouped(countUndone(dry) + countUndone(before));
        const undone = await undoImport(
          pool,
          iImport,
          terminalActor(),
          (so_far) => note(`${grouped(countUndone(so_far))} of ${all} calls and rows undone`),
          ending,
        );
        tell(undone!, options, 'were');
      }),
    );
}

interface UndoOptions {
  readonly dryRun?: true;
  readonly yes?: true;
  readonly json?: true;
}

const noImport = (iImport: number) =>
  new Error(`there is no import ${iImport}; trunkline imports list shows them`);

function tell(progress: UndoProgress, { json }: UndoOptions, verb: string): void {
  if (json) printJson(progress);
  else print(undoneText(progress, verb));
}

function keptText({ kept_by: keptBy }: UndoProgress, verb: string): string {
  const [first] = keptBy;
  if (first === undefined) return 'other imports have them too';
  const are = verb === 'were' ? 'are now' : 'would be';
  return keptBy.length === 1
    ? `import ${first} has them too; they ${are} as that import read them`
    : `imports ${keptBy.join(', ')} have them too; they ${are} as these imports read them`;
}

const undoneText = (progress: UndoProgress, verb: string): string =>
  [
    `calls removed       ${grouped(progress.calls_removed)}`,
    `calls kept          ${grouped(progress.calls_kept)}: ${keptText(progress, verb)}`,
    `calls put back      ${grouped(progress.calls_restored)}: others' calls that it had completed or replaced`,
    `rejected rows       ${grouped(progress.rows_removed)} ${verb} forgotten`,
    `retried rows        ${grouped(progress.rows_returned)} ${verb} rejected again`,
  ].join('\n');

/** @throws Error unless the user types its number */
async function confirm(dry: UndoProgress): Promise<void> {
  if (process.stdin.isTTY) note(undoneText(dry, 'would be'));
  const word = String(dry.i_import);
  const answer = await typedAgain(word, `Type ${word} to undo import ${word}: `);
  if (answer === 'nobody')
    throw new Error(
      'this is no terminal, so nothing can be asked: --dry-run shows the effects, --yes undoes the import',
    );
  if (answer === 'other') throw new Error('nothing was undone');
}
