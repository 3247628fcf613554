/**
 * A quote that nobody closed, and the lines behind it that are no records by themselves: most are the text that it opens.
 * They are set aside together, in rows of at most so many bytes, since each of thousands would be told as a row otherwise.
 */
import type { RawRow, Rejection } from '../cdr.ts';

/** A line where it stands. */
export interface PlacedLine {
  readonly line: number;
  readonly offset: number;
  /** Its own, and of its end. */
  readonly bytes: Buffer;
  /** Without its end. */
  readonly length: number;
}

export interface OpenQuote {
  readonly isOpen: boolean;
  /** Where the first line stands that is held; undefined: none is. */
  readonly offset: number | undefined;
  /** Tells what is held, and holds this line, whose quote is not closed. */
  open(line: PlacedLine): void;
  /** Holds one more behind it. */
  hold(line: PlacedLine): void;
  /** A blank one is told only where another follows. */
  holdBlank(bytes: Buffer): void;
  tell(): void;
}

/** A broken row has hardly more fields than a whole one; a text may have any number of commas. */
const FIELDS_TOO_MANY = 2;

/** Whether a line that is no record has the separators of one: then it is a broken one, and no text. */
export function mayBeRow(text: string, separator: string, fits: (fields: number) => boolean): boolean {
  const fields = text.split(separator).length;
  for (let fewer = 0; fewer <= FIELDS_TOO_MANY && fewer < fields; fewer++)
    if (fits(fields - fewer)) return true;
  return false;
}

interface Held {
  /** The line with the quote. */
  readonly opened: number;
  readonly first: PlacedLine;
  readonly bytes: Buffer[];
  size: number;
  /** The last line that is not blank, and where it ends. */
  last: number;
  end: number;
}

/** @param setAside told each row of lines */
export function createOpenQuote(
  maxBytes: number,
  setAside: (row: Omit<RawRow, 'ended'>, rejection: Rejection) => void,
): OpenQuote {
  let held: Held | null = null;

  function begin(opened: number, line: PlacedLine): void {
    tell();
    held = { opened, first: line, bytes: [], size: 0, last: line.line, end: 0 };
    add(held, line);
  }

  function add(to: Held, { line, bytes, length }: PlacedLine): void {
    to.last = line;
    to.end = to.size + length;
    keep(to, bytes);
  }

  function keep(to: Held, bytes: Buffer): void {
    to.bytes.push(bytes);
    to.size += bytes.length;
  }

  function tell(): void {
    if (!held) return;
    const { opened, first, last, end, bytes } = held;
    held = null;
    const reason =
      last === opened
        ? 'a field opens with a quote that is not closed, neither in this line nor sensibly in the next'
        : `a field opens with a quote in line ${opened} that is not closed; of the lines ${first.line} to ${last} none is a row by itself`;
    const row = { line: first.line, offset: first.offset, bytes: Buffer.concat(bytes, end) };
    setAside(row, { code: 'unterminated_quote', reason });
  }

  return {
    get isOpen() {
      return held !== null;
    },
    get offset() {
      return held?.first.offset;
    },
    open: (line) => begin(line.line, line),
    hold(line) {
      if (!held) return;
      if (held.size + line.length > maxBytes) begin(held.opened, line);
      else add(held, line);
    },
    holdBlank(bytes) {
      if (!held) return;
      if (held.size < maxBytes) keep(held, bytes);
      else tell();
    },
    tell,
  };
}
