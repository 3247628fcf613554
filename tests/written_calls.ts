/** The same calls as different switches write them, with what each may leave out left out: for tests of all ways in. */

import type { Pool } from '#platform/database/pool.ts';
import type { FormatName } from '#services/calls/formats/formats.ts';
import { parseMapping } from '#services/calls/formats/mapping.ts';
import type { SourceOptions } from '#services/calls/formats/source_reader.ts';
import type { DryRun } from '#services/calls/intake/dry_run.ts';
import type { ImportCounts } from '#services/calls/intake/import_counts.ts';
import { type ImportOptions, importOpened } from '#services/calls/intake/import_file.ts';

/** A call by what its source tells of it; null: not told. */
export interface WrittenCall {
  readonly account: string;
  /** A text of its own. */
  readonly id: string;
  /** Epoch seconds. */
  readonly start: number;
  /** Seconds from the start. */
  readonly answerAfter: number | null;
  readonly endAfter: number | null;
  readonly duration: number;
  readonly billed: number | null;
  /** As Asterisk writes it: ANSWERED, NO ANSWER, BUSY, FAILED. */
  readonly word: string | null;
}

export interface WrittenFile {
  readonly format: FormatName;
  readonly text: string;
  readonly read: Partial<SourceOptions>;
}

const CLI = '1001';
const CLD = '+442079460001';

const stamp = (epoch: number) => new Date(epoch * 1000).toISOString().slice(0, 19).replace('T', ' ');
const after = (call: WrittenCall, seconds: number | null) =>
  seconds === null ? '' : stamp(call.start + seconds);
const answer = (call: WrittenCall) => after(call, call.answerAfter);
const end = (call: WrittenCall) => after(call, call.endAfter ?? call.duration);
const quoted = (values: readonly (string | number | null)[]) =>
  values.map((value) => (typeof value === 'string' ? `"${value}"` : (value ?? ''))).join(',');
const lines = (rows: readonly string[]) => rows.map((row) => `${row}\n`).join('');

/** Q.850 and FreeSWITCH's name for how an unanswered call ended. */
const CAUSES: Record<string, [q850: number, name: string]> = {
  ANSWERED: [16, 'NORMAL_CLEARING'],
  'NO ANSWER': [19, 'NO_ANSWER'],
  BUSY: [17, 'USER_BUSY'],
  FAILED: [34, 'NORMAL_CIRCUIT_CONGESTION'],
};
const causeOf = (call: WrittenCall) => CAUSES[call.word ?? 'ANSWERED']!;

const CARRIER = {
  ...{ Customer: 'account', Id: 'call_id', From: 'cli', To: 'cld', Start: 'start_time', Secs: 'duration_s' },
  ...{ Answer: 'connect_time', End: 'disconnect_time', Billed: 'billed_duration_s', Result: 'result' },
} as const;
type CarrierColumn = keyof typeof CARRIER;
const carrierCell: Record<CarrierColumn, (call: WrittenCall) => string | number> = {
  Customer: (call) => call.account,
  Id: (call) => call.id,
  From: () => CLI,
  To: () => CLD,
  Start: (call) => stamp(call.start),
  Secs: (call) => call.duration,
  Answer: answer,
  End: (call) => after(call, call.endAfter),
  Billed: (call) => call.billed ?? '',
  Result: (call) => call.word ?? '',
};

/** A CSV with a header and its mapping. @param leaveOut columns that the file does not have */
export function carrierFile(
  calls: readonly WrittenCall[],
  leaveOut: readonly CarrierColumn[] = [],
): WrittenFile {
  const columns = (Object.keys(CARRIER) as CarrierColumn[]).filter((column) => !leaveOut.includes(column));
  const rows = calls.map((call) => columns.map((column) => carrierCell[column](call)).join(','));
  const mapping = parseMapping(
    columns.map((column) => `${column}=${CARRIER[column]}`),
    'carrier',
  );
  return { format: 'mapped', text: lines([columns.join(','), ...rows]), read: { mapping } };
}

/** Asterisk's cdr_csv: has an end and a word for every call. */
export function asteriskFile(calls: readonly WrittenCall[]): WrittenFile {
  const row = (call: WrittenCall) =>
    [
      quoted([
        call.account,
        CLI,
        CLD,
        'from-internal',
        '',
        'PJSIP/1',
        'PJSIP/2',
        'Dial',
        '',
        stamp(call.start),
      ]),
      answer(call) && `"${answer(call)}"`,
      quoted([end(call), call.duration, call.billed, call.word, 'DOCUMENTATION', call.id, '']),
    ].join(',');
  return { format: 'asterisk-csv', text: lines(calls.map(row)), read: {} };
}

