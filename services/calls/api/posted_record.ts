/**
 * A record as a switch or a program posts it: a JSON object by the names of the API's own fields.
 *
 *   {"account": "acme", "start_time": "2026-11-21T10:00:00+01:00", "connect_time": …, "disconnect_time": …,
 *    "cli": "+4930123456", "cld": "+442079460001", "call_id": "…", "cost": "0.042", …}
 *
 * Needed: whose it is (`account`, the code, or `i_account`), `start_time`, `cld` or `cli`, and how long it was
 * (`duration_s` or `disconnect_time`). The rest follows from these where it is left out and can be told.
 *
 * A record that is posted again is recognised by `call_id` and `source_key`, where it has one; else by all of what it
 * says. So legs of one call may share its id, and a program that may say the same thing in other words gives a key.
 */
import { CALL_RESULTS, type CallResult, DIRECTIONS, type Direction, type SourceRecord } from '../cdr.ts';
import { namedTime, quoted, rejected, withBillingFlag } from '../formats/field_values.ts';
import { readAmount, readResult } from '../formats/mapped_values.ts';
import type { Taken } from '../formats/reader.ts';
import { readStamp } from '../time/stamp_text.ts';
import { createCallClock } from '../time/stamps.ts';

/** Format of such records in calls.imports. */
export const POSTED_FIELDS = 'posted-fields';
/** What they are of unless the post says so: the programs of one provider. */
export const POSTED_SOURCE = 'posted';

export type ParsedRecord = Taken['parsed'];

const TEXT_FIELDS = {
  account: 200,
  call_id: 255,
  source_key: 255,
  cli: 128,
  cld: 128,
  disconnect_cause: 200,
  description: 1_000,
  remote_ip: 64,
  user_agent: 500,
  country: 2,
  currency: 3,
} as const;
type TextField = keyof typeof TEXT_FIELDS;
const TIME_FIELDS = ['start_time', 'connect_time', 'disconnect_time'] as const;
const SECONDS_FIELDS = ['duration_s', 'billed_duration_s'] as const;
export const POSTABLE_FIELDS = [
  ...Object.keys(TEXT_FIELDS),
  ...TIME_FIELDS,
  ...SECONDS_FIELDS,
  ...['i_account', 'direction', 'result', 'cost', 'attributes'],
];

const MAX_RECORD_BYTES = 65_536;
const MAX_ATTRIBUTES = 100;

type Fields = Readonly<Record<string, unknown>>;

/** Carries a rejection out of the readers below; never leaves this file. */
class Refused extends Error {
  readonly parsed: ParsedRecord;
  constructor(parsed: ParsedRecord) {
    super();
    this.parsed = parsed;
  }
}

function refuse(
  code: 'missing_field' | 'bad_value' | 'bad_time' | 'bad_number',
  field: string,
  reason: string,
): never {
  throw new Refused(rejected(code, field, reason) as ParsedRecord);
}

/** A record's bytes, as they were kept when it was set aside. */
export function parsePostedRecord(bytes: Buffer): ParsedRecord {
  try {
    return recordFromFields(JSON.parse(bytes.toString()), new Map());
  } catch {
    return { kind: 'rejected', rejection: { code: 'unreadable_row', reason: 'the record is no JSON' } };
  }
}

/**
 * One record. Never throws, whatever the value is.
 * @param codes of accounts that records name by `i_account`
 */
export function recordFromFields(value: unknown, codes: ReadonlyMap<number, string>): ParsedRecord {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return {
      kind: 'rejected',
      rejection: { code: 'unreadable_row', reason: 'the record is no JSON object' },
    };
  }
  const bytes = Buffer.byteLength(JSON.stringify(value));
  if (bytes > MAX_RECORD_BYTES) {
    const reason = `the record has ${bytes} bytes; at most ${MAX_RECORD_BYTES} describe a call`;
    return { kind: 'rejected', rejection: { code: 'too_large', reason } };
  }
  try {
    return { kind: 'record', record: readRecord(value as Fields, codes) };
  } catch (error) {
    if (error instanceof Refused) return error.parsed;
    throw error;
  }
}

/** The numbers by which records of a batch name their accounts. */
export function namedAccounts(values: readonly unknown[]): number[] {
  const numbers = values.map((value) => (value as { i_account?: unknown } | null)?.i_account);
  return [...new Set(numbers.filter(isAccountNumber))];
}

