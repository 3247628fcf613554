/**
 * A call after one record of it: a stored call, or a row that is about to be stored. Two of them are compared where they
 * may be the same call (same_call.ts), and combined where one completes the other.
 */

import type { CallResult, CdrFlag, Direction } from '../call_fields.ts';
import { COPY_COLUMNS, type PlainTexts, plainTexts, plainTold } from '../call_fields.ts';
import type { SourceRecord } from '../cdr.ts';
import { secondsBetween } from '../outcome.ts';
import { TOLD } from '../told.ts';
import { type Leg, legOf } from './legs.ts';
import { linkedIdOf } from './linkage.ts';

export interface ToldCall extends PlainTexts {
  /** 0: not stored yet. */
  readonly iCdr: number;
  readonly iAccount: number;
  /** Milliseconds since 1970, to the microsecond. */
  readonly startTime: number;
  readonly connectTime: number | null;
  readonly disconnectTime: number | null;
  readonly durationS: number;
  readonly billedDurationS: number;
  readonly cost: string | null;
  readonly iImport: number | null;
  readonly line: number | null;
  readonly currency: string;
  readonly country: string | null;
  readonly direction: Direction;
  readonly result: CallResult;
  /** E.164 where that is certain. */
  readonly cli: string;
  readonly cld: string;
  /** As written, where that differs. */
  readonly cliIn: string | null;
  readonly cldIn: string | null;
  readonly callId: string;
  /** '' where its source did not give it. */
  readonly linkedId: string;
  readonly source: string;
  readonly sourceKey: string;
  readonly disconnectCause: string | null;
  readonly flags: readonly CdrFlag[];
  readonly attributes: Readonly<Record<string, string>>;
  /** As calls.cdrs.told. Null: an earlier version stored the call. */
  readonly told: number | null;
  readonly leg: Leg;
}

/** A call's columns as texts by their names. */
type Texts = Readonly<Record<string, string | null>>;

const PLACES = Object.fromEntries(COPY_COLUMNS.map((name, place) => [name, place]));
const ESCAPE = /\\(.)/g;
const ESCAPED: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };

function textsOf(line: string): (column: string) => string | null {
  const fields = line.slice(0, -1).split('\t');
  return (name) => {
    const text = fields[PLACES[name]!]!;
    if (text === '\\N') return null;
    return text.includes('\\') ? text.replace(ESCAPE, (_, sign: string) => ESCAPED[sign] ?? sign) : text;
  };
}

/** @param line as `copyLine` (copy_text.ts) makes it, without its i_cdr */
export const fromCopyLine = (line: string): ToldCall => fromTexts(textsOf(line));

/** The call as JSON that `putBack` (store/told_calls.ts) takes: PostgreSQL reads each text as the column's. */
export function copyLineAsJson(line: string, iCdr: number): string {
  const text = textsOf(line);
  const columns = COPY_COLUMNS.map((name) => [name, text(name)] as const);
  const attributes = JSON.parse(text('attributes') ?? 'null');
  return JSON.stringify({ ...Object.fromEntries(columns), i_cdr: iCdr, attributes });
}

/** @param row of `callsByNumber` (store/told_calls.ts): texts, instants as COPY writes them */
export const fromRow = (row: Texts): ToldCall => fromTexts((name) => row[name] ?? null);

function fromTexts(text: (column: string) => string | null): ToldCall {
  const number = (column: string) => Number(text(column));
  const time = (column: string) => {
    const value = text(column);
    return value === null ? null : timeOf(value);
  };
  const attributes = JSON.parse(text('attributes') ?? '{}') as Record<string, string>;
  const flags = text('flags')?.slice(1, -1);
  return {
    iCdr: number('i_cdr'),
    iAccount: number('i_account'),
    startTime: time('start_time')!,
    connectTime: time('connect_time'),
    disconnectTime: time('disconnect_time'),
    durationS: number('duration_s'),
    billedDurationS: number('billed_duration_s'),
    cost: text('cost'),
    iImport: text('i_import') === null ? null : number('i_import'),
    line: text('line') === null ? null : number('line'),
    currency: text('currency')!,
    country: text('country'),
    direction: text('direction') as Direction,
    result: text('result') as CallResult,
    cli: text('cli')!,
    cld: text('cld')!,
    cliIn: text('cli_in'),
    cldIn: text('cld_in'),
    callId: text('call_id')!,
    linkedId: text('linked_id') ?? linkedIdOf({ attributes }),
    source: text('source')!,
    sourceKey: text('source_key')!,
    disconnectCause: text('disconnect_cause'),
    ...plainTexts(text),
    flags: (flags ? flags.split(',') : []) as CdrFlag[],
    attributes,
    told: text('told') === null ? null : number('told'),
    leg: legOf(attributes),
  };
}

/** `2026-03-02 09:04:54[.123456]Z` */
function timeOf(text: string): number {
  const toSecond = Date.parse(`${text.slice(0, 10)}T${text.slice(11, 19)}Z`);
  return text.length > 20 ? toSecond + Number(text.slice(19, -1)) * 1000 : toSecond;
}

