/**
 * An unclosed quote, and the lines behind it that are no records: most of them are the text that it opens. They are
 * rejected together, in rows of limited size, since thousands of lines would otherwise be reported as a row each.
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
  /** Where the first held line stands. Undefined: no line is held. */
  readonly offset: number | undefined;
  /** Gives the held lines, and holds this line, whose quote is not closed. */
  open(line: PlacedLine): void;
  /** Holds one more line. */
  hold(line: PlacedLine): void;
  /** A blank line is given only where another line follows. */
  holdBlank(bytes: Buffer): void;
  tell(): void;
}

/** A broken row has hardly more fields than a whole one. A text may have any number of commas. */
const FIELDS_TOO_MANY = 2;

/** Whether a line that is no record has the separators of one. Then it is a broken record, and no text. */
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

/** @param reject gets each row of lines */
export function createOpenQuote(
  maxBytes: number,
  reject: (row: Omit<RawRow, 'ended'>, rejection: Rejection) => void,
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
    reject(row, { code: 'unterminated_quote', reason });
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
