/**
 * Bytes to CSV records, each with its exact bytes and the number of its first line.
 *
 * A line is a record, unless it ends within quotes: then the next lines belong to it, up to MAX_RECORD_LINES and
 * MAX_RECORD_BYTES. If that gives no record with the expected number of fields, or if the next line is a record on its
 * own, the quote was never closed: the one line is rejected, and reading goes on with the next. So a broken row costs a
 * row, not the file (open_quote.ts).
 *
 * Lines end with LF, CRLF or CR, also mixed in one file. A CR alone is part of the data where only that reading gives a
 * record with the expected number of fields. A line that is one quoted cell holds a record itself (separators.ts).
 *
 * Each record is UTF-8, or else Windows-1252, which is Latin-1 with printable signs in place of control characters. Files
 * of old switches mix both. The records never depend on how the source was cut into chunks.
 */
import { isAscii, isUtf8 } from 'node:buffer';
import type { RawRow, Rejection } from '../cdr.ts';
import { type QuoteStyle, splitFields, splitRecord } from './csv_fields.ts';
import { createOpenQuote, mayBeRow, type PlacedLine } from './open_quote.ts';
import { separatorThatFits, toldSeparator, unwrapped } from './separators.ts';
import type { QuoteFault } from './sparse_quotes.ts';

/** Asterisk writes rows of at most 1 KiB (cdr_csv) or 2 KiB (cdr_custom), CUCM of a few. No real row is larger. */
export const MAX_RECORD_BYTES = 64 * 1024;
/** A record over more lines counts as an unclosed quote. */
export const MAX_RECORD_LINES = 20;

/** What the format knows about its records. Read again for each record, since a header may change it. */
export interface RecordRules {
  readonly separator: string;
  /** The other ways to write quotes within fields, beside `""`. */
  readonly rescue: readonly QuoteStyle[];
  /** Whether the format expects a record of so many fields. `values` are given where their number does not decide. */
  fits(fields: number, values?: readonly string[]): boolean;
  /** Gets each line that is not blank before the line is split, perhaps more than once, until the rules have begun. */
  begin?(line: string): void;
  /** Undefined: at the first record. */
  readonly begun?: boolean;
}

export interface RecordSink {
  /**
   * @param row its bytes are a view of a whole chunk: copy the bytes that are kept
   * @param isWindows whether the bytes were read as Windows-1252, and hold control characters of Latin-1
   */
  record(row: RawRow, fields: string[], isWindows: boolean): void;
  fault(row: RawRow, rejection: Rejection): void;
}

export interface RecordReader {
  /** Where the first bytes begin that have given no record yet. */
  readonly offset: number;
  push(chunk: Buffer): void;
  /** @param whole no bytes can follow, so the rest counts as ended by a line end */
  end(whole: boolean): void;
}

const LF = 10;
const CR = 13;
const QUOTE = 34;
/** Ctrl-Z: the end of a text in DOS, and in programs that follow DOS. Concatenated files hold it in the middle. */
const CTRL_Z = 26;
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);
const NOTHING = Buffer.alloc(0);
const WINDOWS_1252 = new TextDecoder('windows-1252');
const QUOTE_FAULTS = {
  misplaced: 'a quote stands in the middle of a field; within quotes it is written twice ("")',
  ambiguous: 'its quotes can be read in more than one way; within quotes a quote is written twice ("")',
} as const;
/** No line after this many sets the separator any more: the format's own stays. */
const MAX_LINES_TRIED = 100;
/** Returned instead of a position: the decision needs more bytes. */
const WAIT = -1;

/** A copy that keeps no chunk and no pool in memory: rejected rows live long. */
export function ownBytes(view: Buffer): Buffer {
  const bytes = Buffer.allocUnsafeSlow(view.length);
  view.copy(bytes);
  return bytes;
}

/** Not UTF-8, and with bytes that are control characters in Latin-1. */
function isWindowsText(bytes: Buffer): boolean {
  return !isUtf8(bytes) && bytes.some((byte) => byte >= 0x80 && byte < 0xa0);
}

/** A line of blanks, or of separators only, as spreadsheets leave below a table. */
function isBlank(fields: string[]): boolean {
  return fields[0]!.trim() === '' && fields.every((field) => field.trim() === '');
}

