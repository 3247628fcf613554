/**
 * Asterisk's CDR fields under a header that names them, in any order, with more columns or fewer. These programs write it:
 *
 *   FreePBX's export (module cdr, functions.inc.php, `cdr_export_csv`): calldate, clid, src, dst, dcontext, channel,
 *     dstchannel, lastapp, lastdata, duration, billsec, disposition, amaflags, accountcode, uniqueid, userfield [, did,
 *     cnum, cnam, outbound_cnum, outbound_cnam, dst_cnam, recordingfile, linkedid, peeraccount, sequence];
 *   PBXware (Bicom Systems, "CDR table structure"): AcctId, tenant, clid, src, dst, …, calldate, duration, billsec, …;
 *   Grandstream's UCM ("CDR Report and CDR API Guide"): AcctId, accountcode, src, dst, dcontext, clid, channel,
 *     dstchannel, lastapp, lastdata, start, answer, end, duration, billsec, disposition, amaflags, uniqueid, userfield,
 *     channel_ext, dstchannel_ext, service [, …];
 *   people who put a header above cdr_csv's or cdr_custom's rows, or export the table `cdr` of a database.
 *
 * `calldate` is the name of the start in cdr_mysql and cdr_adaptive_odbc. Columns that Asterisk does not have become
 * attributes. (PBXware's `billamount` too: it names no currency.)
 *
 * Grandstream's rows hold lastdata unescaped, commas included. If a row has more columns than the header, the reader
 * joins the extra columns into one value. The reader joins them only where one place alone makes all other columns valid.
 */
import { givenValues } from '../absent.ts';
import { createCallClock } from '../time/stamps.ts';
import {
  ACCOUNTCODE,
  ANSWER,
  type AsteriskRowOptions,
  BILLSEC,
  CHANNEL,
  CLID,
  COLUMNS,
  DISPOSITION,
  DST,
  DSTCHANNEL,
  DURATION,
  END,
  FIGURES,
  isAnswerStamp,
  isStamp,
  LASTAPP,
  LASTDATA,
  recordOf,
  SRC,
  START,
  USERFIELD,
} from './asterisk_record.ts';
import { readCallerId } from './caller_id.ts';
import { directionByContext } from './contexts.ts';
import type { RowFormat } from './csv_reader.ts';
import { attributesOf, CUT_HEADER, readSeconds, wrongColumnCount } from './field_values.ts';
import { attributeName } from './mapped_row.ts';
import { separatorOf } from './separators.ts';
import { SourceError } from './source_error.ts';
import type { SourceOptions } from './source_reader.ts';

const OTHER_NAMES = new Map<string, number>([['calldate', START]]);
const PLACES = new Map<string, number>([...COLUMNS.map((name, at): [string, number] => [name, at])]);

const HEADER_NAMES = [...PLACES.keys(), ...OTHER_NAMES.keys()];

/** Words that occur only in a header of Asterisk's fields. Two of them identify such a header. */
const TELLING = [
  'clid',
  'dcontext',
  'dstchannel',
  'lastapp',
  'lastdata',
  'amaflags',
  'billsec',
  'disposition',
];

/** Columns whose text may hold anything. */
const FREE_TEXT = [CLID, LASTDATA, USERFIELD];
/** The largest surplus of columns in a row. The limit bounds the work for hostile files. */
const MAX_SURPLUS = 50;

/** The header, and where each of Asterisk's columns stands below it. */
interface Header {
  readonly columns: readonly string[];
  /** Place in the file by place in COLUMNS. Undefined where the header lacks the column. */
  readonly places: readonly (number | undefined)[];
  readonly accountPlace: number | undefined;
  readonly tellsAnswers: boolean;
  /** Columns that Asterisk does not have. */
  readonly others: readonly (readonly [place: number, name: string])[];
}

/** Whether a line names Asterisk's fields. */
export function isAsteriskHeader(fields: readonly string[]): boolean {
  const names = new Set(fields.map(nameOf));
  return (
    names.has('dst') &&
    (names.has('src') || names.has('clid')) &&
    (names.has('start') || names.has('calldate')) &&
    (names.has('duration') || names.has('end')) &&
    TELLING.filter((name) => names.has(name)).length >= 2
  );
}

