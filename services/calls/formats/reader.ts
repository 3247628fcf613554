/**
 * From the bytes of a CDR file to records: the input and the output of every format's reader.
 *
 *   bytes ──csv_records──▶ fields of a row ──asterisk, freeswitch_csv, cucm, mapped──▶ Parsed
 *   bytes ──json_documents, xml_documents──▶ a document ──freeswitch_json, freeswitch_xml──▶ Parsed
 */
import { asteriskRows } from './asterisk.ts';
import { asteriskHeaderRows } from './asterisk_header.ts';
import { avayaSmdrRows } from './avaya_smdr.ts';
import { createCsvReader } from './csv_reader.ts';
import { cucmRows } from './cucm.ts';
import type { FormatName } from './formats.ts';
import { freeswitchCsvRows } from './freeswitch_csv.ts';
import { createJsonReader } from './freeswitch_json.ts';
import { createXmlReader } from './freeswitch_xml.ts';
import { mappedRows } from './mapped.ts';
import type { SourceOptions, SourceReader } from './source_reader.ts';
import { threeCxRows } from './three_cx.ts';

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
    case 'asterisk-header':
      return createCsvReader(asteriskHeaderRows(options));
    case 'freeswitch-example':
    case 'freeswitch-asterisk':
    case 'freeswitch-default':
      return createCsvReader(freeswitchCsvRows(format, options));
    case 'freeswitch-json':
      return createJsonReader(options);
    case 'freeswitch-xml':
      return createXmlReader(options);
    case 'cisco-cucm':
      return createCsvReader(cucmRows(options));
    case 'avaya-smdr':
      return createCsvReader(avayaSmdrRows(options));
    case '3cx-cdr':
      return createCsvReader(threeCxRows(options));
    case 'mapped':
      return createCsvReader(mappedRows(options));
  }
}
