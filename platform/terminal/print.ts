/**
 * Output for people and for scripts. Results go to standard output, everything else to standard error. Everything that a
 * command says goes through here, so that nothing which came from elsewhere (names of files, accounts, keys, errors of
 * servers) reaches a terminal as a command to it.
 */
import { Transform } from 'node:stream';
import type { Command } from 'commander';
import { printable, printableJson } from '#platform/telemetry/printable.ts';

/** Lines of text. A text from elsewhere that must not begin a line of its own goes through `printable` before. */
const lines = (text: string): string => text.split('\n').map(printable).join('\n');

export const print = (text: string) => void process.stdout.write(`${lines(text)}\n`);
export const note = (text: string) => void process.stderr.write(`${lines(text)}\n`);
export const printJson = (value: unknown) =>
  void process.stdout.write(`${printableJson(JSON.stringify(value, null, 2))}\n`);

/** A text from elsewhere that may have several lines: none of them looks like a line of ours. */
export const indented = (text: string): string => text.replaceAll('\n', '\n  ');

/** Writes a picture, with its own colours and moves of the cursor. All else in it must be `printable` already. */
export const draw = (picture: string, on: NodeJS.WriteStream = process.stdout) => void on.write(picture);

/** Rows as they were, for a file or a pipe; a terminal sees what is not printable in them. */
export function rawOutput(): NodeJS.WritableStream {
  if (!process.stdout.isTTY) return process.stdout;
  const shown = new Transform({
    transform: (chunk: Buffer, _encoding, done) => done(null, lines(chunk.toString())),
  });
  shown.pipe(process.stdout, { end: false });
  return shown;
}

/** For commander's help and complaints, of a command and all below it. */
export function printsThroughHere(command: Command): Command {
  command.configureOutput({
    writeOut: (text) => void process.stdout.write(lines(text)),
    writeErr: (text) => void process.stderr.write(lines(text)),
    // It quotes what was typed, line ends included.
    outputError: (text, write) => write(`${indented(text.trimEnd())}\n`),
  });
  for (const below of command.commands) printsThroughHere(below);
  return command;
}

let outputError: NodeJS.ErrnoException | undefined;

/** Whether an error is the one that guardOutput has dealt with: a database's broken connection has the same code. */
export const isOutputError = (error: unknown): boolean => error !== undefined && error === outputError;

/**
 * Trouble with what a command says must not end what it does. A reader that has gone, as after `| head`, misses nothing
 * that it wanted; where standard output can't be written to for another reason, as on a full disk, that is said once, and
 * the exit status is not 0. What standard error does not take, nobody can be told.
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

/** What a column of text has left at least where a table is too wide. */
const LEAST_WIDTH = 8;
const GAP = '  ';

/**
 * Columns aligned, with a header; numbers to the right. Where it would not fit into a terminal's lines, the widest texts are cut in
 * their middle; a file or a pipe gets them whole.
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

/** Takes from the widest column until all fit, or none can give more. */
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

/** Both ends of a path, a name or a reason tell more than its beginning alone. */
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
