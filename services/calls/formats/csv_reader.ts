/** A CSV format's rows as a SourceReader. */
import type { Parsed } from '../cdr.ts';
import { createRecordReader, ownBytes, type RecordRules } from './csv_records.ts';
import type { SourceReader, Taken } from './reader.ts';

/** What makes one CSV format out of another. */
export interface RowFormat extends RecordRules {
  readonly columns: readonly string[] | null;
  /**
   * @param ended false for a last line without a line end
   * @throws SourceError for a header that lacks what the options name
   */
  parse(fields: string[], ended: boolean): Parsed;
}

export function createCsvReader(format: RowFormat): SourceReader {
  let taken: Taken[] = [];
  const records = createRecordReader(format, {
    record(row, fields, ended) {
      const parsed = format.parse(fields, ended);
      if (parsed.kind === 'record') taken.push({ row, parsed });
      // A row that is set aside is kept for long: not at the price of the chunk that it stood in.
      else if (parsed.kind === 'rejected')
        taken.push({ row: { ...row, bytes: ownBytes(row.bytes) }, parsed });
    },
    fault: (row, rejection) => taken.push({ row, parsed: { kind: 'rejected', rejection } }),
  });
  const give = (): Taken[] => {
    const given = taken;
    taken = [];
    return given;
  };
  return {
    get columns() {
      return format.columns;
    },
    push(chunk) {
      records.push(chunk);
      return give();
    },
    end() {
      records.end();
      return give();
    },
  };
}
