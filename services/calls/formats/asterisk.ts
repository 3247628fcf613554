/**
 * Asterisk's CSV backends. Two modules write a Master.csv each, in different orders:
 *
 *   cdr_csv (cdr/cdr_csv.c): accountcode, src, dst, dcontext, clid, channel, dstchannel, lastapp, lastdata, start,
 *     answer, end, duration, billsec, disposition, amaflags [, uniqueid] [, userfield] [, peeraccount, linkedid,
 *     sequence]; each bracket is a setting of its own (loguniqueid, loguserfield, newcdrcolumns): 16 to 21 columns.
 *   cdr_custom (cdr_custom.conf.sample): clid, src, dst, dcontext, channel, dstchannel, lastapp, lastdata, start,
 *     answer, end, duration, billsec, disposition, amaflags, accountcode, uniqueid, userfield [, sequence].
 *
 * Both are brought into the order of cdr_csv with all its columns, so that the same call makes the same record.
 */
import type { CallResult, Parsed, SourceRecord } from '../cdr.ts';
import { type CallClock, createCallClock } from '../time/stamps.ts';
import { directionByContext } from './contexts.ts';
import type { RowFormat } from './csv_reader.ts';
import {
  badSeconds,
  namedTime,
  quoted,
  readCallerId,
  readSeconds,
  rejected,
  withBillingFlag,
  wrongColumnCount,
} from './field_values.ts';
import type { SourceOptions } from './reader.ts';
import { SourceError } from './source_error.ts';

export type AsteriskFormat = 'asterisk-csv' | 'asterisk-custom';

/** All columns, in the order that rows are brought into. */
const COLUMNS = [
  'accountcode',
  'src',
  'dst',
  'dcontext',
  'clid',
  'channel',
  'dstchannel',
  'lastapp',
  'lastdata',
  'start',
  'answer',
  'end',
  'duration',
  'billsec',
  'disposition',
  'amaflags',
  'uniqueid',
  'userfield',
  'peeraccount',
  'linkedid',
  'sequence',
] as const;
const [ACCOUNTCODE, SRC, DST, DCONTEXT, CLID, CHANNEL, DSTCHANNEL, LASTAPP, LASTDATA] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8,
];
const [START, ANSWER, END, DURATION, BILLSEC, DISPOSITION, AMAFLAGS] = [9, 10, 11, 12, 13, 14, 15];
const [UNIQUEID, USERFIELD, SEQUENCE] = [16, 17, 20];

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

/**
 * The words of ast_cdr_disp2str (main/cdr.c), and the numbers that `disposition(int64)` writes instead (cdr.h).
 * UNKNOWN is among neither: it tells nothing.
 */
const RESULTS = new Map<string, CallResult>([
  ['ANSWERED', 'answered'],
  ['NO ANSWER', 'no_answer'],
  ['BUSY', 'busy'],
  ['FAILED', 'failed'],
  ['CONGESTION', 'failed'],
  ['0', 'no_answer'],
  ['1', 'no_answer'],
  ['2', 'failed'],
  ['4', 'busy'],
  ['8', 'answered'],
  ['16', 'failed'],
]);
const AMA_FLAGS = /^(OMIT|BILLING|DOCUMENTATION|IGNORE|UNKNOWN|[0-3])$/i;
const STAMP = /^(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})[T ]|^\d{9,10}(\.\d+)?$/;

/** `[system name-]epoch second.number` (ast_channel_alloc); dialplan and ARI may set another text. */
const UNIQUE_ID = /^(?:.*-)?(\d{9,10})\.\d+$/;

