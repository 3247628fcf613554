/**
 * From the bytes of a CDR file to records: what every format's reader takes and gives.
 *
 *   bytes ──csv_records──▶ fields of a row ──asterisk, freeswitch_csv, cucm, mapped──▶ Parsed
 *   bytes ──────────────── freeswitch_json ─────────────────────────────────────────▶ Parsed
 */
import type { Parsed, RawRow } from '../cdr.ts';
import type { DateOrder } from '../time/stamp_text.ts';
import { asteriskRows } from './asterisk.ts';
import { createCsvReader } from './csv_reader.ts';
import { cucmRows } from './cucm.ts';
import type { FormatName } from './formats.ts';
import { freeswitchCsvRows } from './freeswitch_csv.ts';
import { createJsonReader } from './freeswitch_json.ts';
import { type Mapping, mappedRows } from './mapped.ts';

export interface SourceOptions {
  /** IANA name; what stamps without a zone mean. */
  readonly timeZone: string;
  /** How to read dates whose year comes last, as spreadsheets write them; `ymd` (the default) reads only clear ones. */
  readonly dateOrder?: DateOrder;
  /** Account code of rows that name none. */
  readonly account?: string;
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
}

/** Reads one source, in order. The rows do not depend on where the source is cut into chunks. */
export interface SourceReader {
  /**
   * The header in force, to be kept with a row that is set aside so that it can be read again alone; null for formats
   * without one, and before it was read.
   */
  readonly columns: readonly string[] | null;
  /** @throws SourceError when the header lacks what the options name; no row has been given by then */
  push(chunk: Buffer): Taken[];
  /** What is left when the source has ended. */
  end(): Taken[];
}

/**
 * A reader for one source.
 * @throws SourceError when the options do not fit the format
 * @throws RangeError when the time zone is not an IANA name
 */
export function openSource(format: FormatName, options: SourceOptions): SourceReader {
  switch (format) {
    case 'asterisk-csv':
    case 'asterisk-custom':
      return createCsvReader(asteriskRows(format, options));
    case 'freeswitch-example':
    case 'freeswitch-asterisk':
    case 'freeswitch-default':
      return createCsvReader(freeswitchCsvRows(format, options));
    case 'freeswitch-json':
      return createJsonReader(options);
    case 'cisco-cucm':
      return createCsvReader(cucmRows(options));
    case 'mapped':
      return createCsvReader(mappedRows(options));
  }
}
