/**
 * Bytes to mod_xml_cdr's documents, each with its exact bytes and the number of its first line: one document, as
 * FreeSWITCH writes a file, or many concatenated ones.
 *
 * A document begins with `<?xml` or `<cdr` and ends with `</cdr>`: FreeSWITCH writes `&lt;` for every `<` of a value, so
 * neither can stand within one. If another document begins before the end of one, the first is rejected, and reading goes
 * on with the second. Text between documents is rejected line by line. So a broken document costs itself, not the file.
 *
 * Lines that begin like a URL-encoded or base64-encoded document are given as `encoded`: after a failed post FreeSWITCH
 * writes the document in the form of the post, without `cdr=`.
 *
 * Memory: at most one document, MAX_ENCODED_BYTES. The documents do not depend on how the source was cut into chunks.
 */
import type { RawRow, Rejection } from '../cdr.ts';
import {
  type DocumentReader,
  type DocumentSink,
  KEPT_BYTES,
  MAX_DOCUMENT_BYTES,
  MAX_ENCODED_BYTES,
} from './json_documents.ts';

const LF = 0x0a;
const CR = 0x0d;
const LESS = 0x3c;
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);
const DECLARATION = Buffer.from('<?xml');
const ROOT = Buffer.from('<cdr');
const END = Buffer.from('</cdr>');
/** `<` URL-encoded; `<?xm` and `<cdr` in base64; any as a form's field. */
const ENCODED_STARTS = ['%3C', '%3c', 'PD94', 'PGNk', 'cdr='];
const START_LENGTH = 4;

const NOT_CLOSED: Rejection = {
  code: 'unreadable_row',
  reason: 'the document is not closed: it was cut off before </cdr>',
};
const NO_DOCUMENT: Rejection = {
  code: 'unreadable_row',
  reason: 'the text is neither an XML document nor an encoded one; a document begins with <?xml or <cdr',
};
const TOO_LARGE: Rejection = {
  code: 'too_large',
  reason: `the document has more than ${MAX_DOCUMENT_BYTES} bytes: no call's document is that large; the first ${KEPT_BYTES} bytes are kept`,
};

/** Bytes over the limit, which are skipped. */
interface Past {
  readonly row: RawRow;
  /** To the line's end, or to the document's. */
  readonly until: 'line' | 'document';
}

