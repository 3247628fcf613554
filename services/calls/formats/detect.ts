/**
 * Detects a file's format by its first rows. File names give no information: two of Asterisk's modules write a Master.csv,
 * in different orders that may have the same number of columns, and so does FreeSWITCH.
 */

import { MAPPED_FIELDS } from '../call_fields.ts';
import { type AsteriskFormat, asteriskRows, isAsteriskRow } from './asterisk.ts';
import { isAsteriskHeader } from './asterisk_header.ts';
import { avayaSmdrRows, SMDR } from './avaya_smdr.ts';
import { createRecordReader, type RecordRules } from './csv_records.ts';
import { isCucmHeader } from './cucm.ts';
import { listed } from './field_values.ts';
import { type FixedOrder, isInOrder, namesColumns, otherOrder } from './fixed_order.ts';
import { FORMATS, type FormatName } from './formats.ts';
import {
  type FreeswitchCsvFormat,
  freeswitchCsvRows,
  isFreeswitchHeader,
  isFreeswitchRow,
} from './freeswitch_csv.ts';
import { percentDecode } from './freeswitch_post.ts';
import { binaryKind, textKind } from './not_csv.ts';
import { separatorOf } from './separators.ts';
import { THREE_CX, threeCxRows } from './three_cx.ts';

export type Detection =
  | {
      readonly format: FormatName;
      /** `likely` where fewer than half of the checked rows are valid. */
      readonly sure: 'certain' | 'likely';
      /** A sentence for people: the evidence for the format. */
      readonly why: string;
    }
  | {
      readonly format: null;
      /** A sentence for people: what was found, and what to do. */
      readonly why: string;
    };

/** How much of a file is looked at. */
const LOOKED_AT_BYTES = 64 * 1024;

const CTRL_Z = 0x1a;

/** Detection parses no times. */
const ANY_OPTIONS = { timeZone: 'UTC' };

/** @param head the first bytes, unpacked: all of a small file, some kilobytes of a large one */
export function detectFormat(head: Buffer): Detection {
  const looked = beginOf(head);
  const text = looked
    .toString('latin1')
    .replace(/^\u00ef\u00bb\u00bf/, '')
    .trimStart();
  if (text === '') return unknown('the file is empty');
  const binary = binaryKind(looked);
  if (binary !== null) return unknown(binary);
  const lines = wholeLines(looked);
  const document = unwrapped(text);
  return (
    detectJson(document) ??
    detectXml(document) ??
    detectByHeader(lines) ??
    detectByRows(lines) ??
    undetected(lines)
  );
}

/**
 * The real kind of a file that contradicts the given format. Null: nothing contradicts the format.
 * @param head as for detectFormat
 */
export function instead(head: Buffer, format: FormatName): string | null {
  const looked = beginOf(head);
  const isDocument = /json|xml/.test(format);
  return binaryKind(looked) ?? (isDocument ? null : textKind(looked.toString().replace(/^\ufeff/, '')));
}

/** Without Ctrl-Z, with which DOS programs end a text and fill its last block. */
function beginOf(head: Buffer): Buffer {
  let end = Math.min(head.length, LOOKED_AT_BYTES);
  while (end > 0 && head[end - 1] === CTRL_Z) end--;
  return head.subarray(0, end);
}

/** Without a last line that may be cut by the end of `head`. */
function wholeLines(head: Buffer): Buffer {
  const lastEnd = Math.max(head.lastIndexOf('\n'), head.lastIndexOf('\r'));
  return lastEnd === -1 ? head : head.subarray(0, lastEnd + 1);
}

const MOD_JSON_CDR_KEYS = ['core-uuid', 'switchname', 'channel_data', 'callStats', 'variables', 'callflow'];

/** A document as FreeSWITCH posts it, or as it writes it after a failed post, without its wrapping. */
function unwrapped(text: string): string {
  const field = text.startsWith('cdr=') ? text.slice('cdr='.length) : text;
  if (/^(?:eyJ|PD94bW|PGNkc)/.test(field))
    return Buffer.from(/^[A-Za-z0-9+/]+/.exec(field)![0], 'base64').toString('latin1');
  return /^%(?:3C|7B|5B)/i.test(field) ? percentDecode(field) : field;
}

/** mod_json_cdr's documents. */
function detectJson(text: string): Detection | null {
  if (!/^(?:\{\s*["}]|\[\s*[[{"\]])/.test(text)) return null;
  const words = MOD_JSON_CDR_KEYS.filter((key) => text.includes(key));
  if (words.length > 1) {
    return { format: 'freeswitch-json', sure: 'certain', why: `JSON with ${words.join(', ')}` };
  }
  const format: FormatName = 'freeswitch-json';
  return unknown(
    `JSON, but not in the form of FreeSWITCH's mod_json_cdr; if FreeSWITCH wrote it, say --format ${format}; post other records with the API's field names, or export the calls as CSV`,
  );
}

const MOD_XML_CDR_MARKS = ['core-uuid=', '<channel_data', '<variables', '<callflow'];

