/**
 * FreeSWITCH's mod_cdr_csv: each row is a template (cdr_csv.conf.xml) with the channel's variables put in. Nothing is
 * escaped. Three templates are known: the vanilla configuration's "example", its "asterisk", and the compiled-in one,
 * which has a blank before accountcode.
 *
 * Their common columns make a record's identity: FreeSWITCH can write the same call with one template into Master.csv
 * and with another into the account's file.
 */
import { givenValues, isNoFigure } from '../absent.ts';
import type { Parsed, SourceRecord } from '../cdr.ts';
import { createCallClock } from '../time/stamps.ts';
import { readCallerId } from './caller_id.ts';
import { hangupCauseIn, isHangupName, readHangupCause } from './causes.ts';
import { directionByContext } from './contexts.ts';
import type { RowFormat } from './csv_reader.ts';
import {
  attributesOf,
  badSeconds,
  NOT_TOLD,
  namedTime,
  readSeconds,
  wrongColumnCount,
} from './field_values.ts';
import { normalRowText, rowText } from './normal_values.ts';
import { SourceError } from './source_error.ts';
import type { SourceOptions } from './source_reader.ts';

export type FreeswitchCsvFormat = 'freeswitch-example' | 'freeswitch-asterisk' | 'freeswitch-default';

const COMPILED_IN = [
  'caller_id_name',
  'caller_id_number',
  'destination_number',
  'context',
  'start_stamp',
  'answer_stamp',
  'end_stamp',
  'duration',
  'billsec',
  'hangup_cause',
  'uuid',
  'bleg_uuid',
  'accountcode',
] as const;
const ASTERISK = [
  'accountcode',
  'caller_id_number',
  'destination_number',
  'context',
  'caller_id',
  'channel_name',
  'bridge_channel',
  'last_app',
  'last_arg',
  'start_stamp',
  'answer_stamp',
  'end_stamp',
  'duration',
  'billsec',
  'hangup_cause',
  'amaflags',
  'uuid',
  'userfield',
] as const;
const TEMPLATES: Record<FreeswitchCsvFormat, readonly string[]> = {
  'freeswitch-default': COMPILED_IN,
  'freeswitch-example': [...COMPILED_IN, 'read_codec', 'write_codec'],
  'freeswitch-asterisk': ASTERISK,
};

const IDENTITY = [
  ...['accountcode', 'caller_id_number', 'destination_number', 'context'],
  ...['start_stamp', 'answer_stamp', 'end_stamp', 'duration', 'billsec', 'hangup_cause', 'uuid'],
] as const;
const FIGURES = [...['start_stamp', 'answer_stamp', 'end_stamp', 'duration', 'billsec', 'uuid', 'bleg_uuid']];
const IN_RECORD: ReadonlySet<string> = new Set([
  ...['accountcode', 'caller_id_number', 'destination_number', 'caller_id', 'start_stamp', 'answer_stamp'],
  ...['end_stamp', 'duration', 'billsec', 'hangup_cause', 'uuid'],
]);

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const STAMP = /^(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}) /;

/** Rows of one template. @throws SourceError when the template has no such account field */
export function freeswitchCsvRows(format: FreeswitchCsvFormat, options: SourceOptions): RowFormat {
  const template = TEMPLATES[format];
  const clock = createCallClock(options.timeZone, options.dateOrder);
  const directionOf = directionByContext(options.inboundContexts);
  const at = Object.fromEntries(template.map((name, place) => [name, place])) as Record<string, number>;
  const figures = new Set(FIGURES.map((name) => at[name]!));
  const identityPlaces = IDENTITY.map((name) => at[name]!);
  const others = [...template.entries()].filter(([, name]) => !IN_RECORD.has(name));
  const accountPlace = at[options.accountField ?? 'accountcode'];
  if (accountPlace === undefined) {
    throw new SourceError(
      `this template has no field "${options.accountField}" to name the account; it has ${template.join(', ')}`,
    );
  }
  let begun = false;

  function toRecord(written: string[]): Parsed {
    const fields = givenValues(written, figures);
    const field = (name: string): string => fields[at[name]!]!;
    const durationS = readSeconds(field('duration'));
    if (!(durationS >= 0)) return badSeconds('duration', field('duration'));
    const billsec = field('billsec');
    const billedDurationS = billsec === '' ? null : readSeconds(billsec);
    if (Number.isNaN(billedDurationS)) return badSeconds('billsec', billsec);
    const cli = field('caller_id_number');
    const cld = field('destination_number');

    const times = clock.resolve({
      start: field('start_stamp'),
      connect: field('answer_stamp'),
      disconnect: field('end_stamp'),
      durationS,
    });
    if (times.kind === 'rejected') {
      const names = { start: 'start_stamp', connect: 'answer_stamp', disconnect: 'end_stamp' };
      return namedTime(times.rejection, names);
    }
    const cause = hangupCauseIn(written[at.hangup_cause!]!);
    const told = readHangupCause(cause);
    const caller = at.caller_id === undefined ? null : readCallerId(field('caller_id'));
    const record: SourceRecord = {
      ...NOT_TOLD,
      accountCode: written[accountPlace!]!,
      callId: field('uuid'),
      identity: identityPlaces.map((place) => written[place]).join('\u001f'),
      alsoSays: rowText(others.map(([place]) => fields[place]!)),
      wholeRow: field('uuid') === '' ? normalRowText(rowText(fields)) : '',
      cli,
      cld,
      direction: directionOf(field('context'), cli, cld),
      startTime: times.startTime,
      connectTime: times.connectTime,
      disconnectTime: times.disconnectTime,
      durationS,
      billedDurationS,
      resultWord: told.resultWord,
      result: null,
      disconnectCause: cause || null,
      causeResult: told.causeResult,
      tellsAnswers: true,
      flags: times.flags,
      attributes: attributesOf([
        ['caller_id_name', caller?.name ?? ''],
        ...others.map(([place, name]): [string, string] => [name, fields[place]!]),
      ]),
    };
    return { kind: 'record', record };
  }

  return {
    columns: null,
    separator: ',',
    rescue: ['bare', 'sparse'],
    fits: (count) => count === template.length,
    parse(fields) {
      const isFirst = !begun;
      begun = true;
      if (isFirst && isFreeswitchHeader(format, fields)) return { kind: 'skipped' };
      if (fields.length !== template.length) {
        return wrongColumnCount(fields.length, `this template writes ${template.length}`);
      }
      return toRecord(fields);
    },
  };
}

/** Whether a row fits the template, by its values. */
export function isFreeswitchRow(format: FreeswitchCsvFormat, fields: string[]): boolean {
  const template = TEMPLATES[format];
  if (fields.length !== template.length) return false;
  const field = (name: string): string => fields[template.indexOf(name)]!;
  return (
    STAMP.test(field('start_stamp')) &&
    STAMP.test(field('end_stamp')) &&
    readSeconds(field('duration')) >= 0 &&
    (readSeconds(field('billsec')) >= 0 || isNoFigure(field('billsec'))) &&
    isHangupName(field('hangup_cause')) &&
    UUID.test(field('uuid'))
  );
}

/** Whether a line names the template's columns, as people put above a file for their spreadsheet. */
export function isFreeswitchHeader(format: FreeswitchCsvFormat, fields: string[]): boolean {
  const template = TEMPLATES[format];
  const named = fields.filter((field, place) => field.trim().toLowerCase() === template[place]).length;
  return fields.length === template.length && named * 2 > template.length;
}
