/**
 * A call as Asterisk's CDR engine reports it (main/cdr.c). Every backend or program gives a row in the order of cdr_csv
 * with all its columns, so the same call always makes the same record.
 */
import { givenValues, isNoFigure } from '../absent.ts';
import type { CallResult } from '../call_fields.ts';
import type { Parsed, SourceRecord, ToldResult } from '../cdr.ts';
import { secondsBetween } from '../outcome.ts';
import { readStamp } from '../time/stamp_text.ts';
import type { CallClock } from '../time/stamps.ts';
import { readCallerId } from './caller_id.ts';
import { readResult } from './causes.ts';
import type { directionByContext } from './contexts.ts';
import { badSeconds, NOT_TOLD, namedTime, readSeconds, rejected } from './field_values.ts';
import { normalRowText, rowText } from './normal_values.ts';

/** All columns, in the order into which rows are brought. */
export const COLUMNS = [
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
export const [ACCOUNTCODE, SRC, DST, DCONTEXT, CLID, CHANNEL, DSTCHANNEL, LASTAPP, LASTDATA] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8,
];
export const [START, ANSWER, END, DURATION, BILLSEC, DISPOSITION, AMAFLAGS] = [9, 10, 11, 12, 13, 14, 15];
export const [UNIQUEID, USERFIELD, LINKEDID, SEQUENCE] = [16, 17, 19, 20];
/** Places of the values that are no text. */
export const FIGURES = new Set([START, ANSWER, END, DURATION, BILLSEC, UNIQUEID, LINKEDID, SEQUENCE]);

/** The numbers that `disposition(int64)` of cdr_custom writes (include/asterisk/cdr.h). */
const NUMBERED = new Map<string, CallResult>([
  ['0', 'no_answer'],
  ['1', 'no_answer'],
  ['2', 'failed'],
  ['4', 'busy'],
  ['8', 'answered'],
  ['16', 'failed'],
  ['32', 'cancelled'],
]);
const AMA_FLAGS = /^(OMIT|BILLING|BILL|DOCUMENTATION|IGNORE|DEFAULT|UNKNOWN|-?\d{1,2})$/i;
const STAMP = /^(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})[T ]|^\d{9,10}(\.\d+)?$/;
/** Words of one language; FreeSWITCH's names have underscores. */
const DISPOSITION_WORD = /^[A-Z][A-Z -]{0,30}$/i;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** `[system name-]epoch second.number` (ast_channel_alloc). The dialplan and ARI may set another text. */
export const UNIQUE_ID = /^(?:.*-)?(\d{9,10})\.\d+$/;

/** The options for reading a row. */
export interface AsteriskRowOptions {
  readonly clock: CallClock;
  readonly directionOf: ReturnType<typeof directionByContext>;
}

/** Whether a row in the order of COLUMNS is valid, by its values. */
export function isPlausible(row: readonly string[]): boolean {
  const answer = row[ANSWER]!;
  const tail = row[SEQUENCE] ?? '';
  return (
    STAMP.test(row[START]!) &&
    STAMP.test(row[END]!) &&
    isAnswerStamp(answer) &&
    readSeconds(row[DURATION]!) >= 0 &&
    (readSeconds(row[BILLSEC]!) >= 0 || isNoFigure(row[BILLSEC]!)) &&
    (NUMBERED.has(row[DISPOSITION]!) || DISPOSITION_WORD.test(row[DISPOSITION]!)) &&
    AMA_FLAGS.test(row[AMAFLAGS]!) &&
    !UUID.test(row[UNIQUEID] ?? '') &&
    (readSeconds(tail) >= 0 || isNoFigure(tail))
  );
}

/** Whether a text is a stamp, by its look. */
export const isStamp = (text: string): boolean => STAMP.test(text);

/** Whether a text is a stamp or means "no answer", as 0.000000 does, which `CDR(answer,u)` gives then. */
export const isAnswerStamp = (text: string): boolean =>
  isStamp(text) || readStamp(text, undefined).kind === 'absent';

/** The differences that only a file with its own header may have. */
export interface Beside {
  /** The file's name for the start. */
  readonly startName: string;
  /** False: the source has no column of durations. The end gives the length of the call. */
  readonly hasDuration: boolean;
  /** False: no column of the source can show an answer. */
  readonly tellsAnswers: boolean;
  /** Attributes from columns that Asterisk does not have. */
  readonly others: Readonly<Record<string, string>>;
}