export function createXmlDocumentReader(sink: DocumentSink): DocumentReader {
  let rest: Buffer = Buffer.alloc(0);
  /** Where `rest` begins in the source. */
  let base = 0;
  let line = 1;
  let ended = false;
  /** Whether the rows that are given now are final. */
  let isFinal = true;
  let past: Past | null = null;

  /** Reads the bytes from `at` of `rest` on. Returns where to go on, or `at` itself if it needs more bytes. */
  function step(at: number): number {
    if (past !== null) return passOver(past, at);
    const byte = rest[at]!;
    if (byte <= 0x20) {
      if (byte === LF) line++;
      return at + 1;
    }
    if (rest.length - at < START_LENGTH && !ended) return at;
    if (rest.subarray(at, at + BOM.length).equals(BOM)) return at + BOM.length;
    if (byte === LESS) return readDocument(at);
    const start = rest.toString('latin1', at, at + START_LENGTH);
    if (start === 'cdr=' && rest.length - at === START_LENGTH && !ended) return at;
    // As the module posts it with encode="false".
    if (start === 'cdr=' && rest[at + START_LENGTH] === LESS) return at + START_LENGTH;
    return readLine(
      at,
      ENCODED_STARTS.some((encoded) => start.startsWith(encoded)),
    );
  }

  function readDocument(at: number): number {
    const close = rest.indexOf(END, at);
    const next = nextBegin(at, close === -1 ? rest.length : close);
    if (next !== null) return reject(at, next, NOT_CLOSED);
    if (close === -1) {
      if (rest.length - at > MAX_DOCUMENT_BYTES) return beginPast(at, 'document');
      return ended ? reject(at, rest.length, NOT_CLOSED) : at;
    }
    const end = close + END.length;
    if (end - at > MAX_DOCUMENT_BYTES) {
      sink.fault({ ...rowOf(at, at + KEPT_BYTES), cut: true }, TOO_LARGE);
    } else if (hasRoot(at, close)) sink.document(rowOf(at, end));
    else sink.fault(rowOf(at, end), NO_DOCUMENT);
    return pass(at, end);
  }

  /** Where another document begins before `to`. Null: nowhere. A begin that the last byte so far may have cut does not count. */
  function nextBegin(at: number, to: number): number | null {
    const root = rest.indexOf(ROOT, at);
    const declared = rest.indexOf(DECLARATION, at + 1);
    if (declared !== -1 && declared < to) return declared;
    if (root === -1 || root >= to) return null;
    for (let again = rest.indexOf(ROOT, root + 1); again !== -1 && again < to; ) {
      if (isNameEnd(rest[again + ROOT.length])) return again;
      again = rest.indexOf(ROOT, again + 1);
    }
    return null;
  }

  function hasRoot(at: number, to: number): boolean {
    const root = rest.indexOf(ROOT, at);
    return root !== -1 && root < to;
  }

  function readLine(at: number, isEncoded: boolean): number {
    const found = rest.indexOf(LF, at);
    const stop = found === -1 ? rest.length : found;
    if (stop - at > MAX_ENCODED_BYTES) return beginPast(at, 'line');
    if (found === -1 && !ended) return at;
    const end = stop > at && rest[stop - 1] === CR ? stop - 1 : stop;
    if (isEncoded) sink.encoded(rowOf(at, end));
    else sink.fault(rowOf(at, end), NO_DOCUMENT);
    return stop;
  }

  function beginPast(at: number, until: Past['until']): number {
    const row = rowOf(at, at + KEPT_BYTES);
    past = { row: { ...row, bytes: Buffer.from(row.bytes) }, until };
    return pass(at, at + KEPT_BYTES);
  }

  function passOver({ row, until }: Past, at: number): number {
    const mark = until === 'line' ? Buffer.from('\n') : END;
    const found = rest.indexOf(mark, at);
    if (found === -1 && !ended) {
      // The mark may stand across the next cut.
      const to = Math.max(at, rest.length - mark.length);
      return pass(at, to);
    }
    past = null;
    const to = found === -1 ? rest.length : until === 'line' ? found : found + mark.length;
    sink.fault({ ...row, ended: isFinal, cut: true }, TOO_LARGE);
    return pass(at, to);
  }

  /** @param to without blanks at its end */
  function reject(at: number, to: number, rejection: Rejection): number {
    let stop = to;
    while (stop > at && rest[stop - 1]! <= 0x20) stop--;
    sink.fault(rowOf(at, stop), rejection);
    return pass(at, to);
  }

  function rowOf(at: number, to: number): RawRow {
    return { line, bytes: rest.subarray(at, to), offset: base + at, ended: isFinal };
  }

  function pass(at: number, to: number): number {
    for (let lf = rest.indexOf(LF, at); lf !== -1 && lf < to; lf = rest.indexOf(LF, lf + 1)) line++;
    return to;
  }

  function read(): void {
    let at = 0;
    while (at < rest.length) {
      const wasPast = past;
      const next = step(at);
      // Nothing was read and nothing was decided: more bytes are needed.
      if (next === at && past === wasPast) break;
      at = next;
    }
    rest = rest.subarray(at);
    base += at;
    if (ended && past !== null) passOver(past, 0);
  }

  return {
    get offset() {
      return past?.row.offset ?? base;
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

/** Whether a byte ends an element's name: `<cdr ` and `<cdr>`, not `<cdr_id>`. */
function isNameEnd(byte: number | undefined): boolean {
  return byte !== undefined && (byte <= 0x20 || byte === 0x3e || byte === 0x2f);
}
