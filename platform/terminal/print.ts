/**
 * Output for people and for scripts. Results go to standard output, everything else to standard error. All output of a
 * command goes through here, so that no foreign text (names of files, accounts, keys, errors of servers) reaches a
 * terminal as a command to it.
 */
import { Transform } from 'node:stream';
import type { Command } from 'commander';
import { printable, printableJson } from '#platform/telemetry/printable.ts';

/** Lines of text. Foreign text that must not begin a line of its own goes through `printable` first. */
const lines = (text: string): string => text.split('\n').map(printable).join('\n');

export const print = (text: string) => void process.stdout.write(`${lines(text)}\n`);
export const note = (text: string) => void process.stderr.write(`${lines(text)}\n`);
export const printJson = (value: unknown) =>
  void process.stdout.write(`${printableJson(JSON.stringify(value, null, 2))}\n`);

/** A foreign text that may have several lines: none of them looks like a line of Trunkline. */
export const indented = (text: string): string => text.replaceAll('\n', '\n  ');

/** Writes a picture, with its own colours and moves of the cursor. All other text in it must be `printable` already. */
export const draw = (picture: string, on: NodeJS.WriteStream = process.stdout) => void on.write(picture);

/** Rows unchanged, for a file or a pipe; a terminal shows their unprintable characters escaped. */
export function rawOutput(): NodeJS.WritableStream {
  if (!process.stdout.isTTY) return process.stdout;
  const shown = new Transform({
    transform: (chunk: Buffer, _encoding, done) => done(null, lines(chunk.toString())),
  });
  shown.pipe(process.stdout, { end: false });
  return shown;
}

/** For commander's help and errors, of a command and of all its subcommands. */
export function printsThroughHere(command: Command): Command {
  command.configureOutput({
    writeOut: (text) => void process.stdout.write(lines(text)),
    writeErr: (text) => void process.stderr.write(lines(text)),
    // The text quotes the typed arguments, line ends included.
    outputError: (text, write) => write(`${indented(text.trimEnd())}\n`),
  });
  for (const below of command.commands) printsThroughHere(below);
  return command;
}

let outputError: NodeJS.ErrnoException | undefined;

/** Whether guardOutput has handled this error: a database's broken connection has the same code. */
export const isOutputError = (error: unknown): boolean => error !== undefined && error === outputError;

/**
 * Trouble with a command's output must not end the command's work. A reader that has gone, as after `| head`, wants no more.
 * Where standard output can't be written to for another reason, such as a full disk, the command says so once and its
 * exit status is not 0. Errors of standard error are dropped, since there is nowhere to report them.
 */
export function guardOutput(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (outputError) return;
    outputError = error;
    if (error.code !== 'EPIPE') note(`trunkline: standard output can't be written to: ${error.message}`);
  });
  process.stderr.on('error', () => undefined);
  process.once('exit', () => {
    if (outputError && outputError.code !== 'EPIPE') process.exitCode ||= 1;
  });
}

/** The least width of a column of text where a table is too wide. */
const LEAST_WIDTH = 8;
const GAP = '  ';

/**
 * Columns aligned, with a header; numbers to the right. Where the table does not fit into a terminal's lines, the widest
 * texts are cut in their middle; a file or a pipe gets them whole.
 * @param room characters of a line
 */
export function table(
  header: readonly string[],
  rows: readonly (readonly (string | number | null)[])[],
  room = process.stdout.isTTY ? process.stdout.columns || Number.POSITIVE_INFINITY : Number.POSITIVE_INFINITY,
): string {
  const cells = [header, ...rows].map((row) =>
    row.map((cell) => (cell === null ? '' : printable(String(cell)))),
  );
  const right = header.map(
    (_, column) => rows.length > 0 && rows.every((row) => typeof row[column] === 'number'),
  );
  const wanted = header.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  const least = header.map((name, column) =>
    right[column] ? wanted[column]! : Math.min(wanted[column]!, Math.max(LEAST_WIDTH, name.length)),
  );
  const widths = fitting(wanted, least, room - GAP.length * (header.length - 1));
  return cells
    .map((row) =>
      row
        .map((cell, column) => {
          const width = widths[column]!;
          return right[column] ? cell.padStart(width) : cutInMiddle(cell, width).padEnd(width);
        })
        .join(GAP)
        .trimEnd(),
    )
    .join('\n');
}

/** Narrows the widest column until all columns fit, or none can get narrower. */
function fitting(wanted: readonly number[], least: readonly number[], room: number): number[] {
  const widths = [...wanted];
  for (let over = widths.reduce((sum, width) => sum + width, 0) - room; over > 0; over--) {
    const given = widths.map((width, column) => (width > least[column]! ? width : 0));
    const widest = Math.max(...given);
    if (widest === 0) break;
    widths[given.indexOf(widest)]!--;
  }
  return widths;
}

/** Both ends of a path, a name or a reason identify it better than its beginning alone. */
function cutInMiddle(text: string, width: number): string {
  if (text.length <= width) return text;
  const behind = Math.floor((width - 1) / 2);
  return `${text.slice(0, width - 1 - behind)}…${text.slice(text.length - behind)}`;
}

/** 1234567 as "1,234,567". */
export const grouped = (value: number) => Math.round(value).toLocaleString('en-US');

/** 475800 as "5d 12h 10m". */
export function duration(seconds: number): string {
  const [days, hours, minutes] = [
    Math.floor(seconds / 86_400),
    Math.floor(seconds / 3600) % 24,
    Math.floor(seconds / 60) % 60,
  ];
  if (days > 0) return `${days}d ${hours}h ${minutes}m`;
  if (hours > 0) return `${hours}h ${minutes}m`;
  return minutes > 0 ? `${minutes}m ${Math.floor(seconds % 60)}s` : `${Math.floor(seconds)}s`;
}
