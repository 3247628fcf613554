/**
 * Bytes to JSON documents, each with its exact bytes and the number of its first line: one document or many, one a
 * line, concatenated or in an array, pretty-printed or not.
 *
 * Only brackets and quotes are followed here, to find the end of a document; other code parses it afterwards. A document
 * is invalid if a line ends within a text, the next document begins before this one has ended, brackets nest too deep, or
 * the file ends. An invalid document is rejected up to the next line that begins with `{` no further right than the
 * document itself did, and reading goes on there. So a broken document costs itself, not the file.
 *
 * Lines that begin like a URL-encoded or base64-encoded document are given as `encoded`: after a failed post FreeSWITCH
 * writes the document to its error folder in the form of the post.
 *
 * Memory: at most one document, MAX_ENCODED_BYTES. The documents do not depend on how the source was cut into chunks.
 */
import type { RawRow, Rejection } from '../cdr.ts';
import {
  ARRAY_CLOSE,
  ARRAY_OPEN,
  BACKSLASH,
  COLON,
  COMMA,
  isBlank,
  OBJECT_CLOSE,
  OBJECT_OPEN,
  QUOTE,
} from './json_bytes.ts';

/** FreeSWITCH's documents have 10 to 60 kB; this leaves room for hundreds of variables. */
export const MAX_DOCUMENT_BYTES = 1024 * 1024;
/** URL-encoding makes three bytes of one. */
export const MAX_ENCODED_BYTES = 3 * MAX_DOCUMENT_BYTES;
/** The part of a larger document that is kept. */
export const KEPT_BYTES = 64 * 1024;
/** FreeSWITCH nests 9 deep. Bounds the work for hostile files, too. */
export const MAX_DEPTH = 64;

export interface DocumentSink {
  /** @param row its bytes are a view: copy the bytes that are kept */
  document(row: RawRow): void;
  encoded(row: RawRow): void;
  fault(row: RawRow, rejection: Rejection): void;
}

export interface DocumentReader {
  /** Where the first bytes begin that have given no document yet. */
  readonly offset: number;
  push(chunk: Buffer): void;
  /** @param whole no bytes can follow */
  end(whole: boolean): void;
}

const LF = 0x0a;
const CR = 0x0d;
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);
/** `{"` in base64, `{` URL-encoded, and either as a form's field. */
const ENCODED_STARTS = ['eyJ', '%7B', '%7b', 'cdr='];
const ENCODED_START_LENGTH = 4;

/** How far the reader has followed a document. */
interface Scan {
  /** Bytes of the document seen so far. */
  seen: number;
  depth: number;
  inText: boolean;
  escaped: boolean;
  /** The last byte outside texts that is no blank. */
  last: number;
  /** Whether nothing but blanks came since the line began. */
  lineBegins: boolean;
}

type ScanResult = 'more' | 'ended' | 'broken';

/** Bytes that are skipped, to be rejected as one row. */
interface Past {
  readonly line: number;
  /** Where they begin in the source. */
  readonly offset: number;
  readonly rejection: Rejection;
  /** `line`: to the line's end. `document`: to the next line that begins with a document. */
  readonly until: 'line' | 'document';
  readonly column: number;
  /** Follows a document that is too large to its end. Null where its brackets can't be trusted. */
  scan: Scan | null;
  readonly kept: Buffer[];
  keptBytes: number;
  bytes: number;
  indent: number;
}

