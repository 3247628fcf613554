/**
 * Tells a file's format by its first rows. Names tell nothing: two of Asterisk's modules write a Master.csv, in
 * different orders that may have the same number of columns, and so does FreeSWITCH.
 */
import { type AsteriskFormat, asteriskRows, isAsteriskHeader, isAsteriskRow } from './asterisk.ts';
import { createRecordReader, type RecordRules } from './csv_records.ts';
import { isCucmHeader } from './cucm.ts';
import { FORMATS, type FormatName } from './formats.ts';
import {
  type FreeswitchCsvFormat,
  freeswitchCsvRows,
  isFreeswitchHeader,
  isFreeswitchRow,
} from './freeswitch_csv.ts';
import { MAPPED_FIELDS, separatorOf } from './mapped.ts';

export type Detection =
  | {
      readonly format: FormatName;
      /** `likely` where fewer than half of the rows looked at are in order. */
      readonly sure: 'certain' | 'likely';
      /** A sentence for people: what the format was told by. */
      readonly why: string;
    }
  | {
      readonly format: null;
      /** A sentence for people: what was found, and what to do. */
      readonly why: string;
    };

/** How much of a file is looked at. */
const LOOKED_AT_BYTES = 64 * 1024;

/** No time is read here. */
const ANY_OPTIONS = { timeZone: 'UTC' };

const UTF16_MARKS = [Buffer.from([0xff, 0xfe]), Buffer.from([0xfe, 0xff])];
const ZIP_MARK = Buffer.from('PK\u0003\u0004', 'latin1');

/** @param head the first bytes, unpacked: all of a small file, some kilobytes of a large one */
export function detectFormat(head: Buffer): Detection {
  const looked = head.subarray(0, LOOKED_AT_BYTES);
  const text = looked
    .toString('latin1')
    .replace(/^\u00ef\u00bb\u00bf/, '')
    .trimStart();
  if (text === '') return unknown('the file is empty');
  if (UTF16_MARKS.some((mark) => looked.subarray(0, 2).equals(mark))) {
    return unknown('the file is in UTF-16; save it as UTF-8 and import that');
  }
  if (looked.subarray(0, 4).equals(ZIP_MARK)) {
    return unknown('the file is a zip or a spreadsheet; unpack it, or save it as CSV, and import that');
  }
  const lines = wholeLines(looked);
  return detectJson(text) ?? detectByHeader(lines) ?? detectByRows(lines) ?? undetected(lines);
}

/** Without a last line that the end of `head` may have cut. */
function wholeLines(head: Buffer): Buffer {
  const lastEnd = head.lastIndexOf('\n');
  return lastEnd === -1 ? head : head.subarray(0, lastEnd + 1);
}

const MOD_JSON_CDR_KEYS = ['core-uuid', 'switchname', 'channel_data', 'callStats', 'variables', 'callflow'];

/** mod_json_cdr's documents, also URL-encoded and as the form field `cdr` in which they are posted. */
function detectJson(text: string): Detection | null {
  if (!/^(cdr=)?\s*(\{|\[|%7B|%5B)/i.test(text)) return null;
  const words = MOD_JSON_CDR_KEYS.filter((key) => text.includes(key));
  if (words.length > 1) {
    return { format: 'freeswitch-json', sure: 'certain', why: `JSON with ${words.join(', ')}` };
  }
  const format: FormatName = 'freeswitch-json';
  return unknown(
    `JSON, but not as FreeSWITCH's mod_json_cdr writes it; if it is that, say --format ${format}`,
  );
}

function detectByHeader(head: Buffer): Detection | null {
  const first = readRows(head, { separator: ',', rescue: [], fits: () => true })[0] ?? [];
  if (isCucmHeader(first)) {
    return {
      format: 'cisco-cucm',
      sure: 'certain',
      why: `a header of ${first.length} columns from cdrRecordType on`,
    };
  }
  if (first[0]?.toLowerCase() === 'cdrrecordtype') {
    return unknown(
      "the file holds Cisco's CMRs, which tell of the quality of calls; import its CDRs (cdr_… files)",
    );
  }
  return null;
}

interface Candidate {
  readonly format: FormatName;
  /** The format's own, so that a quote is read here as it will be there. */
  readonly rules: RecordRules;
  isRow(fields: string[]): boolean;
  isHeader(fields: string[]): boolean;
  /** Where what the rows are told by stands. */
  readonly told: string;
}

function candidates(): Candidate[] {
  const asterisk = (format: AsteriskFormat, told: string): Candidate => ({
    format,
    rules: asteriskRows(format, ANY_OPTIONS),
    isRow: (fields) => isAsteriskRow(format, fields),
    isHeader: (fields) => isAsteriskHeader(format, fields),
    told,
  });
  const freeswitch = (format: FreeswitchCsvFormat, told: string): Candidate => ({
    format,
    rules: freeswitchCsvRows(format, ANY_OPTIONS),
    isRow: (fields) => isFreeswitchRow(format, fields),
    isHeader: (fields) => isFreeswitchHeader(format, fields),
    told,
  });
  return [
    asterisk('asterisk-csv', 'stamps in columns 10 to 12, disposition in 15, amaflags in 16'),
    asterisk('asterisk-custom', 'stamps in columns 9 to 11, disposition in 14, amaflags in 15'),
    freeswitch('freeswitch-example', 'stamps in columns 5 to 7, hangup cause in 10, UUID in 11, codecs last'),
    freeswitch(
      'freeswitch-default',
      'stamps in columns 5 to 7, hangup cause in 10, UUID in 11, accountcode last',
    ),
    freeswitch('freeswitch-asterisk', 'stamps in columns 10 to 12, hangup cause in 15, UUID in 17'),
  ];
}

function detectByRows(head: Buffer): Detection | null {
  let best: { candidate: Candidate; rows: number; inOrder: string[][] } | null = null;
  for (const candidate of candidates()) {
    const rows = readRows(head, candidate.rules);
    const inOrder = rows.filter(candidate.isRow);
    if (inOrder.length <= (best?.inOrder.length ?? 0)) continue;
    best = { candidate, rows: rows.filter((fields) => !candidate.isHeader(fields)).length, inOrder };
  }
  if (best === null) return null;
  const { candidate, rows, inOrder } = best;
  const share = inOrder.length === rows ? '' : `${inOrder.length} of the first ${rows} rows have `;
  const why = `${share}${inOrder[0]!.length} columns, ${candidate.told}`;
  return { format: candidate.format, sure: inOrder.length * 2 >= rows ? 'certain' : 'likely', why };
}

function undetected(head: Buffer): Detection {
  const names = Object.keys(FORMATS).join(', ');
  const line = head.toString('latin1').split(/\r?\n/, 1)[0]!;
  const first = readRows(head, { separator: separatorOf(line), rescue: [], fits: () => true })[0] ?? [];
  if (first.length > 1 && first.every((field) => /^[^\d]*[a-z]/i.test(field))) {
    return unknown(
      `a CSV with a header of its own (${first.join(', ')}); say which column is which field: --map column=field, with ${MAPPED_FIELDS.join(', ')}`,
    );
  }
  return unknown(
    `the first row has ${first.length} columns in no known order; name the format (--format ${names}), or put a header above the rows and say which column is which field (--map column=field)`,
  );
}

function readRows(head: Buffer, rules: RecordRules): string[][] {
  const rows: string[][] = [];
  const reader = createRecordReader(rules, {
    record: (_row, fields) => rows.push(fields),
    fault: () => rows.push([]),
  });
  reader.push(head);
  reader.end();
  return rows;
}

function unknown(why: string): Detection {
  return { format: null, why };
}