/** A number as its source wrote it. */
export const writtenCli = (call: ToldCall): string => call.cliIn ?? call.cli;
export const writtenCld = (call: ToldCall): string => call.cldIn ?? call.cld;

/**
 * Which values its source gave. For a call of an earlier version this is unknown: possibly concluded values count as
 * concluded.
 */
export function toldBy(call: ToldCall): number {
  // Earlier versions kept it only among the attributes.
  const linked = call.linkedId === '' ? 0 : TOLD.linked_id;
  if (call.told !== null) return (call.told & ~TOLD.linked_id) | linked;
  const isBilledTold = !call.flags.includes('billed_inferred');
  return (
    linked |
    (call.callId === call.sourceKey ? 0 : TOLD.call_id) |
    (writtenCli(call) === '' ? 0 : TOLD.cli) |
    (writtenCld(call) === '' ? 0 : TOLD.cld) |
    (call.connectTime === null ? 0 : TOLD.connect_time) |
    (call.disconnectTime === null ? 0 : TOLD.disconnect_time) |
    TOLD.duration_s |
    (isBilledTold ? TOLD.billed_duration_s : 0) |
    TOLD.cause_result |
    (call.disconnectCause === null ? 0 : TOLD.disconnect_cause) |
    TOLD.answers |
    (call.cost === null ? 0 : TOLD.cost) |
    plainTold(call)
  );
}

/** Flags that can't be concluded from the values any more. */
const CARRIED: ReadonlySet<CdrFlag> = new Set([
  'ambiguous_time',
  'nonexistent_time',
  'times_out_of_order',
  'direction_unknown',
  'not_rated',
] as const);

/**
 * The combined values of two records of a call; where both have one, the first record's counts. `accountOfBoth` chooses
 * its account.
 * @param sameRow both are readings of one row: a value that one of them reads as a field is no attribute
 */
export function saidByBoth(first: ToldCall, second: ToldCall, sameRow: boolean): SourceRecord {
  const [one, other] = [toldBy(first), toldBy(second)];
  /** The value of the record that counts. Null where neither has it. */
  const pick = <T>(bit: number, of: (call: ToldCall) => T): T | null =>
    one & bit ? of(first) : other & bit ? of(second) : null;
  const startTime = first.startTime;
  const disconnectTime = pick(TOLD.disconnect_time, (call) => call.disconnectTime);
  const durationS = pick(TOLD.duration_s, (call) => call.durationS);
  const cost = pick(TOLD.cost, (call) => call.cost);
  const flags = new Set([...first.flags, ...second.flags].filter((flag) => CARRIED.has(flag)));
  if (cost !== null) flags.delete('not_rated');
  const isDirectionOpen = first.direction === 'unknown' && second.direction === 'unknown';
  return {
    accountCode: '',
    callId: pick(TOLD.call_id, (call) => call.callId) ?? '',
    identity: '',
    alsoSays: '',
    wholeRow: '',
    linkedId: pick(TOLD.linked_id, (call) => call.linkedId) ?? '',
    cli: pick(TOLD.cli, writtenCli) ?? '',
    cld: pick(TOLD.cld, writtenCld) ?? '',
    direction: pick(TOLD.direction, (call) => call.direction) ?? (isDirectionOpen ? 'unknown' : null),
    startTime,
    connectTime: pick(TOLD.connect_time, (call) => call.connectTime),
    disconnectTime,
    durationS: durationS ?? secondsBetween(startTime, disconnectTime ?? startTime),
    ...(durationS === null && { durationInferred: true }),
    billedDurationS: pick(TOLD.billed_duration_s, (call) => call.billedDurationS),
    resultWord: null,
    result: pick(TOLD.result, resultOfWord),
    disconnectCause: pick(TOLD.disconnect_cause, (call) => call.disconnectCause),
    causeResult: pick(TOLD.cause_result, ({ result }) => (result === 'answered' ? 'cleared' : result)),
    tellsAnswers: ((one | other) & TOLD.answers) !== 0,
    country: pick(TOLD.country, (call) => call.country),
    cost,
    currency: pick(TOLD.currency, (call) => call.currency),
    ...plainTexts((name, key) => pick(TOLD[name], (call) => call[key] ?? null)),
    flags: [...flags],
    attributes: sameRow
      ? Object.fromEntries(Object.entries(first.attributes).filter(([name]) => name in second.attributes))
      : { ...second.attributes, ...first.attributes },
  };
}

/** The word that decided the result, or was overruled. */
function resultOfWord({ result, flags }: ToldCall): CallResult {
  if (!flags.includes('result_contradicted')) return result;
  return result === 'answered' ? 'no_answer' : 'answered';
}

/** The call's account by two records, as `saidByBoth` takes the other values. */
export const accountOfBoth = (first: ToldCall, second: ToldCall): number =>
  toldBy(first) & TOLD.account || !(toldBy(second) & TOLD.account) ? first.iAccount : second.iAccount;
