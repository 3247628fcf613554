/** The input and the output of every format's reader. */
import type { Parsed, RawRow } from '../cdr.ts';
import type { DateOrder } from '../time/stamp_text.ts';
import type { DecimalSign } from './decimal_marks.ts';
import type { Mapping } from './mapping.ts';

export interface SourceOptions {
  /** IANA name of the zone for stamps without a zone. */
  readonly timeZone: string;
  /** For all dates that do not begin with a year of four digits, as spreadsheets write them. Without it they are refused. */
  readonly dateOrder?: DateOrder;
  /** For amounts and durations in a mapped file. Without it a value with two readings is refused. */
  readonly decimalSign?: DecimalSign;
  /** Account code for rows that name none. The intake uses it, which knows the accounts. */
  readonly account?: string;
  /** Costs below 0 are money: the file holds credit notes. The intake uses it. */
  readonly credits?: boolean;
  /** The source's field that names the account, instead of the format's own. */
  readonly accountField?: string;
  /** The header, if known beforehand: for a single row of a file with a header. */
  readonly columns?: readonly string[];
  /** For the format `mapped`. */
  readonly mapping?: Mapping;
  /** Dialplan contexts of incoming calls. The default is INBOUND_CONTEXTS. */
  readonly inboundContexts?: RegExp;
}

/** A row and its record. Headers and blank lines are not among the rows. */
export interface ParsedRow {
  readonly row: RawRow;
  readonly parsed: Exclude<Parsed, { kind: 'skipped' }>;
  /** The row's end may have cut the account's code, so no account may be created with that code. */
  readonly accountMayGoOn?: boolean;
}

/** Reads one source, in order. The rows do not depend on how the source is cut into chunks. */
export interface SourceReader {
  /**
   * The header in force. The quarantine keeps it with a row, so that the row can be read again alone. Null for formats
   * without one, and before the header was read.
   */
  readonly columns: readonly string[] | null;
  /**
   * Where the first bytes begin that have given no row yet. Rows, headers and blank lines before that place are final,
   * whatever follows in the source.
   */
  readonly offset: number;
  /** @throws SourceError when the header lacks a column of the options; no row has been given by then */
  push(chunk: Buffer): ParsedRow[];
  /**
   * The rest of an ended source. Such rows are not `ended`.
   * @param whole the source is known to be whole (standard input): its end has ended the last row too
   */
  end(whole?: boolean): ParsedRow[];
}
