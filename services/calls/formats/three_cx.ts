/**
 * 3CX's cdr.log ("CDR – Call Data Records" of its documentation): a row without a header for each call, its columns in the
 * order of 3CX's list. 3CX lets users choose other columns and another order; such files are not read.
 *
 *   Call 1204,00000C21DE5C2470_31,00:00:42,2026/03/02 09:04:54,2026/03/02 09:05:00,2026/03/02 09:05:42,TerminatedBySrc,
 *     Ext.1002,+12025550143,1002,10000,+12025550143,,,,,,,,Chain: Ext.1002;+12025550143;[, Extension, LineSet, …]
 *
 * `duration` is the time talked, from the answer on. Numbers of the switch begin with Ext. The row does not give the
 * currency of bill-cost, nor whether the rates behind it are set up: bill-cost becomes an attribute.
 */
import type { Parsed, ToldResult } from '../cdr.ts';
import { secondsBetween } from '../outcome.ts';
import { type CallClock, createCallClock } from '../time/stamps.ts';
import { readResult } from './causes.ts';
import type { RowFormat } from './csv_reader.ts';
import { readDuration } from './durations.ts';
import { attributesOf, badSeconds, NOT_TOLD, namedTime, rejected } from './field_values.ts';
import { type FixedOrder, fixedOrderRows } from './fixed_order.ts';
import { rowText } from './normal_values.ts';
import type { SourceOptions } from './source_reader.ts';

const COLUMNS = [
  ...['historyid', 'callid', 'duration', 'time-start', 'time-answered', 'time-end', 'reason-terminated'],
  ...['from-no', 'to-no', 'from-dn', 'to-dn', 'dial-no', 'reason-changed', 'final-number', 'final-dn'],
  ...['bill-code', 'bill-rate', 'bill-cost', 'bill-name', 'chain', 'from-type', 'to-type', 'final-type'],
  ...['from-dispname', 'to-dispname', 'final-dispname', 'missed-queue-calls'],
];
const IN_RECORD: ReadonlySet<string> = new Set([
  ...[
    'callid',
    'duration',
    'time-start',
    'time-answered',
    'time-end',
    'reason-terminated',
    'from-no',
    'to-no',
  ],
]);
const FIGURES = ['callid', 'duration', 'time-start', 'time-answered', 'time-end'];
const STAMP = /^\d{4}[/-]\d{2}[/-]\d{2} \d{2}:\d{2}:\d{2}/;

export const THREE_CX: FixedOrder = {
  title: "3CX's cdr.log",
  columns: COLUMNS,
  fewest: 20,
  figures: new Set(FIGURES.map((name) => COLUMNS.indexOf(name))),
  isRow: (fields) =>
    /^(?:Call )?\d+$/.test(fields[0] ?? '') &&
    /^[\w-]+$/.test(fields[1] ?? '') &&
    /^(?:\d{1,4}:\d{2}:\d{2}(?:\.\d+)?|)$/.test(fields[2] ?? '') &&
    STAMP.test(fields[3] ?? '') &&
    (fields[4] === '' || STAMP.test(fields[4] ?? '')) &&
    (fields[5] === '' || STAMP.test(fields[5] ?? '')) &&
    /^(?:Chain: .*|)$/.test(fields[19] ?? ''),
  looks: /\bChain: (?:Ext\.|\+?\d)|\bTerminatedBy(?:Src|Dst)\b/,
  map: [
    ...['time-start=start_time', 'time-answered=connect_time', 'time-end=disconnect_time'],
    ...['duration=billed_duration_s', 'from-no=cli', 'to-no=cld', 'callid=call_id'],
    'reason-terminated=disconnect_cause',
  ],
};

/** @throws SourceError when 3CX has no such account field */
export function threeCxRows(options: SourceOptions): RowFormat {
  const clock = createCallClock(options.timeZone, options.dateOrder);
  return fixedOrderRows(THREE_CX, options, (field, fields, account) =>
    toRecord(field, fields, account, clock),
  );
}

function toRecord(
  field: (name: string) => string,
  fields: readonly string[],
  account: string,
  clock: CallClock,
): Parsed {
  const talked = field('duration') === '' ? null : readDuration(field('duration'), undefined, 'plain');
  if (talked?.kind === 'bad') return badSeconds('duration', field('duration'));
  const written = {
    start: field('time-start'),
    connect: field('time-answered'),
    disconnect: field('time-end'),
    durationS: Number.NaN,
  };
  const times = clock.resolve(written);
  if (times.kind === 'rejected')
    return namedTime(times.rejection, {
      start: 'time-start',
      connect: 'time-answered',
      disconnect: 'time-end',
    });
  const { startTime, connectTime, disconnectTime } = times;
  if (disconnectTime === null)
    return rejected(
      'missing_field',
      'time-end',
      'time-end is blank, and no other column gives the length of the call',
    );
  const reason = field('reason-terminated');
  return {
    kind: 'record',
    record: {
      ...NOT_TOLD,
      accountCode: account,
      callId: field('callid'),
      identity: '',
      alsoSays: rowText(fields),
      wholeRow: '',
      cli: numberOf(field('from-no')),
      cld: numberOf(field('to-no')) || field('dial-no'),
      direction: null,
      startTime,
      connectTime,
      disconnectTime,
      durationS: secondsBetween(startTime, disconnectTime),
      durationInferred: true,
      billedDurationS: talked?.seconds ?? null,
      resultWord: isUnknown(reason) ? reason : null,
      result: null,
      disconnectCause: reason || null,
      causeResult: unansweredResult(reason),
      tellsAnswers: true,
      flags: times.flags,
      attributes: attributesOf(
        COLUMNS.filter((name) => !IN_RECORD.has(name)).map((name): [string, string] => [name, field(name)]),
      ),
    },
  };
}

/** `Ext.1002`: a number of the switch. */
const numberOf = (text: string): string => text.replace(/^Ext\./, '');

const isUnknown = (reason: string): boolean => reason !== '' && readResult(reason) === undefined;

/** Who hung up before the answer: the caller gave up, or the called party refused. */
function unansweredResult(reason: string): ToldResult | null {
  if (/^(?:TerminatedBySrc|src_participant_terminated)$/i.test(reason)) return 'cancelled';
  return readResult(reason) ?? null;
}