/** mod_xml_cdr's documents. Other programs write `<cdr>` too, innovaphone for one. */
function detectXml(text: string): Detection | null {
  const marks = /^<(?:\?xml|cdr[\s>])/.test(text)
    ? MOD_XML_CDR_MARKS.filter((mark) => text.includes(mark))
    : [];
  if (!text.includes('<cdr') || marks.length < 2) return null;
  return { format: 'freeswitch-xml', sure: 'certain', why: `XML of <cdr> with ${marks.join(', ')}` };
}

function detectByHeader(head: Buffer): Detection | null {
  const rows = readRows(head, { separator: separatorOf(firstLine(head)), rescue: [], fits: () => true });
  const first = (/^sep=/i.test(rows[0]?.[0] ?? '') ? rows[1] : rows[0]) ?? [];
  if (isAsteriskHeader(first)) {
    return {
      format: 'asterisk-header',
      sure: 'certain',
      why: `a header of ${first.length} columns that names Asterisk's fields`,
    };
  }
  if (isCucmHeader(first)) {
    return {
      format: 'cisco-cucm',
      sure: 'certain',
      why: `a header of ${first.length} columns from cdrRecordType on`,
    };
  }
  if (first[0]?.toLowerCase() === 'cdrrecordtype') {
    return unknown("the file holds Cisco's CMRs, which report call quality; import its CDRs (cdr_… files)");
  }
  return null;
}

interface Candidate {
  readonly format: FormatName;
  /** The format's own reader, so that detection reads a quote as the import will. */
  readonly rules: RecordRules;
  isRow(fields: string[]): boolean;
  isHeader(fields: string[]): boolean;
  /** The columns that identify the format. */
  readonly told: string;
}

function candidates(): Candidate[] {
  const asterisk = (format: AsteriskFormat, told: string): Candidate => ({
    format,
    rules: asteriskRows(format, ANY_OPTIONS),
    isRow: (fields) => isAsteriskRow(format, fields),
    isHeader: isAsteriskHeader,
    told,
  });
  const freeswitch = (format: FreeswitchCsvFormat, told: string): Candidate => ({
    format,
    rules: freeswitchCsvRows(format, ANY_OPTIONS),
    isRow: (fields) => isFreeswitchRow(format, fields),
    isHeader: (fields) => isFreeswitchHeader(format, fields),
    told,
  });
  const ordered = (
    format: FormatName,
    order: FixedOrder,
    rows: typeof avayaSmdrRows,
    told: string,
  ): Candidate => ({
    format,
    rules: rows(ANY_OPTIONS),
    isRow: (fields) => isInOrder(order, fields),
    isHeader: (fields) => namesColumns(order, fields),
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
    ordered('avaya-smdr', SMDR, avayaSmdrRows, 'start in column 1, durations in 2 and 3, I or O in 5'),
    ordered('3cx-cdr', THREE_CX, threeCxRows, 'duration in column 3, stamps in 4 to 6, the chain in 20'),
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

/** Without a byte-order mark; not one of blanks. */
const firstLine = (head: Buffer): string =>
  /[^\s\u00ef\u00bb\u00bf].*/.exec(head.toString('latin1'))?.[0] ?? '';

function undetected(head: Buffer): Detection {
  const kind = textKind(head.toString());
  if (kind !== null) return unknown(kind);
  const names = Object.keys(FORMATS).join(', ');
  if (head.length >= LOOKED_AT_BYTES && !/[\r\n]/.test(head.toString('latin1').trimStart())) {
    return unknown(
      `the first line has more than ${LOOKED_AT_BYTES / 1024} KiB, so its format can't be detected; name the format (--format ${names}), and the rows after this line are imported`,
    );
  }
  const first =
    readRows(head, { separator: separatorOf(firstLine(head)), rescue: [], fits: () => true })[0] ?? [];
  const begin = firstLine(head);
  const maker = [SMDR, THREE_CX].find((order) => namesColumns(order, first) || order.looks.test(begin));
  if (maker) return unknown(otherOrder(maker));
  if (first.length > 1 && first.every((field) => /^[^\d]*[a-z]/i.test(field))) {
    return unknown(
      `a CSV with a header of its own (${listed(first)}); say which column is which field: --map column=field, with ${MAPPED_FIELDS.join(', ')}`,
    );
  }
  if (first.length === 0)
    return unknown('the first line opens a quote that is not closed, or has one in the middle of a field');
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
  reader.end(false);
  return rows;
}

function unknown(why: string): Detection {
  return { format: null, why };
}

const LINE_END = '\n';
const NO_LINE_END = 'its only line has no end, so it may be cut: it was not imported';

/**
 * The format of a source that begins so, and why, as a sentence for people. @param given what the user says it is
 * @throws Error when it is none, or not the given one
 */
export function chooseFormat(
  head: Buffer,
  given: FormatName | undefined,
): { readonly format: FormatName; readonly why: string } {
  if (given) {
    const what = instead(head, given);
    if (what !== null) throw new Error(what);
    return { format: given, why: 'as told' };
  }
  const { format, why } = detectFormat(head);
  if (format === null) throw new Error(head.includes(LINE_END) ? why : `${why}; ${NO_LINE_END}`);
  return { format, why };
}
