/** What every format's reader takes and gives. */
import type { Parsed, RawRow } from '../cdr.ts';
import type { DateOrder } from '../time/stamp_text.ts';
import type { DecimalSign } from './decimal_marks.ts';
import type { Mapping } from './mapping.ts';

export interface SourceOptions {
  /** IANA name; what stamps without a zone mean. */
  readonly timeZone: string;
  /** Of all dates whose year is not first with four digits, as spreadsheets write them; without it they are refused. */
  readonly dateOrder?: DateOrder;
  /** Of amounts and durations in a mapped file; without it what could be read in two ways is refused. */
  readonly decimalSign?: DecimalSign;
  /** Account code of rows that name none; heeded by the intake, which knows the accounts. */
  readonly account?: string;
  /** Costs below nought are money: the file is of credit notes. Heeded by the intake. */
  readonly credits?: boolean;
  /** The source's field that names the account, instead of the format's own. */
  readonly accountField?: string;
  /** The header, known beforehand: for a row of a file with a header that is read alone. */
  readonly columns?: readonly string[];
  /** For the format `mapped`. */
  readonly mapping?: Mapping;
  /** Dialplan contexts of calls that come in; the default is INBOUND_CONTEXTS. */
  readonly inboundContexts?: RegExp;
}

/** A row and what was made of it. Headers and blank lines are not among them. */
export interface Taken {
  readonly row: RawRow;
  readonly parsed: Exclude<Parsed, { kind: 'skipped' }>;
  /** The row's end may have cut the account's code, so that nobody may be made by that name. */
  readonly accountMayGoOn?: boolean;
}

/** Reads one source, in order. The rows do not depend on where the source is cut into chunks. */
export interface SourceReader {
  /**
   * The header in force, to be kept with a row that is set aside so that it can be read again alone; null for formats
   * without one, and before it was read.
   */
  readonly columns: readonly string[] | null;
  /**
   * Where the bytes begin of which no row was given yet: rows, headers and blank lines before it can't change any more,
   * whatever follows in the source.
   */
  readonly offset: number;
  /** @throws SourceError when the header lacks what the options name; no row has been given by then */
  push(chunk: Buffer): Taken[];
  /**
   * What is left when the source has ended; such rows are not `ended`.
   * @param whole the source is known to be whole (standard input): its end has ended the last row too
   */
  end(whole?: boolean): Taken[];
}
