/**
 * One row of a mapped CSV to a record.
 *
 * A record's identity is the whole row, by column name: nothing is known about these files that would allow less. So
 * the order of the columns does not matter, nor does a new column that is blank.
 */
import type { CallResult, Parsed, RejectionCode, SourceRecord } from '../cdr.ts';
import type { CallClock } from '../time/stamps.ts';
import { attributesOf, namedTime, quoted, refusedNumber, rejected, withBillingFlag } from './field_values.ts';
import type { MappedField, Mapping } from './mapped.ts';
import {
  readAmount,
  readCountry,
  readCurrency,
  readDirection,
  readDuration,
  readIp,
  readResult,
} from './mapped_values.ts';
import { SourceError } from './source_error.ts';

/** The header and where in it things are. */
export interface Header {
  readonly columns: readonly string[];
  /** Place of each mapped field. */
  readonly places: ReadonlyMap<MappedField, number>;
  readonly accountPlace: number | undefined;
  readonly unmapped: readonly (readonly [place: number, name: string])[];
  /** All places, by column name: the identity's order. */
  readonly sorted: readonly number[];
}

/** @throws SourceError naming a mapped column that the header lacks */
export function readHeader(
  written: readonly string[],
  mapping: Mapping,
  accountField: string | undefined,
): Header {
  const columns = written.map((name) => name.trim());
  const places = new Map<MappedField, number>();
  for (const [column, field] of Object.entries(mapping.columns)) places.set(field, placeOf(column, columns));
  const accountPlace = accountField === undefined ? places.get('account') : placeOf(accountField, columns);
  const mapped = new Set(places.values());
  const all = [...columns.keys()];
  return {
    columns,
    places,
    accountPlace,
    unmapped: all
      .filter((place) => !mapped.has(place))
      .map((place) => [place, attributeName(columns, place)]),
    sorted: all.sort((a, b) => (columns[a]! < columns[b]! ? -1 : columns[a]! > columns[b]! ? 1 : a - b)),
  };
}

/** A name of its own for each column, also where the header repeats one or leaves it blank. */
function attributeName(columns: readonly string[], place: number): string {
  const name = columns[place]!;
  return name !== '' && columns.indexOf(name) === place ? name : `${name || 'column'}_${place + 1}`;
}

function placeOf(column: string, columns: readonly string[]): number {
  const same = columns.flatMap((name, place) => (name === column ? [place] : []));
  const found =
    same.length > 0
      ? same
      : columns.flatMap((name, place) => (name.toLowerCase() === column.toLowerCase() ? [place] : []));
  if (found.length === 1) return found[0]!;
  const problem = found.length === 0 ? 'has no column' : 'has more than one column';
  throw new SourceError(`the header ${problem} "${column}"; it has: ${columns.join(', ')}`);
}

const SECONDS = 'seconds or H:MM:SS';
const RESULT =
  'answered, no_answer, busy, cancelled or failed, a Q.850 cause (1 to 127) or a SIP status (200 to 699)';

