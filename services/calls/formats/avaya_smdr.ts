/**
 * Avaya IP Office's SMDR ("SMDR Fields" and "SMDR Examples" of Administering Avaya IP Office Platform with Manager): a row
 * without a header for each part of a call, its columns in the order below. All releases have the first 17. Stamps are
 * the switch's local time. A transferred call has several rows, and each has the call's own start.
 *
 * Connected Time is the time talked. Ring Time, Hold Time and Park Time are seconds beside it. The whole part is the
 * sum of the four. A lost call has a Connected Time of 00:00:00. Direction is I or O. It is O for calls within the
 * switch too, which Is Internal marks.
 *
 * Call IDs restart when the switch does, so the start is part of a call's id. Call Charge and similar columns become
 * attributes: the switch does not name their currency, and they are 0 where charges are not set up.
 */

import type { Direction } from '../call_fields.ts';
import type { Parsed } from '../cdr.ts';
import { type CallClock, createCallClock } from '../time/stamps.ts';
import type { RowFormat } from './csv_reader.ts';
import { readDuration } from './durations.ts';
import { attributesOf, badSeconds, NOT_TOLD, namedTime, readSeconds } from './field_values.ts';
import { type FixedOrder, fixedOrderRows } from './fixed_order.ts';
import { rowText } from './normal_values.ts';
import type { SourceOptions } from './source_reader.ts';

const COLUMNS = [
  ...['Call Start', 'Connected Time', 'Ring Time', 'Caller', 'Direction', 'Called Number', 'Dialled Number'],
  ...['Account', 'Is Internal', 'Call ID', 'Continuation', 'Party1Device', 'Party1Name', 'Party2Device'],
  ...['Party2Name', 'Hold Time', 'Park Time', 'AuthValid', 'AuthCode', 'User Charged', 'Call Charge'],
  ...['Currency', 'Amount at Last User Change', 'Call Units', 'Units at Last User Change', 'Cost per Unit'],
  ...['Mark Up', 'External Targeting Cause', 'External Targeter Id', 'External Targeted Number'],
  ...['Calling Party Server IP', 'Unique Call ID Caller', 'Called Party Server IP', 'Unique Call ID Called'],
  'SMDR Record Time',
];
const IN_RECORD: ReadonlySet<string> = new Set([
  ...['Call Start', 'Connected Time', 'Caller', 'Called Number', 'Account', 'Party1Device', 'Party2Device'],
]);
/** The columns that distinguish a part of a call from the other parts, some of which may have the same two parties. */
const PART = [
  ...['Continuation', 'Party1Device', 'Party2Device', 'Connected Time', 'Ring Time', 'Hold Time'],
  'Park Time',
];
const FIGURES = ['Call Start', 'Connected Time', 'Ring Time', 'Call ID', 'Hold Time', 'Park Time'];
const STAMP = /^\d{4}\/\d{2}\/\d{2} \d{2}:\d{2}:\d{2}$/;
const CLOCK = /^\d{1,4}:\d{2}:\d{2}$/;

export const SMDR: FixedOrder = {
  title: "Avaya IP Office's SMDR",
  columns: COLUMNS,
  fewest: 17,
  figures: new Set(FIGURES.map((name) => COLUMNS.indexOf(name))),
  isRow: (fields) =>
    STAMP.test(fields[0] ?? '') &&
    CLOCK.test(fields[1] ?? '') &&
    /^\d+$/.test(fields[2] ?? '') &&
    /^[IO]$/.test(fields[4] ?? '') &&
    /^[01]$/.test(fields[8] ?? '') &&
    /^\d+$/.test(fields[9] ?? '') &&
    /^[01]$/.test(fields[10] ?? '') &&
    /^(?:[A-Z]\d+|)$/.test(fields[11] ?? '') &&
    /^\d*$/.test(fields[15] ?? '') &&
    /^\d*$/.test(fields[16] ?? ''),
  looks: /^(?=.*\d{4}\/\d{2}\/\d{2} \d{2}:\d{2}:\d{2})(?=.*,[IO],)(?=.*,[EVT]\d{3,6},)/,
  map: [
    ...['Call Start=start_time', 'Connected Time=duration_s', 'Caller=cli', 'Called Number=cld'],
    ...['Direction=direction', 'Call ID=call_id', 'Account=account'],
  ],
};

/** @throws SourceError when SMDR has no such account field */
export function avayaSmdrRows(options: SourceOptions): RowFormat {
  const clock = createCallClock(options.timeZone, options.dateOrder);
  return fixedOrderRows(SMDR, options, (field, fields, account) => toRecord(field, fields, account, clock));
}

function toRecord(
  field: (name: string) => string,
  fields: readonly string[],
  account: string,
  clock: CallClock,
): Parsed {
  const connected = readDuration(field('Connected Time'), undefined, 'plain');
  if (connected.kind === 'bad') return badSeconds('Connected Time', field('Connected Time'));
  let durationS = connected.seconds;
  for (const name of ['Ring Time', 'Hold Time', 'Park Time']) {
    const seconds = readSeconds(field(name) || '0');
    if (!(seconds >= 0)) return badSeconds(name, field(name));
    durationS += seconds;
  }
  const start = field('Call Start');
  const times = clock.resolve({ start, connect: '', disconnect: '', durationS });
  if (times.kind === 'rejected')
    return namedTime(times.rejection, {
      start: 'Call Start',
      connect: 'Call Start',
      disconnect: 'Call Start',
    });
  return {
    kind: 'record',
    record: {
      ...NOT_TOLD,
      accountCode: account,
      callId: `${field('Call ID')}@${start}`,
      identity: '',
      alsoSays: rowText(fields),
      wholeRow: '',
      cli: field('Caller'),
      cld: field('Called Number') || field('Dialled Number'),
      direction: directionOf(field('Direction'), field('Is Internal')),
      startTime: times.startTime,
      connectTime: null,
      disconnectTime: null,
      durationS,
      billedDurationS: connected.seconds,
      resultWord: null,
      result: null,
      disconnectCause: null,
      causeResult: 'no_answer',
      tellsAnswers: true,
      flags: times.flags,
      attributes: attributesOf([
        ['channel', field('Party1Device')],
        ['dstchannel', field('Party2Device')],
        ['source_key', PART.map(field).join(' ')],
        ...COLUMNS.filter((name) => !IN_RECORD.has(name)).map((name): [string, string] => [
          name,
          field(name),
        ]),
      ]),
    },
  };
}

function directionOf(direction: string, isInternal: string): Direction {
  if (isInternal === '1') return 'internal';
  return direction === 'I' ? 'inbound' : 'outbound';
}
