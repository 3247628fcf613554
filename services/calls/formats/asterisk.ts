/**
 * Asterisk's CSV backends. Two modules write a Master.csv each, in different orders:
 *
 *   cdr_csv (cdr/cdr_csv.c): accountcode, src, dst, dcontext, clid, channel, dstchannel, lastapp, lastdata, start,
 *     answer, end, duration, billsec, disposition, amaflags [, uniqueid] [, userfield] [, peeraccount, linkedid,
 *     sequence]; each bracket is a setting of its own (loguniqueid, loguserfield, newcdrcolumns): 16 to 21 columns.
 *   cdr_custom (cdr_custom.conf.sample): clid, src, dst, dcontext, channel, dstchannel, lastapp, lastdata, start,
 *     answer, end, duration, billsec, disposition, amaflags, accountcode, uniqueid, userfield [, sequence].
 *
 * asterisk_header.ts reads files whose header names these columns, in any order.
 */
import { createCallClock } from '../time/stamps.ts';
import {
  ACCOUNTCODE,
  AMAFLAGS,
  ANSWER,
  BILLSEC,
  CHANNEL,
  CLID,
  COLUMNS,
  DCONTEXT,
  DISPOSITION,
  DST,
  DSTCHANNEL,
  DURATION,
  END,
  isPlausible,
  isShifted,
  LASTAPP,
  LASTDATA,
  recordOf,
  SEQUENCE,
  SRC,
  START,
  UNIQUE_ID,
  UNIQUEID,
  USERFIELD,
} from './asterisk_record.ts';
import { directionByContext } from './contexts.ts';
import type { RowFormat } from './csv_reader.ts';
import { quoted, rejected, wrongColumnCount } from './field_values.ts';
import { SourceError } from './source_error.ts';
import type { SourceOptions } from './source_reader.ts';

export type AsteriskFormat = 'asterisk-csv' | 'asterisk-custom';

const CUSTOM_ORDER = [
  ...[
    CLID,
    SRC,
    DST,
    DCONTEXT,
    CHANNEL,
    DSTCHANNEL,
    LASTAPP,
    LASTDATA,
    START,
    ANSWER,
    END,
    DURATION,
    BILLSEC,
  ],
  ...[DISPOSITION, AMAFLAGS, ACCOUNTCODE, UNIQUEID, USERFIELD, SEQUENCE],
];

/** Rows of cdr_csv or cdr_custom. @throws SourceError when Asterisk has no such account field */
export function asteriskRows(format: AsteriskFormat, options: SourceOptions): RowFormat {
  const rowOptions = {
    clock: createCallClock(options.timeZone, options.dateOrder),
    directionOf: directionByContext(options.inboundContexts),
  };
  const accountPlace = options.accountField === undefined ? ACCOUNTCODE : placeOf(options.accountField);
  /** The column count of the first valid row. A file has one count, unless the settings changed meanwhile. */
  let columnCount = 0;

  return {
    columns: null,
    separator: ',',
    // Old cdr_custom.conf quoted "${CDR(clid)}" by hand, with nothing escaped within.
    rescue: format === 'asterisk-custom' ? ['backslash', 'bare', 'sparse'] : ['backslash', 'sparse'],
    fits(count, values) {
      if (columnCount !== 0) return count === columnCount;
      return isCount(format, count) && (values === undefined || isAsteriskRow(format, values));
    },
    parse(fields, ended) {
      if (columnCount === 0 && isHeader(format, fields)) return { kind: 'skipped' };
      const row = isCount(format, fields.length) ? inOrder(format, fields) : null;
      if (row === null || (fields.length !== columnCount && !isExpected(row, fields.length, ended))) {
        return wrongColumnCount(fields.length, expectedColumns(format, columnCount));
      }
      if (isShifted(row)) {
        const found = `disposition is ${quoted(row[DISPOSITION]!)} and amaflags ${quoted(row[AMAFLAGS]!)}`;
        return rejected(
          'bad_value',
          'disposition',
          `${found}: a column is missing before them, or one too many`,
        );
      }
      return recordOf(row, row[accountPlace] ?? '', rowOptions);
    },
  };

  function isExpected(row: string[], count: number, ended: boolean): boolean {
    if (columnCount === 0) {
      if (isPlausible(row)) columnCount = count;
      return true;
    }
    // A row that was cut off may look like one of fewer columns.
    return ended && isPlausible(row);
  }
}

/** Whether a row has this format, by its values. The two orders are otherwise much alike. */
export function isAsteriskRow(format: AsteriskFormat, fields: readonly string[]): boolean {
  return isCount(format, fields.length) && isPlausible(inOrder(format, fields));
}

/** Whether a line names the format's columns in its order. */
function isHeader(format: AsteriskFormat, fields: readonly string[]): boolean {
  if (!isCount(format, fields.length)) return false;
  const row = inOrder(format, fields);
  let named = 0;
  for (const [at, name] of COLUMNS.entries()) if (row[at]?.trim().toLowerCase() === name) named++;
  return named * 2 > fields.length;
}

function isCount(format: AsteriskFormat, count: number): boolean {
  return format === 'asterisk-csv' ? count >= 16 && count <= 21 : count === 18 || count === 19;
}

function expectedColumns(format: AsteriskFormat, columnCount: number): string {
  if (columnCount > 0) return `the file's first rows have ${columnCount}`;
  return format === 'asterisk-csv' ? 'cdr_csv writes 16 to 21' : 'cdr_custom writes 19';
}

/** The row in the order of COLUMNS. Missing columns are '' or left off at its end. */
function inOrder(format: AsteriskFormat, fields: readonly string[]): string[] {
  if (format === 'asterisk-csv') return withTail(fields);
  const row: string[] = new Array(COLUMNS.length).fill('');
  for (let at = 0; at < fields.length; at++) row[CUSTOM_ORDER[at]!] = fields[at]!;
  return row;
}

/** Which settings of cdr_csv made the columns after amaflags. */
function withTail(fields: readonly string[]): string[] {
  const base = fields.slice(0, UNIQUEID);
  switch (fields.length) {
    case 17:
      return [...base, ...oneOf(fields[16]!)];
    case 19:
      return [...base, '', '', ...fields.slice(16)];
    case 20:
      return [...base, ...oneOf(fields[16]!), ...fields.slice(17)];
    default:
      return fields as string[];
  }
}

/** The unique id or the user field, where a row has only one of them. */
function oneOf(value: string): [uniqueid: string, userfield: string] {
  return UNIQUE_ID.test(value) ? [value, ''] : ['', value];
}

function placeOf(field: string): number {
  const place = (COLUMNS as readonly string[]).indexOf(field.toLowerCase());
  if (place === -1) {
    throw new SourceError(
      `Asterisk's CDRs have no field "${field}" to name the account; they have ${COLUMNS.join(', ')}`,
    );
  }
  return place;
}
