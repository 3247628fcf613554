/** A source of documents, one call each, as a SourceReader. */
import type { Parsed, RawRow, Rejection } from '../cdr.ts';
import type { DocumentReader, DocumentSink } from './json_documents.ts';
import type { ParsedRow, SourceReader } from './source_reader.ts';

/** Makes a record of a document's bytes. @throws Error whose message is the reason for the rejection */
export interface DocumentFormat {
  document(bytes: Buffer): Parsed;
  /** As a switch writes a document after a failed post. */
  encoded(bytes: Buffer): Parsed;
}

export function createDocumentSource(
  open: (sink: DocumentSink) => DocumentReader,
  format: DocumentFormat,
): SourceReader {
  let taken: ParsedRow[] = [];
  const reject = (row: RawRow, rejection: Rejection): void => {
    // A rejected document is kept for long, and must not hold the chunk that it came from.
    const kept = { ...row, bytes: Buffer.from(row.bytes) };
    taken.push({ row: kept, parsed: { kind: 'rejected', rejection } });
  };
  const take = (row: RawRow, read: (bytes: Buffer) => Parsed): void => {
    let parsed: Parsed;
    try {
      parsed = read(row.bytes);
    } catch (error) {
      reject(row, { code: 'unreadable_row', reason: (error as Error).message });
      return;
    }
    if (parsed.kind === 'rejected') reject(row, parsed.rejection);
    // A document that makes a call is whole, also in a line without its end: any text behind it would make it invalid.
    else if (parsed.kind === 'record') taken.push({ row: { ...row, ended: true }, parsed });
  };
  const documents = open({
    document: (row) => take(row, format.document),
    encoded: (row) => take(row, format.encoded),
    fault: reject,
  });
  const give = (): ParsedRow[] => {
    const given = taken;
    taken = [];
    return given;
  };
  return {
    columns: null,
    get offset() {
      return documents.offset;
    },
    push(chunk) {
      documents.push(chunk);
      return give();
    },
    end(whole = false) {
      documents.end(whole);
      return give();
    },
  };
}
