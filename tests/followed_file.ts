/** A switch that writes Asterisk's Master.csv, and the logrotate that looks after it; for tests of following. */
import {
  appendFile,
  copyFile,
  type FileHandle,
  open,
  readdir,
  readFile,
  rename,
  rm,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';

/** One row as cdr_csv writes it; each number is another call. */
export function followedRow(number: number, billed = 25): string {
  const stamp = (ms: number) => new Date(ms).toISOString().slice(0, 19).replace('T', ' ');
  const start = Date.UTC(2026, 9, 1) + number * 7_000;
  return (
    `"acct${number % 7}","1${String(number % 90).padStart(2, '0')}","+4420794600${String(number % 100).padStart(2, '0')}",` +
    `"from-internal","""A"" <1>","SIP/1-${number}","SIP/t-${number}","Dial","x","${stamp(start)}","${stamp(start)}",` +
    `"${stamp(start + 30_000)}",30,${billed},"ANSWERED","DOCUMENTATION","${start / 1_000}.${number}",""\n`
  );
}

/** What a switch and its logrotate do to one file. */
export interface FollowedFileWriter {
  /** Rows that were begun so far; all of them are whole after `endRow`. */
  readonly rows: number;
  /** A row has been begun and not ended. */
  readonly isInRow: boolean;
  writeRows(count: number): Promise<void>;
  /** Writes a row but for its last characters. */
  beginRow(share: number): Promise<void>;
  endRow(): Promise<void>;
  /** `rename` puts the file away and leaves the path empty; the row that was begun is ended where it was put. */
  rotate(how: 'rename' | 'copytruncate', packed: boolean): Promise<void>;
  /** Rows that a switch writes to the file that it holds open, after that was put away. */
  writeLate(count: number): Promise<void>;
  truncate(): Promise<void>;
  /** Ends the row that was begun, and writes no more. */
  close(): Promise<void>;
}

export function followedFileWriter(path: string): FollowedFileWriter {
  let rows = 0;
  let rest = '';
  /** As a switch holds its file open: what is written goes there, whatever it is called by now. */
  let inRow: FileHandle | undefined;
  let putAway: FileHandle | undefined;

  const endRow = async () => {
    if (rest !== '') await inRow!.appendFile(rest);
    rest = '';
    await inRow?.close();
    inRow = undefined;
  };
  const text = (count: number) => Array.from({ length: count }, () => followedRow(rows++)).join('');

  /** `.1` becomes `.2` and so on, gzipped or not. */
  async function shift(): Promise<void> {
    const numbered = (await readdir(dirname(path)))
      .map((name) => ({ name, number: Number(/\.(\d+)(?:\.gz)?$/.exec(name)?.[1] ?? 0) }))
      .filter(({ name, number }) => name.startsWith(`${basename(path)}.`) && number > 0)
      .sort((a, b) => b.number - a.number);
    for (const { name, number } of numbered) {
      const to = `${path}.${number + 1}${name.endsWith('.gz') ? '.gz' : ''}`;
      await rename(join(dirname(path), name), to);
    }
  }

  return {
    get rows() {
      return rows;
    },
    get isInRow() {
      return rest !== '';
    },
    async writeRows(count) {
      await endRow();
      await appendFile(path, text(count));
    },
    async beginRow(share) {
      await endRow();
      const row = text(1);
      const cut = 1 + Math.floor(share * (row.length - 2));
      inRow = await open(path, 'a');
      await inRow.appendFile(row.slice(0, cut));
      rest = row.slice(cut);
    },
    endRow,
    async rotate(how, packed) {
      if (packed || how === 'copytruncate') await endRow();
      await appendFile(path, '');
      await shift();
      await putAway?.close();
      putAway = how === 'rename' && !packed ? await open(path, 'a') : undefined;
      const away = `${path}.1`;
      if (how === 'rename') await rename(path, away);
      else {
        await copyFile(path, away);
        await truncate(path, 0);
      }
      if (!packed) return;
      await writeFile(`${away}.gz`, gzipSync(await readFile(away)));
      await rm(away);
    },
    async writeLate(count) {
      await endRow();
      await (putAway ? putAway.appendFile(text(count)) : appendFile(path, text(count)));
    },
    async truncate() {
      await endRow();
      await writeFile(path, '');
    },
    async close() {
      await endRow();
      await putAway?.close();
    },
  };
}