const isAccountNumber = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) > 0;

function readRecord(fields: Fields, codes: ReadonlyMap<number, string>): SourceRecord {
  const unknown = Object.keys(fields).find((name) => !POSTABLE_FIELDS.includes(name));
  if (unknown !== undefined) {
    refuse(
      'bad_value',
      unknown.slice(0, 100),
      `there is no field ${quoted(unknown)}; there are: ${POSTABLE_FIELDS.join(', ')}`,
    );
  }
  const accountCode = readAccount(fields, codes);
  const text = (field: TextField) => readText(fields, field);
  const times = readTimes(fields);
  const told = readSeconds(fields, 'duration_s');
  if (told === null && times.disconnectTime === null) {
    refuse(
      'missing_field',
      'duration_s',
      'how long the call was is not told: neither duration_s nor disconnect_time',
    );
  }
  const { startTime, connectTime, disconnectTime } = times;
  const between = (from: number, to: number | null) => Math.max(0, ((to ?? from) - from) / 1000);
  const durationS = told ?? between(startTime, disconnectTime);
  const billedDurationS =
    readSeconds(fields, 'billed_duration_s') ??
    (connectTime === null ? 0 : between(connectTime, disconnectTime));
  const cli = text('cli') ?? '';
  const cld = text('cld') ?? '';
  if (cli === '' && cld === '')
    refuse('missing_field', 'cld', 'who called whom is not told: neither cli nor cld');
  const disconnectCause = text('disconnect_cause');
  const isAnswered = connectTime !== null || billedDurationS > 0;
  return {
    accountCode,
    callId: text('call_id') ?? '',
    identity: identityOf(fields, accountCode),
    cli,
    cld,
    direction: readWord<Direction>(fields, 'direction', DIRECTIONS),
    startTime,
    connectTime,
    disconnectTime,
    durationS,
    billedDurationS,
    result: readWord<CallResult>(fields, 'result', CALL_RESULTS) ?? tellResult(isAnswered, disconnectCause),
    disconnectCause,
    country: text('country')?.toUpperCase() ?? null,
    description: text('description'),
    cost: readCost(fields),
    currency: text('currency')?.toUpperCase() ?? null,
    remoteIp: text('remote_ip'),
    userAgent: text('user_agent'),
    flags: withBillingFlag(times.flags, durationS, billedDurationS),
    attributes: readAttributes(fields),
  };
}

function readAccount(fields: Fields, codes: ReadonlyMap<number, string>): string {
  const code = readText(fields, 'account');
  const iAccount = fields.i_account ?? null;
  if (iAccount === null) return code ?? '';
  if (!isAccountNumber(iAccount)) refuse('bad_value', 'i_account', 'i_account must be a whole number from 1');
  const known = codes.get(iAccount);
  if (known === undefined) {
    const rejection = {
      code: 'unknown_account',
      field: 'i_account',
      reason: `there is no account ${iAccount}`,
    } as const;
    throw new Refused({ kind: 'rejected', rejection });
  }
  if (code !== null && code !== known) {
    refuse(
      'bad_value',
      'i_account',
      `account ${iAccount} is not the one with the code ${quoted(code)}; give one of the two`,
    );
  }
  return known;
}

/** null where the field is left out, null or blank. */
function readText(fields: Fields, field: TextField): string | null {
  const value = fields[field] ?? null;
  if (value === null) return null;
  if (typeof value !== 'string') refuse('bad_value', field, `${field} must be a text in quotes`);
  if (value.length > TEXT_FIELDS[field]) {
    refuse(
      'bad_value',
      field,
      `${field} has ${value.length} characters; at most ${TEXT_FIELDS[field]} are taken`,
    );
  }
  return value.trim() || null;
}

function readTimes(fields: Fields) {
  const written = TIME_FIELDS.map((field) => {
    const value = fields[field] ?? '';
    if (typeof value !== 'string')
      refuse('bad_time', field, `${field} must be an RFC 3339 instant in quotes`);
    if (readStamp(value, 'ymd').kind === 'wall') {
      refuse(
        'bad_time',
        field,
        `${field} is ${quoted(value)}; it needs its zone: Z, or an offset such as +01:00`,
      );
    }
    return value;
  });
  const [start, connect, disconnect] = written as [string, string, string];
  const times = createCallClock('UTC').resolve({ start, connect, disconnect, durationS: 0 });
  if (times.kind === 'times') return times;
  const names = { start: 'start_time', connect: 'connect_time', disconnect: 'disconnect_time' };
  throw new Refused(namedTime(times.rejection, names) as ParsedRecord);
}

