/**
 * Bytes to CSV records, each with its exact bytes and the number of its first line.
 *
 * A line is a record, unless it ends within quotes: then the next lines belong to it, up to MAX_RECORD_LINES and
 * MAX_RECORD_BYTES. Where that makes no record of the number of fields expected, or where the next line is one by
 * itself, the quote was never closed: the one line is set aside, and reading goes on with the next. So a broken row
 * costs a row, not the file.
 *
 * Each record is UTF-8, or else Latin-1; files of old switches hold both. What is given never depends on where the
 * source was cut into chunks.
 */
import { isAscii, isUtf8 } from 'node:buffer';
import type { RawRow, Rejection } from '../cdr.ts';
import { type QuoteFault, type QuoteStyle, splitRecord } from './csv_fields.ts';

/** Asterisk writes rows of at most 1 KiB (cdr_csv) or 2 KiB (cdr_custom), CUCM of a few; nothing real is larger. */
export const MAX_RECORD_BYTES = 64 * 1024;
/** A record over more lines is taken for a quote that nobody closed. */
export const MAX_RECORD_LINES = 20;

/** What the format knows about its records. Asked for each record anew: a header may change it. */
export interface RecordRules {
  readonly separator: string;
  /** How else than by `""` quotes may be written within fields. */
  readonly rescue: readonly QuoteStyle[];
  /** Whether a record of so many fields is expected here. */
  fits(fields: number): boolean;
  /** Told the first line that is not blank before it is split, perhaps more than once. */
  begin?(line: string): void;
}

export interface RecordSink {
  /**
   * @param row its bytes are a view of a whole chunk: copy what is to be kept
   * @param ended false for a last line without a line end, which may have been cut off
   */
  record(row: RawRow, fields: string[], ended: boolean): void;
  fault(row: RawRow, rejection: Rejection): void;
}

export interface RecordReader {
  push(chunk: Buffer): void;
  end(): void;
}

const LF = 10;
const CR = 13;
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);
const NOTHING = Buffer.alloc(0);
/** Told instead of a position: more bytes are needed to decide. */
const WAIT = -1;

/** A copy that keeps no chunk in memory, nor a pool: rows that are set aside live long. */
export function ownBytes(view: Buffer): Buffer {
  const bytes = Buffer.allocUnsafeSlow(view.length);
  view.copy(bytes);
  return bytes;
}

/** A line of blanks, or of nothing but separators, as spreadsheets leave below a table. */
function isBlank(fields: string[]): boolean {
  return fields[0]!.trim() === '' && fields.every((field) => field.trim() === '');
}