/** @param decimalComma whether 0,5 is a half: where the separator is a semicolon */
export function toRecord(
  fields: string[],
  header: Header,
  clock: CallClock,
  decimalComma: boolean,
  defaultAccount: string,
): Parsed {
  const text = (field: MappedField): string => {
    const place = header.places.get(field);
    return place === undefined ? '' : fields[place]!.trim();
  };
  const column = (field: MappedField): string => header.columns[header.places.get(field) ?? -1] ?? field;
  /** null: blank; undefined: can't be read. */
  const value = <T>(field: MappedField, read: (text: string, decimalComma: boolean) => T | undefined) =>
    text(field) === '' ? null : read(text(field), decimalComma);
  const refuse = (field: MappedField, right: string, code: RejectionCode = 'bad_value'): Parsed =>
    rejected(code, column(field), `${column(field)} is ${quoted(text(field))}; it should be ${right}`);

  const refused = refusedNumber(column('cli'), text('cli')) ?? refusedNumber(column('cld'), text('cld'));
  if (refused) return refused;
  const duration = value('duration_s', readDuration);
  if (duration === undefined) return refuse('duration_s', SECONDS, 'bad_number');
  const billed = value('billed_duration_s', readDuration);
  if (billed === undefined) return refuse('billed_duration_s', SECONDS, 'bad_number');
  const cost = value('cost', readAmount);
  if (cost === undefined)
    return refuse('cost', 'an amount such as 0.0125, without its currency', 'bad_number');
  const currency = value('currency', readCurrency);
  if (currency === undefined) return refuse('currency', 'a code of ISO 4217, such as EUR');
  const country = value('country', readCountry);
  if (country === undefined) return refuse('country', 'a code of ISO 3166-1, such as DE, or an English name');
  const direction = value('direction', readDirection);
  if (direction === undefined) return refuse('direction', 'outbound, inbound, internal or unknown');
  const remoteIp = value('remote_ip', readIp);
  if (remoteIp === undefined) return refuse('remote_ip', 'an IP address');
  const told = value('result', readResult);
  if (told === undefined) return refuse('result', RESULT);

  const times = clock.resolve({
    start: text('start_time'),
    connect: text('connect_time'),
    disconnect: text('disconnect_time'),
    // NaN agrees and disagrees with no reading of the stamps.
    durationS: duration ?? Number.NaN,
  });
  if (times.kind === 'rejected') {
    const [start, connect, disconnect] = [
      column('start_time'),
      column('connect_time'),
      column('disconnect_time'),
    ];
    return namedTime(times.rejection, { start, connect, disconnect });
  }
  const { startTime, connectTime, disconnectTime } = times;
  const durationS = duration ?? secondsBetween(startTime, disconnectTime);
  if (durationS === null) {
    const missing = column(header.places.has('duration_s') ? 'duration_s' : 'disconnect_time');
    return rejected(
      'missing_field',
      missing,
      `${missing} is blank, and nothing else tells how long the call was`,
    );
  }
  const evidence = connectTime !== null || (billed ?? 0) > 0 || (knowsAnswers(header) ? false : null);
  const result = resultOf(told, value('disconnect_cause', readResult) ?? null, evidence, durationS > 0);
  const billedDurationS =
    billed ?? (result === 'answered' ? (secondsBetween(connectTime, disconnectTime) ?? durationS) : 0);

  const record: SourceRecord = {
    accountCode:
      (header.accountPlace === undefined ? '' : fields[header.accountPlace]!.trim()) || defaultAccount,
    callId: text('call_id'),
    identity: identityOf(fields, header),
    cli: text('cli'),
    cld: text('cld'),
    direction,
    startTime,
    connectTime,
    disconnectTime,
    durationS,
    billedDurationS,
    result,
    disconnectCause: text('disconnect_cause') || text('result') || null,
    country,
    description: text('description') || null,
    cost,
    currency,
    remoteIp,
    userAgent: text('user_agent') || null,
    flags: withBillingFlag(times.flags, durationS, billedDurationS),
    attributes: attributesOf(header.unmapped.map(([place, name]) => [name, fields[place]!.trim()])),
  };
  return { kind: 'record', record };
}

/** Whether the file tells of each call if it was answered. */
function knowsAnswers(header: Header): boolean {
  return header.places.has('connect_time') || header.places.has('billed_duration_s');
}

/**
 * What the result's column says counts; next what the row proves; then the cause; last, that a call without a duration
 * was not answered.
 * @param answered by an answer time or billed seconds; null where the file tells neither
 */
function resultOf(
  told: CallResult | 'cleared' | null,
  cause: CallResult | 'cleared' | null,
  answered: boolean | null,
  hasDuration: boolean,
): CallResult {
  if (told !== null && told !== 'cleared') return told;
  if (answered) return 'answered';
  if (told === null && cause !== null && cause !== 'cleared') return cause;
  return (answered ?? hasDuration) ? 'answered' : 'no_answer';
}

function secondsBetween(fromMs: number | null, toMs: number | null): number | null {
  if (fromMs === null || toMs === null) return null;
  return Math.max(0, Math.round((toMs - fromMs) * 1000) / 1_000_000);
}

function identityOf(fields: string[], header: Header): string {
  let identity = '';
  for (const place of header.sorted) {
    if (fields[place] !== '') identity += `${header.columns[place]}=${fields[place]}\u001f`;
  }
  return identity;
}