export function createDocumentReader(sink: DocumentSink): DocumentReader {
  let rest: Buffer = Buffer.alloc(0);
  /** Where `rest` begins in the source. */
  let base = 0;
  let ended = false;
  /** Whether the rows that are given now are final. */
  let isFinal = true;
  let begun = false;
  let line = 1;
  /** Bytes since the line began, outside documents. */
  let column = 0;
  /** The document that `rest` begins with. */
  let scan: Scan | null = null;
  let past: Past | null = null;

  /** Reads the bytes from `at` of `rest` on. Returns where to go on, or `at` itself if it needs more bytes. */
  function step(at: number): number {
    if (past !== null) return passOver(past, at);
    if (scan !== null) return readDocument(scan, at);
    const byte = rest[at]!;
    if (byte === OBJECT_OPEN) {
      scan = { seen: 0, depth: 0, inText: false, escaped: false, last: 0, lineBegins: false };
      return readDocument(scan, at);
    }
    if (byte === LF) {
      line++;
      column = 0;
      return at + 1;
    }
    if (isBlank(byte) || byte === COMMA || byte === ARRAY_OPEN || byte === ARRAY_CLOSE) {
      column++;
      return at + 1;
    }
    if (rest.length - at < ENCODED_START_LENGTH && !ended) return at;
    const start = rest.toString('latin1', at, at + ENCODED_START_LENGTH);
    if (ENCODED_STARTS.some((encoded) => start.startsWith(encoded))) return readEncoded(at);
    const reason = 'the text is neither a JSON document nor an encoded one; a document begins with {';
    past = beginPast(at, { code: 'unreadable_row', reason }, 'line', null);
    return at;
  }

  function readDocument(current: Scan, at: number): number {
    const result = follow(current, rest.subarray(at, at + MAX_DOCUMENT_BYTES + 1));
    if (result === 'ended') {
      scan = null;
      const end = at + current.seen;
      const bytes = rest.subarray(at, end);
      const { lines, lastLine } = countLines(bytes);
      if (bytes.length > MAX_DOCUMENT_BYTES)
        sink.fault({ ...rowOf(bytes.subarray(0, KEPT_BYTES), base + at), cut: true }, tooLarge());
      else sink.document(rowOf(bytes, base + at));
      line += lines;
      column = lines === 0 ? column + bytes.length : lastLine;
      return end;
    }
    if (result === 'more' && !ended && current.seen <= MAX_DOCUMENT_BYTES) return at;
    scan = null;
    const seen = rest.subarray(at, at + current.seen);
    if (result === 'more' && seen.length > MAX_DOCUMENT_BYTES && !hasNextDocument(seen, column)) {
      past = beginPast(at, tooLarge(), 'document', { ...current, seen: 0 });
      // The bytes that were seen are skipped at once: the scan stands behind them.
      keep(past, seen);
      return at + seen.length;
    }
    const reason = 'the document is not closed: it was cut off, or a bracket or a quote is missing';
    past = beginPast(at, { code: 'unreadable_row', reason }, 'document', null);
    return at;
  }

  function readEncoded(at: number): number {
    const found = rest.indexOf(LF, at);
    const stop = found === -1 ? rest.length : found;
    if (stop - at > MAX_ENCODED_BYTES) {
      past = beginPast(at, tooLarge(), 'line', null);
      return at;
    }
    if (found === -1 && !ended) return at;
    sink.encoded(rowOf(rest.subarray(at, withoutCr(rest, at, stop)), base + at));
    return stop;
  }

  function beginPast(at: number, rejection: Rejection, until: Past['until'], following: Scan | null): Past {
    const state = { kept: [], keptBytes: 0, bytes: 0, indent: following?.lineBegins ? 0 : -1 };
    return { line, offset: base + at, rejection, until, column, scan: following, ...state };
  }

  function rowOf(bytes: Buffer, offset: number): RawRow {
    return { line, bytes, offset, ended: isFinal };
  }

  function passOver(current: Past, at: number): number {
    const from = rest.subarray(at);
    if (current.until === 'line') {
      const found = from.indexOf(LF);
      keep(current, found === -1 ? from : from.subarray(0, found));
      if (found !== -1) tellPast(current);
      return at + (found === -1 ? from.length : found);
    }
    const { length, found } = lengthPast(current, from);
    keep(current, from.subarray(0, length));
    if (found) tellPast(current);
    return at + length;
  }

  /** Counts lines as bytes are taken, so that the bytes behind have their line number. */
  function keep(current: Past, bytes: Buffer): void {
    const { lines, lastLine } = countLines(bytes);
    line += lines;
    column = lines === 0 ? column + bytes.length : lastLine;
    current.bytes += bytes.length;
    const limit = current.rejection.code === 'too_large' ? KEPT_BYTES : MAX_DOCUMENT_BYTES;
    const kept = bytes.subarray(0, limit - current.keptBytes);
    if (kept.length === 0) return;
    current.kept.push(Buffer.from(kept));
    current.keptBytes += kept.length;
  }

  function tellPast(current: Past): void {
    past = null;
    const { rejection, keptBytes } = current;
    const row = { ...rowOf(Buffer.concat(current.kept), current.offset), line: current.line };
    const { bytes } = row;
    if (current.bytes > keptBytes) {
      const kept =
        rejection.code === 'too_large'
          ? ''
          : `; of its ${current.bytes} bytes the first ${keptBytes} are kept`;
      sink.fault({ ...row, cut: true }, { ...rejection, reason: rejection.reason + kept });
      return;
    }
    let stop = bytes.length;
    while (stop > 0 && isBlank(bytes[stop - 1]!)) stop--;
    sink.fault({ ...row, bytes: bytes.subarray(0, stop) }, rejection);
  }

  function read(): void {
    let at = 0;
    if (!begun) {
      if (rest.length < BOM.length && !ended) return;
      begun = true;
      if (rest.subarray(0, BOM.length).equals(BOM)) at = BOM.length;
    }
    while (at < rest.length) {
      const wasPast = past;
      const next = step(at);
      // Nothing was read and nothing was decided: more bytes are needed.
      if (next === at && past === wasPast) break;
      at = next;
    }
    rest = rest.subarray(at);
    base += at;
    if (ended && past !== null) tellPast(past);
  }

  return {
    get offset() {
      return past?.offset ?? base;
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

/**
 * Follows a document on from the end of the last `scan`.
 * @param bytes from the document's begin
 */
function follow(scan: Scan, bytes: Buffer): ScanResult {
  for (let i = scan.seen; i < bytes.length; i++) {
    const byte = bytes[i]!;
    scan.seen++;
    if (scan.inText) {
      if (byte === LF) return 'broken';
      if (scan.escaped) scan.escaped = false;
      else if (byte === BACKSLASH) scan.escaped = true;
      else if (byte === QUOTE) scan.inText = false;
      continue;
    }
    if (byte === LF) {
      scan.lineBegins = true;
      continue;
    }
    if (isBlank(byte)) continue;
    if (byte === QUOTE) scan.inText = true;
    else if (byte === OBJECT_OPEN || byte === ARRAY_OPEN) {
      const mayOpen = scan.last === COLON || scan.last === COMMA || scan.last === ARRAY_OPEN;
      if (scan.depth > 0 && !mayOpen && scan.lineBegins) return 'broken';
      if (++scan.depth > MAX_DEPTH) return 'broken';
    } else if (byte === OBJECT_CLOSE || byte === ARRAY_CLOSE) {
      if (--scan.depth === 0) return 'ended';
    }
    scan.last = byte;
    scan.lineBegins = false;
  }
  return 'more';
}

/** How many bytes to skip, and whether the end of the skipped part was found. */
function lengthPast(past: Past, bytes: Buffer): { length: number; found: boolean } {
  const next = nextDocument(past, bytes);
  const length = next ?? bytes.length;
  if (past.scan !== null) {
    past.scan.seen = 0;
    const result = follow(past.scan, bytes.subarray(0, length));
    if (result === 'ended') return { length: past.scan.seen, found: true };
    if (result === 'broken') past.scan = null;
  }
  return { length, found: next !== null };
}

/** Where a line begins with a document. */
function nextDocument(past: Past, bytes: Buffer): number | null {
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (byte === OBJECT_OPEN && past.indent >= 0 && past.indent <= past.column) return i;
    if (byte === LF) past.indent = 0;
    else if (!isBlank(byte)) past.indent = -1;
    else if (past.indent >= 0) past.indent++;
  }
  return null;
}

/** Whether a line after the first begins with a document. */
function hasNextDocument(bytes: Buffer, column: number): boolean {
  for (let lf = bytes.indexOf(LF); lf !== -1; lf = bytes.indexOf(LF, lf + 1)) {
    let at = lf + 1;
    while (at - lf - 1 < column && isBlank(bytes[at] ?? 0)) at++;
    if (bytes[at] === OBJECT_OPEN) return true;
  }
  return false;
}

function countLines(bytes: Buffer): { lines: number; lastLine: number } {
  let lines = 0;
  let last = -1;
  for (let at = bytes.indexOf(LF); at !== -1; at = bytes.indexOf(LF, at + 1)) {
    lines++;
    last = at;
  }
  return { lines, lastLine: bytes.length - last - 1 };
}

function withoutCr(bytes: Buffer, from: number, to: number): number {
  return to > from && bytes[to - 1] === CR ? to - 1 : to;
}

function tooLarge(): Rejection {
  const reason = `the document is larger than ${MAX_DOCUMENT_BYTES} bytes: no call's document is that large; the first ${KEPT_BYTES} bytes are kept`;
  return { code: 'too_large', reason };
}