function readSeconds(fields: Fields, field: (typeof SECONDS_FIELDS)[number]): number | null {
  const value = fields[field] ?? null;
  if (value === null) return null;
  const isDecimal = typeof value === 'string' && /^\d{1,9}(\.\d{1,9})?$/.test(value);
  const seconds = typeof value === 'number' ? value : isDecimal ? Number(value) : Number.NaN;
  if (!(seconds >= 0 && seconds < Number.POSITIVE_INFINITY)) {
    refuse(
      'bad_number',
      field,
      `${field} is ${quoted(JSON.stringify(value))}; it should be a number of seconds, such as 42`,
    );
  }
  return seconds + 0; // JSON has a -0
}

function readWord<Word extends string>(fields: Fields, field: string, words: readonly Word[]): Word | null {
  const value = fields[field] ?? null;
  if (value === null) return null;
  const word = words.find((known) => known === value);
  if (word === undefined) {
    refuse(
      'bad_value',
      field,
      `${field} is ${quoted(JSON.stringify(value))}; it should be one of: ${words.join(', ')}`,
    );
  }
  return word;
}

function tellResult(isAnswered: boolean, cause: string | null): CallResult {
  if (isAnswered) return 'answered';
  const told = cause === null ? undefined : readResult(cause);
  if (told === 'cleared') return 'no_answer';
  if (told !== undefined) return told;
  const results = CALL_RESULTS.join(', ');
  refuse('missing_field', 'result', `the call was not answered, and how it ended is not told: ${results}`);
}

function readCost(fields: Fields): string | null {
  const value = fields.cost ?? null;
  if (value === null) return null;
  const amount =
    typeof value === 'string'
      ? readAmount(value.trim(), false)
      : typeof value === 'number'
        ? decimalOf(value)
        : undefined;
  if (amount === undefined) {
    refuse(
      'bad_number',
      'cost',
      `cost is ${quoted(JSON.stringify(value))}; it should be a decimal, best in quotes, such as "0.042"`,
    );
  }
  return amount;
}

/** A number as it was meant: a small one without its exponent. A huge one keeps it, and is refused by its size. */
function decimalOf(value: number): string {
  const [, sign, whole, fraction = '', zeros] = /^(-?)(\d)(?:\.(\d+))?e-(\d+)$/.exec(String(value)) ?? [];
  if (zeros === undefined) return String(value);
  return `${sign}0.${'0'.repeat(Number(zeros) - 1)}${whole}${fraction}`;
}

function readAttributes(fields: Fields): Record<string, string> {
  const value = fields.attributes ?? {};
  if (typeof value !== 'object' || Array.isArray(value))
    refuse('bad_value', 'attributes', 'attributes must be an object');
  const entries = Object.entries(value);
  if (entries.length > MAX_ATTRIBUTES) {
    refuse(
      'bad_value',
      'attributes',
      `attributes has ${entries.length} names; at most ${MAX_ATTRIBUTES} are taken`,
    );
  }
  const attributes: [string, string][] = [];
  for (const [name, attribute] of entries) {
    if (attribute === null || attribute === '') continue;
    if (typeof attribute === 'object') {
      refuse(
        'bad_value',
        'attributes',
        `attributes.${name.slice(0, 100)} must be a text, a number or a truth value`,
      );
    }
    attributes.push([name, String(attribute)]);
  }
  return Object.fromEntries(attributes);
}

/** The account by its code, so that a record that names it by number is the same. */
function identityOf(fields: Fields, accountCode: string): string {
  const callId = readText(fields, 'call_id');
  const sourceKey = readText(fields, 'source_key');
  if (sourceKey !== null) return JSON.stringify([callId, sourceKey]);
  const { i_account: _, account: __, ...rest } = fields;
  const sorted = (object: object) =>
    Object.entries(object)
      .filter(([, value]) => value !== null)
      .sort(([a], [b]) => (a < b ? -1 : 1));
  const attributes = sorted((rest.attributes as object | null | undefined) ?? {});
  return JSON.stringify([accountCode, sorted({ ...rest, attributes: null }), attributes]);
}
