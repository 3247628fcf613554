/**
 * A record that a switch or a program posts: a JSON object with the API's own field names.
 *
 *   {"account": "acme", "start_time": "2026-11-21T10:00:00+01:00", "connect_time": …, "disconnect_time": …,
 *    "cli": "+4930123456", "cld": "+442079460001", "call_id": "…", "cost": "0.042", …}
 *
 * Needed: its account (`account`, the code, or `i_account`), `start_time`, `cld` or `cli`, and its length (`duration_s` or
 * `disconnect_time`). Other fields follow from these where the record leaves them out and they can be concluded. The rule
 * of outcome.ts decides whether the call was answered, and its billed time.
 *
 * A record that is posted again is recognised by `call_id` and, among the legs of that call, by `source_key` if it has
 * one, else by the fields that distinguish legs (intake/legs.ts). A record with neither is recognised by all its values.
 */
import { given, isNoFigure, isNone } from '../absent.ts';
import { tidyCode } from '../account_codes.ts';
import {
  fieldOf,
  POSTABLE_FIELDS,
  type PostedField,
  type PostedText,
  plainTexts,
  SECONDS_COLUMNS,
  TIME_COLUMNS,
} from '../call_fields.ts';
import type { Rejection, SourceRecord } from '../cdr.ts';
import { secondsBetween } from '../outcome.ts';
import { readStamp } from '../time/stamp_text.ts';
import { createCallClock } from '../time/stamps.ts';
import { readResult } from './causes.ts';
import { readDirection } from './direction_words.ts';
import { isRawNumber, numberText, parseExactJson } from './exact_json.ts';
import { namedTime, quoted, rejected } from './field_values.ts';
import { bytesToText } from './freeswitch_post.ts';
import { readAmount } from './mapped_values.ts';
import { normalValue } from './normal_values.ts';
import { repeatedName } from './repeated_names.ts';
import type { ParsedRow } from './source_reader.ts';

/** Format of such records in calls.imports. */
export const POSTED_FIELDS = 'posted-fields';
/** Their source, unless the post names one: the programs of one provider. */
export const POSTED_SOURCE = 'posted';

export type ParsedRecord = ParsedRow['parsed'];

/** Far more than a record has. A larger record is rejected unread (posted_body.ts). */
export const MAX_RECORD_BYTES = 65_536;
export const MAX_RECORD_KEYS = 1_000;
/** More characters than an instant or an amount has, however written. */
const MAX_VALUE_LENGTH = 100;
const MAX_ATTRIBUTES = 100;

type Fields = Readonly<Record<string, unknown>>;

/** Carries a rejection out of the readers below. Never leaves this file. */
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

/** A record's bytes, as the quarantine keeps them. */
export function parsePostedRecord(bytes: Buffer): ParsedRecord {
  try {
    const text = bytesToText(bytes);
    const value = parseExactJson(text);
    const rejection = repeatedField(text, value);
    return rejection ? { kind: 'rejected', rejection } : recordFromFields(value, new Map());
  } catch {
    return { kind: 'rejected', rejection: { code: 'unreadable_row', reason: 'the record is no JSON' } };
  }
}

/** The reason for rejecting a record in which a name stands twice: it has two values for one field. */
export function repeatedField(text: string, value: unknown): Rejection | undefined {
  const name = repeatedName(text, value, () => true);
  if (name === undefined) return undefined;
  const reason = `the name ${quoted(name)} stands twice in the record`;
  return { code: 'bad_value', field: name.slice(0, 100), reason };
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
  try {
    return { kind: 'record', record: readRecord(value as Fields, codes) };
  } catch (error) {
    if (error instanceof Refused) return error.parsed;
    throw error;
  }
}

/** The numbers with which a batch's records name their accounts. */
export function namedAccounts(values: readonly unknown[]): number[] {
  const numbers = values.map((value) => (value as { i_account?: unknown } | null)?.i_account);
  return [...new Set(numbers.filter(isAccountNumber))];
}

const isAccountNumber = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) > 0;

const isPostable = (name: string): name is PostedField =>
  (POSTABLE_FIELDS as readonly string[]).includes(name);