/** Rows of cdr_csv or cdr_custom. @throws SourceError when the account field is none of Asterisk's */
export function asteriskRows(format: AsteriskFormat, options: SourceOptions): RowFormat {
  const clock = createCallClock(options.timeZone, options.dateOrder);
  const directionOf = directionByContext(options.inboundContexts);
  const accountPlace = options.accountField === undefined ? ACCOUNTCODE : placeOf(options.accountField);
  const defaultAccount = options.account ?? '';
  /** Of the first row that is in order: one file has one, unless the settings were changed meanwhile. */
  let columnCount = 0;

  return {
    columns: null,
    separator: ',',
    // Old cdr_custom.conf quoted "${CDR(clid)}" by hand, with nothing escaped within.
    rescue: format === 'asterisk-custom' ? ['backslash', 'bare'] : ['backslash'],
    fits: (count) => (columnCount === 0 ? isCount(format, count) : count === columnCount),
    parse(fields, ended) {
      if (columnCount === 0 && isAsteriskHeader(format, fields)) return { kind: 'skipped' };
      const row = isCount(format, fields.length) ? inOrder(format, fields) : null;
      if (row === null || (fields.length !== columnCount && !isExpected(row, fields.length, ended))) {
        return wrongColumnCount(fields.length, expectedColumns(format, columnCount));
      }
      return toRecord(row, accountPlace, defaultAccount, clock, directionOf);
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

/** Whether a row is one of the format's, by what stands where: the two orders are otherwise much alike. */
export function isAsteriskRow(format: AsteriskFormat, fields: string[]): boolean {
  return isCount(format, fields.length) && isPlausible(inOrder(format, fields));
}

/** Whether a line names the format's columns, as people put above a file for their spreadsheet. */
export function isAsteriskHeader(format: AsteriskFormat, fields: string[]): boolean {
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

/** The row in the order of COLUMNS; what it lacks is '' or left off at its end. */
function inOrder(format: AsteriskFormat, fields: string[]): string[] {
  if (format === 'asterisk-csv') return withTail(fields);
  const row: string[] = new Array(COLUMNS.length).fill('');
  for (let at = 0; at < fields.length; at++) row[CUSTOM_ORDER[at]!] = fields[at]!;
  return row;
}

/** Which of the settings of cdr_csv made the columns after amaflags. */
function withTail(fields: string[]): string[] {
  const base = fields.slice(0, UNIQUEID);
  switch (fields.length) {
    case 17:
      return [...base, ...oneOf(fields[16]!)];
    case 19:
      return [...base, '', '', ...fields.slice(16)];
    case 20:
      return [...base, ...oneOf(fields[16]!), ...fields.slice(17)];
    default:
      return fields;
  }
}

/** The unique id or the user field, where a row has only one of them. */
function oneOf(value: string): [uniqueid: string, userfield: string] {
  return UNIQUE_ID.test(value) ? [value, ''] : ['', value];
}

function isPlausible(row: string[]): boolean {
  const answer = row[ANSWER]!;
  const tail = row[SEQUENCE] ?? '';
  return (
    STAMP.test(row[START]!) &&
    STAMP.test(row[END]!) &&
    (answer === '' || STAMP.test(answer)) &&
    readSeconds(row[DURATION]!) >= 0 &&
    readSeconds(row[BILLSEC]!) >= 0 &&
    (RESULTS.has(row[DISPOSITION]!.toUpperCase()) || row[DISPOSITION] === 'UNKNOWN') &&
    AMA_FLAGS.test(row[AMAFLAGS]!) &&
    (tail === '' || readSeconds(tail) >= 0)
  );
}

function toRecord(
  row: string[],
  accountPlace: number,
  defaultAccount: string,
  clock: CallClock,
  directionOf: ReturnType<typeof directionByContext>,
): Parsed {
  const durationS = readSeconds(row[DURATION]!);
  if (!(durationS >= 0)) return badSeconds('duration', row[DURATION]!);
  const billedDurationS = readSeconds(row[BILLSEC]!);
  if (!(billedDurationS >= 0)) return badSeconds('billsec', row[BILLSEC]!);
  const disposition = row[DISPOSITION]!;
  const result = RESULTS.get(disposition) ?? RESULTS.get(disposition.toUpperCase());
  if (result === undefined) return badDisposition(disposition);

  const callId = row[UNIQUEID] ?? '';
  const written = { start: row[START]!, connect: row[ANSWER]!, disconnect: row[END]!, durationS };
  const made = UNIQUE_ID.exec(callId);
  const times = clock.resolve(made ? { ...written, knownStartS: Number(made[1]) } : written);
  if (times.kind === 'rejected') {
    return namedTime(times.rejection, { start: 'start', connect: 'answer', disconnect: 'end' });
  }
  const record: SourceRecord = {
    accountCode: row[accountPlace] || defaultAccount,
    callId,
    identity: identityOf(row, callId),
    cli: row[SRC]!,
    cld: row[DST]!,
    direction: directionOf(row[DCONTEXT]!),
    startTime: times.startTime,
    connectTime: times.connectTime,
    disconnectTime: times.disconnectTime,
    durationS,
    billedDurationS,
    result,
    disconnectCause: disposition,
    country: null,
    description: null,
    cost: null,
    currency: null,
    remoteIp: null,
    userAgent: null,
    flags: withBillingFlag(times.flags, durationS, billedDurationS),
    attributes: attributesOf(row),
  };
  return { kind: 'record', record };
}

/**
 * What cdr_csv and cdr_custom both write of a call. Not what one of them lacks, nor `sequence`, which begins anew when
 * Asterisk does, nor `userfield`, which is set late.
 */
function identityOf(row: string[], callId: string): string {
  return `${row.slice(ACCOUNTCODE, UNIQUEID).join('\u001f')}\u001f${callId}`;
}

function attributesOf(row: string[]): Record<string, string> {
  const attributes: Record<string, string> = {};
  const clid = row[CLID]!;
  if (clid !== '' && clid !== row[SRC]) {
    const caller = readCallerId(clid);
    if (caller.name !== '') attributes.caller_name = caller.name;
    if (caller.number !== row[SRC]) attributes.clid = clid;
  }
  keep(attributes, row, DCONTEXT);
  for (let at = CHANNEL; at <= LASTDATA; at++) keep(attributes, row, at);
  keep(attributes, row, AMAFLAGS);
  for (let at = USERFIELD; at <= SEQUENCE; at++) keep(attributes, row, at);
  return attributes;
}

function keep(attributes: Record<string, string>, row: string[], at: number): void {
  const value = row[at];
  if (value) attributes[COLUMNS[at]!] = value;
}

function badDisposition(disposition: string): Parsed {
  const known = 'ANSWERED, NO ANSWER, BUSY, FAILED or CONGESTION';
  if (disposition === '')
    return rejected('missing_field', 'disposition', `disposition is blank; it should be ${known}`);
  return rejected('bad_value', 'disposition', `disposition is ${quoted(disposition)}; it should be ${known}`);
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