const ALL_COLUMNS: Beside = { startName: 'start', hasDuration: true, tellsAnswers: true, others: {} };

/**
 * The record of a row in the order of COLUMNS. Columns that the source lacks are ''.
 * @param account the row's value for the account, '' where the row names none
 */
export function recordOf(
  written: readonly string[],
  account: string,
  options: AsteriskRowOptions,
  beside: Beside = ALL_COLUMNS,
): Parsed {
  const row = givenValues(written, FIGURES);
  const told = beside.hasDuration ? readSeconds(row[DURATION]!) : null;
  if (Number.isNaN(told)) return badSeconds('duration', row[DURATION]!);
  const billsec = row[BILLSEC]!;
  const billedDurationS = billsec === '' ? null : readSeconds(billsec);
  if (Number.isNaN(billedDurationS)) return badSeconds('billsec', billsec);

  const callId = row[UNIQUEID] ?? '';
  const stamps = {
    start: row[START]!,
    connect: row[ANSWER]!,
    disconnect: row[END]!,
    // NaN neither agrees nor disagrees with a reading of the stamps.
    durationS: told ?? Number.NaN,
  };
  const made = UNIQUE_ID.exec(callId);
  const times = options.clock.resolve(made ? { ...stamps, knownStartS: Number(made[1]) } : stamps);
  if (times.kind === 'rejected') {
    return namedTime(times.rejection, { start: beside.startName, connect: 'answer', disconnect: 'end' });
  }
  const { startTime, connectTime, disconnectTime } = times;
  const durationS = told ?? (disconnectTime === null ? null : secondsBetween(startTime, disconnectTime));
  if (durationS === null)
    return rejected('missing_field', 'end', 'end is blank, and no other column gives the length of the call');
  const disposition = row[DISPOSITION]!;
  const record: SourceRecord = {
    ...NOT_TOLD,
    accountCode: account,
    callId,
    identity: identityOf(written, written[UNIQUEID] ?? ''),
    alsoSays: rowText([...row.slice(USERFIELD), ...Object.values(beside.others)]),
    wholeRow: callId === '' ? normalRowText(rowText(row)) : '',
    cli: row[SRC]!,
    cld: row[DST]!,
    direction: options.directionOf(row[DCONTEXT]!, row[SRC]!, row[DST]!),
    startTime,
    connectTime,
    disconnectTime,
    durationS,
    ...(told === null && { durationInferred: true as const }),
    billedDurationS,
    resultWord: disposition || null,
    result: resultOf(disposition),
    disconnectCause: null,
    causeResult: null,
    tellsAnswers: beside.tellsAnswers,
    flags: times.flags,
    attributes: attributesOf(row, beside.others),
  };
  return { kind: 'record', record };
}

/**
 * Whether the disposition is unknown and the next value is no AMA flag. Then the row has lost or gained a column, and its
 * values stand under the wrong names.
 */
export function isShifted(row: readonly string[]): boolean {
  const flag = row[AMAFLAGS]!;
  return flag !== '' && !AMA_FLAGS.test(flag) && resultOf(row[DISPOSITION]!) === null;
}

/** Null for an unknown word. UNKNOWN, which Asterisk itself writes, gives no result either. */
function resultOf(disposition: string): ToldResult | null {
  return NUMBERED.get(disposition) ?? readResult(disposition) ?? null;
}

/**
 * The fields of a call that both cdr_csv and cdr_custom write. Left out are the fields of only one of them; `sequence`,
 * which restarts when Asterisk does; and `userfield`, which is set late.
 */
function identityOf(row: readonly string[], callId: string): string {
  return `${row.slice(ACCOUNTCODE, UNIQUEID).join('\u001f')}\u001f${callId}`;
}

function attributesOf(
  row: readonly string[],
  others: Readonly<Record<string, string>>,
): Record<string, string> {
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
  return Object.assign(attributes, others);
}

function keep(attributes: Record<string, string>, row: readonly string[], at: number): void {
  const value = row[at];
  if (value) attributes[COLUMNS[at]!] = value;
}