function readRecord(fields: Fields, codes: ReadonlyMap<number, string>): SourceRecord {
  const unknown = Object.keys(fields).find((name) => !isPostable(name));
  if (unknown !== undefined) {
    refuse(
      'bad_value',
      unknown.slice(0, 100),
      `there is no field ${quoted(unknown)}; there are: ${POSTABLE_FIELDS.join(', ')}`,
    );
  }
  for (const field of [...TIME_COLUMNS, ...SECONDS_COLUMNS, 'cost'] as const) {
    const value = fields[field];
    const { length } = typeof value === 'string' ? value : (numberText(value) ?? '');
    if (length <= MAX_VALUE_LENGTH) continue;
    refuse('bad_value', field, `${field} has ${length} characters; at most ${MAX_VALUE_LENGTH} are taken`);
  }
  const accountCode = readAccount(fields, codes);
  const text = (field: PostedText) => readText(fields, field);
  const times = readTimes(fields);
  const told = readSeconds(fields, 'duration_s');
  if (told === null && times.disconnectTime === null) {
    refuse(
      'missing_field',
      'duration_s',
      'the length of the call is missing: neither duration_s nor disconnect_time is given',
    );
  }
  const { startTime, connectTime, disconnectTime } = times;
  const durationS = told ?? secondsBetween(startTime, disconnectTime!);
  const cli = text('cli') ?? '';
  const cld = text('cld') ?? '';
  if (cli === '' && cld === '')
    refuse('missing_field', 'cld', 'the numbers of the call are missing: neither cli nor cld is given');
  const sourceKey = text('source_key');
  const disconnectCause = text('disconnect_cause');
  const resultWord = text('result');
  const directionWord = text('direction');
  const direction = directionWord === null ? null : readDirection(directionWord);
  return {
    accountCode,
    callId: text('call_id') ?? '',
    ...(text('linked_id') !== null && { linkedId: text('linked_id')! }),
    identity: identityOf(fields, accountCode),
    alsoSays: allThatIsSaid(fields, accountCode, false),
    wholeRow: text('call_id') === null ? (sourceKey ?? allThatIsSaid(fields, accountCode, true)) : '',
    ...(text('call_id') === null && sourceKey !== null && { wholeRowIsName: true as const }),
    cli,
    cld,
    // A left-out caller is unknown; a caller of '' hides his number.
    direction: direction ?? ((fields.cli ?? null) === null ? 'unknown' : null),
    startTime,
    connectTime,
    disconnectTime,
    durationS,
    ...(told === null && { durationInferred: true as const }),
    billedDurationS: readSeconds(fields, 'billed_duration_s'),
    resultWord,
    result: resultWord === null ? null : (readResult(resultWord) ?? null),
    disconnectCause,
    causeResult: disconnectCause === null ? null : (readResult(disconnectCause) ?? null),
    tellsAnswers: true,
    country: text('country')?.toUpperCase() ?? null,
    cost: readCost(fields),
    currency: text('currency')?.toUpperCase() ?? null,
    ...plainTexts(text),
    flags: direction === undefined ? [...times.flags, 'direction_unknown'] : times.flags,
    attributes: {
      ...readAttributes(fields),
      ...(direction === undefined && directionWord !== null && { direction: directionWord }),
      ...(sourceKey !== null && { source_key: sourceKey }),
    },
  };
}

function readAccount(fields: Fields, codes: ReadonlyMap<number, string>): string {
  const code = readText(fields, 'account');
  const iAccount = fieldValue(fields, 'i_account');
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
  if (code !== null && !isNone(code) && tidyCode(code) !== tidyCode(known)) {
    refuse(
      'bad_value',
      'i_account',
      `account ${iAccount} is not the one with the code ${quoted(code)}; give one of the two`,
    );
  }
  return known;
}

/** A field's value. Null where it is left out, null, or a text that means "none". */
function fieldValue(fields: Fields, field: PostedField): unknown {
  const value = fields[field] ?? null;
  if (typeof value !== 'string') return value;
  return (fieldOf(field).figure ? isNoFigure(value) : isNone(value)) ? null : value;
}