export function createRecordReader(rules: RecordRules, sink: RecordSink): RecordReader {
  let rest = NOTHING;
  let ended = false;
  /** Whether `rest` has none of these bytes, so that most rows need no look of their own. */
  let plainAscii = true;
  let noNuls = true;
  let line = 1;
  let first = true;
  /** A line over the limit, being read past. `bytes` counts all of it, `lastByte` tells a CR at its end. */
  let oversized: { head: Buffer; bytes: number; lastByte: number } | null = null;
  /** NUL bytes in front of a line, being counted. */
  let nuls = 0;

  function read(): void {
    let at = 0;
    plainAscii = isAscii(rest);
    noNuls = !rest.includes(0);
    while (at < rest.length) {
      const next = oversized ? readPast(oversized, at) : readRecord(at);
      if (next === WAIT) break;
      at = next;
    }
    rest = rest.subarray(at);
    if (!ended) return;
    if (oversized) tellOversized(oversized);
    tellNuls();
  }

  /** Reads what begins at `at` and tells where the next begins. */
  function readRecord(begin: number): number {
    if (!noNuls && rest[begin] === 0) {
      nuls++;
      return begin + 1;
    }
    tellNuls();
    // Where files were put together, each may have brought one.
    const hasMark = !plainAscii && rest.subarray(begin, begin + BOM.length).equals(BOM);
    const at = hasMark ? begin + BOM.length : begin;
    let end = rest.indexOf(LF, at);
    if (end === -1) {
      // One more than the limit may still be a CR.
      if (rest.length - at > MAX_RECORD_BYTES + 1) {
        oversized = { head: ownBytes(rest.subarray(at, at + MAX_RECORD_BYTES)), bytes: 0, lastByte: 0 };
        return readPast(oversized, at);
      }
      if (!ended) return WAIT;
      end = rest.length;
    }
    const stop = withoutCr(at, end);
    if (stop === at) return nextLine(end);
    if (stop - at > MAX_RECORD_BYTES) {
      tellTooLarge(rest.subarray(at, at + MAX_RECORD_BYTES), stop - at);
      return nextLine(end);
    }
    return splitLine(at, stop, end);
  }

  function splitLine(at: number, stop: number, end: number): number {
    const text = decode(at, stop);
    if (first) rules.begin?.(text);
    if (!noNuls && text.includes('\0')) {
      fault(
        at,
        stop,
        'unreadable_row',
        'the row holds NUL bytes, as a crash of the machine leaves in a file',
      );
      return nextLine(end);
    }
    const fields = split(text);
    if (typeof fields !== 'string') {
      if (!isBlank(fields)) tellRecord(at, stop, fields);
      return nextLine(end);
    }
    if (fields === 'unterminated') {
      const next = readSpanning(at, end);
      if (next !== null) return next;
    }
    tellQuoteFault(at, stop, fields);
    return nextLine(end);
  }

  /** A record over several lines; null where the first of them is broken. */
  function readSpanning(at: number, firstEnd: number): number | null {
    let end = firstEnd;
    for (let lines = 2; lines <= MAX_RECORD_LINES; lines++) {
      const from = end + 1;
      if (from >= rest.length) return ended ? null : WAIT;
      end = rest.indexOf(LF, from);
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

  function readPast(past: { bytes: number; lastByte: number; head: Buffer }, at: number): number {
    const found = rest.indexOf(LF, at);
    const end = found === -1 ? rest.length : found;
    past.bytes += end - at;
    if (end > at) past.lastByte = rest[end - 1]!;
    if (found === -1) return end;
    tellOversized(past);
    return nextLine(end);
  }

  function tellOversized(past: { bytes: number; lastByte: number; head: Buffer }): void {
    oversized = null;
    tellTooLarge(past.head, past.lastByte === CR ? past.bytes - 1 : past.bytes);
  }

  function tellTooLarge(head: Buffer, bytes: number): void {
    const reason = `the line has ${bytes} bytes, more than ${MAX_RECORD_BYTES}: no call is written so; its first ${MAX_RECORD_BYTES} bytes are kept`;
    sink.fault({ line, bytes: ownBytes(head) }, { code: 'too_large', reason });
  }

  /** What a file system leaves after a crash; the row behind it is whole. */
  function tellNuls(): void {
    if (nuls === 0) return;
    const reason = `${nuls} NUL bytes, as a crash of the machine leaves in a file; what was to stand there is lost`;
    const bytes = Buffer.alloc(Math.min(nuls, MAX_RECORD_BYTES));
    nuls = 0;
    sink.fault({ line, bytes }, { code: 'unreadable_row', reason });
  }

  function tellQuoteFault(at: number, stop: number, quote: QuoteFault): void {
    if (quote === 'misplaced') {
      const reason = 'a quote stands in the middle of a field; within quotes it is written twice ("")';
      fault(at, stop, 'unreadable_row', reason);
    } else {
      const reason =
        'a field opens with a quote that is not closed, neither in this line nor sensibly in the next';
      fault(at, stop, 'unterminated_quote', reason);
    }
  }

  function fault(at: number, stop: number, code: Rejection['code'], reason: string): void {
    sink.fault({ line, bytes: ownBytes(rest.subarray(at, stop)) }, { code, reason });
  }

  function split(text: string): string[] | QuoteFault {
    return splitRecord(text, rules.separator, rules.rescue, rules.fits);
  }

  function isRecord(fields: string[] | QuoteFault): fields is string[] {
    return typeof fields !== 'string' && rules.fits(fields.length);
  }

  function tellRecord(at: number, stop: number, fields: string[]): void {
    first = false;
    sink.record({ line, bytes: rest.subarray(at, stop) }, fields, stop < rest.length);
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
    return bytes.toString(isUtf8(bytes) ? 'utf8' : 'latin1');
  }

  return {
    push(chunk) {
      // A copy, so that the caller may use its chunk again.
      rest = Buffer.concat([rest, chunk]);
      read();
    },
    end() {
      ended = true;
      read();
    },
  };
}
