/** A CSV format's rows as a SourceReader. */
import type { Parsed, RawRow, Rejection } from '../cdr.ts';
import { createRecordReader, ownBytes, type RecordRules } from './csv_records.ts';
import { SourceError } from './source_error.ts';
import type { ParsedRow, SourceReader } from './source_reader.ts';

/** The differences between one CSV format and another. */
export interface RowFormat extends RecordRules {
  readonly columns: readonly string[] | null;
  /** A header must come before any row. */
  readonly needsHeader?: boolean;
  /**
   * @param ended false for a row that the end of the source may have cut
   * @throws SourceError for a header that lacks a column of the options
   */
  parse(fields: string[], ended: boolean): Parsed;
  /** Gets each line that can't be split. Returns true where the line stands above the header, and is no row to reject. */
  isAbove?(rejection: Rejection): boolean;
  /** Called at the end of the source. @throws SourceError where the header that the options need is missing */
  finish?(): void;
}

const HASH = 35;
const CUT_HEADER =
  'the file ends within its header: the file was cut, or is still being written; no row was imported';
/** The largest difference in field counts within one format: Asterisk's settings add up to five. */
const MORE_FIELDS = 5;

export function createCsvReader(format: RowFormat): SourceReader {
  let taken: ParsedRow[] = [];
  let isHeaderCut = false;
  const records = createRecordReader(format, {
    record(row, written, isWindows) {
      if (format.needsHeader && !row.ended) {
        isHeaderCut = true;
        return;
      }
      const fields = withoutBlankEnd(written, format);
      if (isComment(row) && !format.fits(fields.length)) return;
      const read = format.parse(fields, row.ended);
      const parsed = isWindows ? knownAsLatin1(read) : read;
      if (parsed.kind === 'record') {
        if (row.ended) taken.push({ row, parsed });
        else taken.push({ row, parsed, accountMayGoOn: mayGoOn(written, parsed.record.accountCode) });
      }
      // A rejected row is kept for long, and must not hold the chunk that it came from.
      else if (parsed.kind === 'rejected')
        taken.push({ row: { ...row, bytes: ownBytes(row.bytes) }, parsed });
    },
    fault(row, rejection) {
      if (format.needsHeader && !row.ended) isHeaderCut = true;
      if (format.isAbove?.(rejection) || isComment(row) || isHeaderCut) return;
      taken.push({ row, parsed: { kind: 'rejected', rejection } });
    },
  });
  /** Whether another character in the row's last field, or some more fields, would change the account. */
  const mayGoOn = (fields: readonly string[], code: string): boolean => {
    const longer = [[...fields.slice(0, -1), `${fields.at(-1)}1`]];
    for (let more = 1; more <= MORE_FIELDS; more++) longer.push([...fields, ...Array(more).fill('1')]);
    return longer.some((row) => {
      const parsed = format.parse(withoutBlankEnd(row, format), true);
      return parsed.kind === 'record' && parsed.record.accountCode !== code;
    });
  };
  const give = (): ParsedRow[] => {
    const given = taken;
    taken = [];
    return given;
  };
  return {
    get columns() {
      return format.columns;
    },
    get offset() {
      return records.offset;
    },
    push(chunk) {
      records.push(chunk);
      return give();
    },
    end(whole = false) {
      records.end(whole);
      try {
        format.finish?.();
      } catch (error) {
        throw isHeaderCut ? new SourceError(`${(error as Error).message}; and ${CUT_HEADER}`) : error;
      }
      if (isHeaderCut) throw new SourceError(CUT_HEADER);
      return give();
    },
  };
}

/** `# exported by …`: no telephone number begins with a number sign and a blank. */
const isComment = ({ bytes }: RawRow): boolean => bytes[0] === HASH && bytes[1] === 32;

/** Without the blank cells that a spreadsheet has put behind the row's own. */
function withoutBlankEnd(fields: string[], format: RowFormat): string[] {
  if (format.fits(fields.length) || fields.at(-1) !== '') return fields;
  let length = fields.length;
  while (length > 1 && fields[length - 1] === '' && !format.fits(length)) length--;
  return format.fits(length) ? fields.slice(0, length) : fields;
}

/** Earlier versions read such rows as Latin-1, and their keys depend on that. */
function knownAsLatin1(parsed: Parsed): Parsed {
  if (parsed.kind !== 'record') return parsed;
  const { record } = parsed;
  return { kind: 'record', record: { ...record, identity: asLatin1(record.identity) } };
}

let latin1Of: Map<string, string> | undefined;

function asLatin1(text: string): string {
  if (latin1Of === undefined) {
    const bytes = Uint8Array.from({ length: 32 }, (_, i) => 0x80 + i);
    const signs = [...new TextDecoder('windows-1252').decode(bytes)];
    latin1Of = new Map(signs.map((sign, i) => [sign, String.fromCharCode(0x80 + i)]));
  }
  return text.replace(/\P{ASCII}/gu, (sign) => latin1Of!.get(sign) ?? sign);
}