/** FreeSWITCH's template "example". */
export function freeswitchFile(calls: readonly WrittenCall[]): WrittenFile {
  const row = (call: WrittenCall) =>
    quoted([
      ...['', CLI, CLD, 'default', stamp(call.start), answer(call), end(call), String(call.duration)],
      ...[String(call.billed ?? ''), causeOf(call)[1], call.id, '', call.account, 'PCMA', 'PCMA'],
    ]);
  return { format: 'freeswitch-example', text: lines(calls.map(row)), read: {} };
}

/** A document of mod_json_cdr. */
export function freeswitchDocument(call: WrittenCall): object {
  const epoch = (seconds: number | null) =>
    seconds === null ? '0' : String((call.start + seconds) * 1_000_000);
  const variables = {
    ...{
      uuid: call.id,
      accountcode: call.account,
      hangup_cause: causeOf(call)[1],
      duration: String(call.duration),
    },
    ...{ start_uepoch: epoch(0), answer_uepoch: epoch(call.answerAfter) },
    ...{ end_uepoch: epoch(call.endAfter ?? call.duration) },
    ...(call.billed !== null && { billsec: String(call.billed) }),
  };
  const profile = { caller_id_number: CLI, destination_number: CLD };
  return { 'core-uuid': 'c', variables, callflow: [{ caller_profile: profile }] };
}

export function freeswitchDocuments(calls: readonly WrittenCall[]): WrittenFile {
  const text = lines(calls.map((call) => JSON.stringify(freeswitchDocument(call))));
  return { format: 'freeswitch-json', text, read: {} };
}

const CUCM_COLUMNS = [
  ...['cdrRecordType', 'globalCallID_callManagerId', 'globalCallID_callId', 'dateTimeOrigination'],
  ...['dateTimeConnect', 'dateTimeDisconnect', 'duration', 'callingPartyNumber', 'originalCalledPartyNumber'],
  ...['origCause_value', 'destCause_value', 'pkid', 'globalCallId_ClusterID'],
];

export function cucmFile(calls: readonly WrittenCall[]): WrittenFile {
  const row = (call: WrittenCall) =>
    quoted([
      ...[
        1,
        1,
        call.start % 1_000_000,
        call.start,
        call.answerAfter === null ? 0 : call.start + call.answerAfter,
      ],
      ...[call.start + (call.endAfter ?? call.duration), call.billed, CLI, CLD, 0, causeOf(call)[0]],
      ...[call.id, call.account],
    ]);
  return { format: 'cisco-cucm', text: lines([CUCM_COLUMNS.join(','), ...calls.map(row)]), read: {} };
}

/** As a program posts it. */
export function postedRecord(call: WrittenCall): object {
  const time = (seconds: number | null) =>
    seconds === null ? undefined : new Date((call.start + seconds) * 1000).toISOString();
  return {
    ...{ account: call.account, call_id: call.id, cli: CLI, cld: CLD, start_time: time(0) },
    ...{
      connect_time: time(call.answerAfter),
      disconnect_time: time(call.endAfter),
      duration_s: call.duration,
    },
    ...{ billed_duration_s: call.billed ?? undefined },
    ...{ result: call.word?.toLowerCase().replace(' ', '_') },
  };
}

/** Imports a written file; accounts are made as they come unless told otherwise. */
export function importWritten(
  pool: Pool,
  file: WrittenFile,
  name: string,
  options: Partial<ImportOptions> = {},
  dry?: DryRun,
): Promise<ImportCounts> {
  const head = Buffer.from(file.text);
  async function* chunks() {
    yield head;
  }
  return importOpened(
    pool,
    name,
    { head, chunks: chunks(), isStream: false, bytesRead: () => head.length },
    {
      format: file.format,
      source: undefined,
      newAccounts: { currency: 'EUR', timeZone: 'UTC', country: null },
      ...options,
      read: { timeZone: 'UTC', ...file.read, ...options.read },
    },
    { onFormat: () => undefined, onProgress: () => undefined },
    dry,
  );
}