/**
 * If the end of the source has cut a character of UTF-8: the bytes before it. Otherwise all bytes. A Latin-1 letter
 * looks the same, so another character must show that the text is UTF-8.
 */
function withoutCutCharacter(bytes: Buffer): Buffer {
  for (let cut = 1; cut <= 3 && cut < bytes.length; cut++) {
    const before = bytes.subarray(0, bytes.length - cut);
    if (bytes[before.length]! >= 0xc0) return isUtf8(before) && !isAscii(before) ? before : bytes;
  }
  return bytes;
}

/** A line over the limit, which is being skipped. `bytes` counts all of it; `lastByte` shows a CR at its end. */
interface Oversized {
  readonly head: Buffer;
  readonly offset: number;
  bytes: number;
  lastByte: number;
}

export function createRecordReader(rules: RecordRules, sink: RecordSink): RecordReader {
  let rest = NOTHING;
  /** Where `rest` begins in the source. */
  let base = 0;
  let ended = false;
  /** Whether the rows that are given now are final. */
  let isFinal = true;
  /** Whether `rest` has none of these bytes, so that most rows need no check of their own. */
  let plainAscii = true;
  let noNuls = true;
  let line = 1;
  let first = true;
  /** The next CR without an LF, at or after `crFrom`. */
  let cr = -1;
  let crFrom = 0;
  /** For a format with one separator: the separator with which the file was saved, once a line has shown it. */
  let separator: string | undefined;
  let oversized: Oversized | null = null;
  const quote = createOpenQuote(MAX_RECORD_BYTES, (row, rejection) =>
    sink.fault({ ...row, ended: isFinal }, rejection),
  );
  /** The NUL bytes in front of a line, while they are counted. */
  let nuls = 0;

  function read(): void {
    let at = 0;
    plainAscii = isAscii(rest);
    noNuls = !rest.includes(0);
    cr = -1;
    while (at < rest.length) {
      const next = oversized ? readPast(oversized, at) : readRecord(at);
      if (next === WAIT) break;
      at = next;
    }
    rest = rest.subarray(at);
    base += at;
    if (!ended) return;
    if (oversized) tellOversized(oversized);
    tellNuls(base);
    quote.tell();
  }

  /** Reads the record that begins at `at`. Returns where the next record begins. */
  function readRecord(begin: number): number {
    if (!noNuls && rest[begin] === 0) {
      nuls++;
      return begin + 1;
    }
    tellNuls(base + begin);
    if (rest[begin] === CTRL_Z) {
      quote.tell();
      return begin + 1;
    }
    // In concatenated files, each file may have brought one.
    const hasMark = !plainAscii && rest.subarray(begin, begin + BOM.length).equals(BOM);
    if (hasMark) quote.tell();
    const at = hasMark ? begin + BOM.length : begin;
    let end = lineEnd(at);
    if (isUndecided(end)) end = -1;
    if (end === -1) {
      // One more than the limit may still be a CR.
      if (rest.length - at > MAX_RECORD_BYTES + 1) {
        const head = ownBytes(rest.subarray(at, at + MAX_RECORD_BYTES));
        oversized = { head, offset: base + at, bytes: 0, lastByte: 0 };
        return readPast(oversized, at);
      }
      if (!ended) return WAIT;
      end = rest.length;
    }
    if (rest[end] === CR && end > at) {
      end = endAfterCr(at, end);
      if (end === WAIT) return WAIT;
    }
    let stop = withoutCr(at, end);
    while (stop === rest.length && stop > at && rest[stop - 1] === CTRL_Z) stop = withoutCr(at, --end);
    if (stop === at) return blankLine(at, end);
    if (stop - at > MAX_RECORD_BYTES) {
      tellTooLarge(rest.subarray(at, at + MAX_RECORD_BYTES), base + at, stop - at);
      return nextLine(end);
    }
    return splitLine(at, stop, end);
  }

  /** The end of the line that `at` is in: an LF, or a CR without an LF. -1: the end has not come yet. */
  function lineEnd(at: number): number {
    const lf = rest.indexOf(LF, at);
    if (cr < at || crFrom > at) {
      crFrom = at;
      for (cr = rest.indexOf(CR, at); cr !== -1 && rest[cr + 1] === LF; ) cr = rest.indexOf(CR, cr + 2);
      if (cr === -1) cr = rest.length;
    }
    if (cr === rest.length) return lf;
    return lf === -1 || cr < lf ? cr : lf;
  }

  /** A CR behind which the LF may still come. */
  function isUndecided(end: number): boolean {
    return end === rest.length - 1 && rest[end] === CR && !ended;
  }

  /** The end of a line in which a CR stands alone: the CR, unless only the CR with the text behind it gives a record. */
  function endAfterCr(at: number, end: number): number {
    if (end - at > MAX_RECORD_BYTES || isRecord(split(decode(at, end)))) return end;
    const lf = rest.indexOf(LF, end);
    if (lf === -1 && !ended && rest.length - at <= MAX_RECORD_BYTES + 1) return WAIT;
    const stop = lf === -1 ? rest.length : withoutCr(at, lf);
    const isWhole = stop - at <= MAX_RECORD_BYTES && isRecord(split(decode(at, stop)));
    return isWhole ? (lf === -1 ? rest.length : lf) : end;
  }

  function splitLine(at: number, stop: number, end: number): number {
    const text = decode(at, stop);
    if (!(rules.begun ?? !first)) rules.begin?.(text);
    if (rules.begin === undefined && separator === undefined && isSeparatorTold(text)) return nextLine(end);
    if (!noNuls && text.includes('\0')) {
      const reason = 'the row holds NUL bytes, as a crash of the machine leaves in a file';
      tellFault(at, stop, 'unreadable_row', reason);
      return nextLine(end);
    }
    const fields = split(text);
    if (typeof fields !== 'string') {
      if (isBlank(fields)) return blankLine(at, end);
      if (isRecord(fields) || !isText(text)) tellRecord(at, stop, fields);
      else quote.hold(placed(at, stop, end));
      return nextLine(end);
    }
    if (fields === 'unterminated') {
      const next = readSpanning(at, end);
      if (next !== null) return next;
    }
    if (fields === 'unterminated') quote.open(placed(at, stop, end));
    else if (isText(text)) quote.hold(placed(at, stop, end));
    else tellFault(at, stop, 'unreadable_row', QUOTE_FAULTS[fields]);
    return nextLine(end);
  }

  /** Whether a line that is no record belongs to an open quote. */
  function isText(text: string): boolean {
    return quote.isOpen && !mayBeRow(text, separator ?? rules.separator, rules.fits);
  }

  function blankLine(at: number, end: number): number {
    if (quote.isOpen) quote.holdBlank(ownBytes(rest.subarray(at, end + 1)));
    return nextLine(end);
  }

  function placed(at: number, stop: number, end: number): PlacedLine {
    const bytes = ownBytes(rest.subarray(at, end + 1));
    return { line, offset: base + at, bytes, length: stop - at };
  }

  /** A record over several lines; null where the first of them is broken. */
  function readSpanning(at: number, firstEnd: number): number | null {
    let end = firstEnd;
    for (let lines = 2; lines <= MAX_RECORD_LINES; lines++) {
      const from = end + 1;
      if (from >= rest.length) return ended ? null : WAIT;
      end = lineEnd(from);
      if (isUndecided(end)) end = -1;
      if (end === -1) {
        if (rest.length - at > MAX_RECORD_BYTES + 1) return null;
        if (!ended) return WAIT;
        end = rest.length;
      }
      const stop = withoutCr(from, end);
      if (stop - at > MAX_RECORD_BYTES || isRecord(split(decode(from, stop)))) return null;
      const text = decode(at, stop);
      const fields = split(text);
      if (isRecord(fields) && !text.includes('\0')) {
        tellRecord(at, stop, fields);
        line += lines;
        return end + 1;
      }
      if (fields !== 'unterminated') return null;
    }
    return null;
  }

  function readPast(past: Oversized, at: number): number {
    const found = lineEnd(at);
    const isOpen = isUndecided(found);
    const end = found === -1 ? rest.length : found;
    past.bytes += end - at;
    if (end > at) past.lastByte = rest[end - 1]!;
    if (isOpen) return end === at ? WAIT : end;
    if (found === -1) return end;
    tellOversized(past);
    return nextLine(end);
  }

  function tellOversized(past: Oversized): void {
    oversized = null;
    tellTooLarge(past.head, past.offset, past.lastByte === CR ? past.bytes - 1 : past.bytes);
  }

  function tellTooLarge(head: Buffer, offset: number, bytes: number): void {
    quote.tell();
    const reason = `the line has ${bytes} bytes, more than ${MAX_RECORD_BYTES}: no CDR is that long; the first ${MAX_RECORD_BYTES} bytes are kept`;
    sink.fault({ ...rowOf(ownBytes(head), offset), cut: true }, { code: 'too_large', reason });
  }

  /** NUL bytes, as a file system leaves them after a crash. The row behind them is whole. */
  function tellNuls(end: number): void {
    if (nuls === 0) return;
    quote.tell();
    const reason = `${nuls} NUL bytes, as a crash of the machine leaves in a file; what was to stand there is lost`;
    const row = rowOf(Buffer.alloc(Math.min(nuls, MAX_RECORD_BYTES)), end - nuls);
    const cut = nuls > MAX_RECORD_BYTES;
    nuls = 0;
    sink.fault({ ...row, cut }, { code: 'unreadable_row', reason });
  }

  function tellFault(at: number, stop: number, code: Rejection['code'], reason: string): void {
    quote.tell();
    sink.fault(rowOf(ownBytes(rest.subarray(at, stop)), base + at), { code, reason });
  }

  function rowOf(bytes: Buffer, offset: number): RawRow {
    return { line, bytes, offset, ended: isFinal };
  }

  function split(text: string, by = separator ?? rules.separator): string[] | QuoteFault {
    if (text.charCodeAt(0) !== QUOTE) return splitRecord(text, by, rules.rescue, rules.fits);
    const fields = splitFields(text, by, 'doubled');
    // A call has more than one cell that is not blank.
    if (isRecord(fields) && fields.some((field, at) => at > 0 && field !== '')) return fields;
    const inner = unwrapped(text);
    const within = inner === null ? null : splitRecord(inner, by, rules.rescue, rules.fits);
    if (within !== null && isRecord(within) && within.length > 1) return within;
    return splitRecord(text, by, rules.rescue, rules.fits);
  }

  /** Takes the separator from a line that shows one. True where the line holds nothing else. */
  function isSeparatorTold(text: string): boolean {
    const told = first ? toldSeparator(text) : undefined;
    if (told !== undefined) separator = told;
    else if (line > MAX_LINES_TRIED) separator = rules.separator;
    else if (isRecord(split(text, rules.separator))) separator = rules.separator;
    else separator = separatorThatFits((by) => isRecord(split(text, by)));
    return told !== undefined;
  }

  function isRecord(fields: string[] | QuoteFault): fields is string[] {
    return typeof fields !== 'string' && rules.fits(fields.length, fields);
  }

  function tellRecord(at: number, stop: number, fields: string[]): void {
    quote.tell();
    first = false;
    const bytes = rest.subarray(at, stop);
    sink.record(rowOf(bytes, base + at), fields, !plainAscii && isWindowsText(bytes));
  }

  function nextLine(end: number): number {
    line++;
    return end + 1;
  }

  function withoutCr(at: number, end: number): number {
    return end > at && rest[end - 1] === CR ? end - 1 : end;
  }

  function decode(from: number, to: number): string {
    if (plainAscii) return rest.toString('latin1', from, to);
    const bytes = rest.subarray(from, to);
    if (isUtf8(bytes)) return bytes.toString('utf8');
    const whole = to === rest.length && !isFinal ? withoutCutCharacter(bytes) : bytes;
    return isUtf8(whole) ? whole.toString('utf8') : WINDOWS_1252.decode(whole);
  }

  return {
    get offset() {
      return quote.offset ?? oversized?.offset ?? base - nuls;
    },
    push(chunk) {
      // A copy, so that the caller may use its chunk again.
      rest = Buffer.concat([rest, chunk]);
      read();
    },
    end(whole) {
      ended = true;
      isFinal = whole;
      read();
    },
  };
}