/** Null where the field has no value. An account's code may be any text: a later step looks up the account. */
function readText(fields: Fields, field: PostedText): string | null {
  const value = field === 'account' ? (fields.account ?? null) : fieldValue(fields, field);
  if (value === null) return null;
  // A cause's number is not quoted where its program writes JSON.
  if (typeof value === 'number' && (field === 'result' || field === 'disconnect_cause')) return String(value);
  if (typeof value !== 'string' && (field === 'cli' || field === 'cld')) {
    refuse(
      'bad_value',
      field,
      `${field} must be a text in quotes: a number loses its plus sign and leading zeros, and with an exponent its digits`,
    );
  }
  if (typeof value !== 'string') refuse('bad_value', field, `${field} must be a text in quotes`);
  const longest = fieldOf(field).longest!;
  if (value.length > longest)
    refuse('bad_value', field, `${field} has ${value.length} characters; at most ${longest} are taken`);
  return value.trim() || null;
}

function readTimes(fields: Fields) {
  const written = TIME_COLUMNS.map((field) => {
    const value = fieldValue(fields, field) ?? '';
    if (typeof value !== 'string')
      refuse('bad_time', field, `${field} must be an RFC 3339 instant in quotes`);
    if (readStamp(value, undefined).kind === 'wall') {
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

function readSeconds(fields: Fields, field: (typeof SECONDS_COLUMNS)[number]): number | null {
  const value = fieldValue(fields, field);
  if (value === null) return null;
  const isDecimal = typeof value === 'string' && /^\d{1,9}(\.\d{1,9})?$/.test(value);
  const isNumber = numberText(value) !== undefined;
  const seconds = isNumber ? Number(numberText(value)) : isDecimal ? Number(value) : Number.NaN;
  if (!(seconds >= 0 && seconds < Number.POSITIVE_INFINITY)) {
    refuse(
      'bad_number',
      field,
      `${field} is ${quoted(JSON.stringify(value))}; it should be a number of seconds, such as 42`,
    );
  }
  return seconds + 0; // JSON has a -0
}

function readCost(fields: Fields): string | null {
  const value = fieldValue(fields, 'cost');
  if (value === null) return null;
  const written = typeof value === 'string' ? value : numberText(value);
  const amount = written === undefined ? undefined : readAmount(written);
  if (amount === undefined) {
    refuse(
      'bad_number',
      'cost',
      `cost is ${quoted(JSON.stringify(value))}; it should be a decimal, best in quotes, such as "0.042"`,
    );
  }
  return amount;
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
    if (attribute === null || (typeof attribute === 'string' && isNone(attribute))) continue;
    if (typeof attribute === 'object' && !isRawNumber(attribute)) {
      refuse(
        'bad_value',
        'attributes',
        `attributes.${name.slice(0, 100)} must be a text, a number or a truth value`,
      );
    }
    attributes.push([name, numberText(attribute) ?? String(attribute)]);
  }
  return Object.fromEntries(attributes);
}

/** The fields by name, without those that have no value. The account is named by its code. */
function allThatIsSaid(fields: Fields, accountCode: string, whateverTheWriting: boolean): string {
  const said = (object: object): [string, string][] =>
    Object.entries(object)
      .map(([name, value]): [string, string] => {
        const text = typeof value === 'string' ? value : value == null ? '' : JSON.stringify(value);
        return [name, whateverTheWriting ? given(normalValue(text)) : text];
      })
      .filter(([, text]) => text !== '')
      .sort(([a], [b]) => (a < b ? -1 : 1));
  const { i_account: _, account: __, attributes, ...rest } = fields;
  return JSON.stringify([accountCode, said(rest), said((attributes as object | null | undefined) ?? {})]);
}

/** Names the account by its code, so that a record that names it by number is the same. Numbers are as in the version before. */
function identityOf(fields: Fields, accountCode: string): string {
  const callId = readText(fields, 'call_id');
  const sourceKey = readText(fields, 'source_key');
  if (sourceKey !== null) return JSON.stringify([callId, sourceKey]);
  const { i_account: _, account: __, ...rest } = fields;
  const sorted = (object: object) =>
    Object.entries(object)
      .filter(([, value]) => value !== null)
      .map(([name, value]) => [name, isRawNumber(value) ? Number(value.rawJSON) : value] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1));
  const attributes = sorted((rest.attributes as object | null | undefined) ?? {});
  return JSON.stringify([accountCode, sorted({ ...rest, attributes: null }), attributes]);
}