/** Rows below a header. @throws SourceError when the header lacks the account field, or the options fit no header */
export function asteriskHeaderRows(options: SourceOptions): RowFormat {
  const rowOptions: AsteriskRowOptions = {
    clock: createCallClock(options.timeZone, options.dateOrder),
    directionOf: directionByContext(options.inboundContexts),
  };
  let separator = ',';
  let header = options.columns ? readHeader(options.columns, options.accountField) : null;

  return {
    get columns() {
      return header?.columns ?? null;
    },
    get needsHeader() {
      return header === null;
    },
    get separator() {
      return separator;
    },
    rescue: ['backslash', 'bare', 'sparse'],
    fits: (count) => header === null || count === header.columns.length,
    begin(line) {
      separator = separatorOf(line, options.columns?.length, HEADER_NAMES);
    },
    parse(fields, ended) {
      // In concatenated exports, each export has a header, perhaps of another version.
      if ((header === null || beginsNoStamp(fields[header.places[START]!])) && isAsteriskHeader(fields)) {
        if (!ended && header !== null) return CUT_HEADER;
        header = readHeader(fields, options.accountField);
        return { kind: 'skipped' };
      }
      if (header === null) {
        if (/^sep=/i.test(fields[0]!)) return { kind: 'skipped' };
        throw new SourceError("the file does not begin with a header of Asterisk's fields (src, dst, …)");
      }
      const row = rowBelow(header, fields, separator);
      if (row === null) {
        return wrongColumnCount(fields.length, `the header names ${header.columns.length}`);
      }
      const account = header.accountPlace === undefined ? '' : row.fields[header.accountPlace]!;
      const others = header.others.map(([place, name]): [string, string] => [name, row.fields[place]!]);
      return recordOf(row.ordered, account, rowOptions, {
        startName: header.columns[header.places[START]!]!,
        hasDuration: header.places[DURATION] !== undefined,
        tellsAnswers: header.tellsAnswers,
        others: attributesOf(others),
      });
    },
  };
}

/** Lets most rows pass without a check of all their fields. */
const beginsNoStamp = (text: string | undefined): boolean => !(text !== undefined && /^\d/.test(text));

const nameOf = (written: string): string => written.replace(/[`"]/g, '').trim().toLowerCase();

function readHeader(written: readonly string[], accountField: string | undefined): Header {
  const columns = written.map((name) => name.trim());
  const places: (number | undefined)[] = new Array(COLUMNS.length).fill(undefined);
  const others: [number, string][] = [];
  for (const [place, name] of columns.entries()) {
    const known = nameOf(name);
    const at = PLACES.get(known) ?? OTHER_NAMES.get(known);
    if (at !== undefined && places[at] === undefined) places[at] = place;
    else others.push([place, attributeName(columns, place)]);
  }
  const accountPlace =
    accountField === undefined
      ? places[ACCOUNTCODE]
      : columns.findIndex((name) => nameOf(name) === nameOf(accountField));
  if (accountPlace === -1) {
    throw new SourceError(
      `the header has no column "${accountField}" to name the account; it has ${columns.join(', ')}`,
    );
  }
  const tellsAnswers = [ANSWER, BILLSEC, DISPOSITION].some((column) => places[column] !== undefined);
  return { columns, places, accountPlace, tellsAnswers, others };
}

interface RowBelow {
  readonly fields: readonly string[];
  /** In the order of COLUMNS. */
  readonly ordered: string[];
}

function rowBelow(header: Header, fields: readonly string[], separator: string): RowBelow | null {
  const surplus = fields.length - header.columns.length;
  if (surplus === 0) return { fields, ordered: inOrder(header, fields) };
  if (surplus < 0 || surplus > MAX_SURPLUS) return null;
  let found: RowBelow | null = null;
  for (const column of FREE_TEXT) {
    const place = header.places[column];
    if (place === undefined) continue;
    const value = fields.slice(place, place + surplus + 1).join(separator);
    const joined = [...fields.slice(0, place), value, ...fields.slice(place + surplus + 1)];
    const ordered = inOrder(header, joined);
    if (!isInPlace(header, ordered)) continue;
    // There are two ways to read the row, and nothing decides between them.
    if (found !== null) return null;
    found = { fields: joined, ordered };
  }
  return found;
}

function inOrder(header: Header, fields: readonly string[]): string[] {
  const row = COLUMNS.map((_, at) => fields[header.places[at] ?? -1] ?? '');
  if (header.places[SRC] === undefined) row[SRC] = readCallerId(row[CLID]!).number;
  return row;
}

/** Whether each value looks valid for its column. */
function isInPlace(header: Header, written: readonly string[]): boolean {
  const row = givenValues(written, FIGURES);
  const isTold = (column: number) => header.places[column] !== undefined;
  return (
    isStamp(row[START]!) &&
    (!isTold(END) || row[END] === '' || isStamp(row[END]!)) &&
    isAnswerStamp(row[ANSWER]!) &&
    (!isTold(DURATION) || readSeconds(row[DURATION]!) >= 0) &&
    (row[BILLSEC] === '' || readSeconds(row[BILLSEC]!) >= 0) &&
    DISPOSITION_LIKE.test(row[DISPOSITION]!) &&
    NUMBER_LIKE.test(row[SRC]!) &&
    NUMBER_LIKE.test(row[DST]!) &&
    CALLER_LIKE.test(row[CLID]!) &&
    CHANNEL_LIKE.test(row[CHANNEL]!) &&
    CHANNEL_LIKE.test(row[DSTCHANNEL]!) &&
    /^\w*$/.test(row[LASTAPP]!)
  );
}

const DISPOSITION_LIKE = /^(?:[A-Z][\w -]{0,40}|\d{0,2})$/i;
const NUMBER_LIKE = /^[\w*#+@.:-]*$/;
const CALLER_LIKE = /^[^<>]*(<[^<>]*>)?$/;
const CHANNEL_LIKE = /^$|^[A-Za-z]\w*\//;
