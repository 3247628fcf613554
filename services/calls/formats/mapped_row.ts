/**
 * Makes a record of one row of a mapped CSV.
 *
 * The row's key is made from all its values, by column name, beside its call id. The user chooses the column of the call
 * id, and after a mapping without it the rows must still be recognised. The order of the columns does not matter, nor
 * does a new column that is blank.
 */

import { given, givenFigure } from '../absent.ts';
import type { MappedField } from '../call_fields.ts';
import { fieldOf, MAPPED_FIELDS, plainTexts } from '../call_fields.ts';
import type { Parsed, SourceRecord, ToldResult } from '../cdr.ts';
import { secondsBetween } from '../outcome.ts';
import type { DateOrder } from '../time/stamp_text.ts';
import type { CallClock } from '../time/stamps.ts';
import { readResult } from './causes.ts';
import type { DecimalRule } from './decimal_marks.ts';
import { readDirection } from './direction_words.ts';
import { type DurationUnit, readDuration } from './durations.ts';
import { attributesOf, listed, namedTime, quoted, rejected } from './field_values.ts';
import { composeTimes, type TimeUnit } from './mapped_times.ts';
import { readCountry, readCurrency, readIp } from './mapped_values.ts';
import { type Mapping, partsOf } from './mapping.ts';
import { readMoney } from './money.ts';
import { BETWEEN, normalValue } from './normal_values.ts';
import { SourceError } from './source_error.ts';

/** A row without these is not whole. */
const NEEDED: readonly MappedField[] = [
  ...([
    'start_date',
    'start_time',
    'disconnect_date',
    'disconnect_time',
    'duration_s',
    'cli',
    'cld',
  ] as const),
];

/** Text fields in which a word such as NA may be a value. */
const TEXTS: ReadonlySet<MappedField> = new Set(MAPPED_FIELDS.filter((field) => !fieldOf(field).figure));

/** The header and the places of its fields. */
export interface Header {
  readonly columns: readonly string[];
  /** Place of each mapped field. */
  readonly places: ReadonlyMap<MappedField, number>;
  /** Units of the values that have another unit than their field. */
  readonly units: ReadonlyMap<MappedField, string>;
  readonly accountPlace: number | undefined;
  /** The last place of a required field. */
  readonly needed: number;
  readonly unmapped: readonly (readonly [place: number, name: string])[];
  /** All places, by column name: the order of the row's key. */
  readonly sorted: readonly number[];
}

/** @throws SourceError naming a mapped column that the header lacks */
export function readHeader(
  written: readonly string[],
  mapping: Mapping,
  accountField: string | undefined,
): Header {
  const columns = written.map(cellText);
  // Some exports put a number sign before the header, as before a comment.
  const isNamed = (name: string) => name.toLowerCase() === columns[0]!.toLowerCase();
  if (columns[0]!.startsWith('#') && !Object.keys(mapping.columns).some(isNamed))
    columns[0] = columns[0]!.slice(1).trim();
  const places = new Map<MappedField, number>();
  const units = new Map<MappedField, string>();
  for (const [column, target] of Object.entries(mapping.columns)) {
    const { field, unit } = partsOf(target) as { field: MappedField; unit: string | undefined };
    places.set(field, placeOf(column, columns));
    if (unit !== undefined) units.set(field, unit);
  }
  const accountPlace = accountField === undefined ? places.get('account') : placeOf(accountField, columns);
  const mapped = new Set(places.values());
  const all = [...columns.keys()];
  return {
    columns,
    places,
    units,
    accountPlace,
    needed: Math.max(...NEEDED.map((field) => places.get(field) ?? 0)),
    unmapped: all
      .filter((place) => !mapped.has(place))
      .map((place) => [place, attributeName(columns, place)]),
    sorted: all.sort((a, b) => (columns[a]! < columns[b]! ? -1 : columns[a]! > columns[b]! ? 1 : a - b)),
  };
}

/** A unique name for each column, also where the header repeats a name or leaves it blank. */
export function attributeName(columns: readonly string[], place: number): string {
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
  throw new SourceError(`the header ${problem} "${column}"; it has: ${listed(columns)}`);
}

/** The options for a file's rows. */
export interface RowReading {
  readonly clock: CallClock;
  readonly dateOrder: DateOrder | undefined;
  readonly decimals: DecimalRule;
  /** Whether semicolons separate the columns. */
  readonly semicolons: boolean;
}

/** A cell without the marks that stop a spreadsheet from changing it: ="0049…" and '0049… of numbers, stamps and amounts. */
function cellText(written: string): string {
  const text = unguarded(written.trim());
  return text.charCodeAt(0) === APOSTROPHE && /^'[+\d(*#-]/.test(text) ? text.slice(1) : text;
}

const [APOSTROPHE, EQUALS] = [39, 61];

const unguarded = (text: string): string =>
  text.charCodeAt(0) === EQUALS && text.startsWith('="') && text.endsWith('"') && text.length > 2
    ? text.slice(2, -1)
    : text;

export function toRecord(fields: string[], header: Header, reading: RowReading): Parsed {
  const text = (field: MappedField): string => {
    const place = header.places.get(field);
    if (place === undefined) return '';
    const value = cellText(fields[place]!);
    return TEXTS.has(field) ? given(value) : givenFigure(value);
  };
  const column = (field: MappedField): string => header.columns[header.places.get(field) ?? -1] ?? field;
  /** Null: blank. Undefined: can't be parsed. */
  const value = <T>(field: MappedField, read: (text: string) => T | undefined) =>
    text(field) === '' ? null : read(text(field));
  const refuse = (field: MappedField, right: string): Parsed =>
    rejected('bad_value', column(field), `${column(field)} is ${quoted(text(field))}; it should be ${right}`);
  const badNumber = (field: MappedField, why: string): Parsed =>
    rejected('bad_number', column(field), `${column(field)} is ${quoted(text(field))}${why}`);
  const seconds = (field: 'duration_s' | 'billed_duration_s') =>
    value(field, (written) =>
      readDuration(written, header.units.get(field) as DurationUnit | undefined, reading.decimals),
    );

  const duration = seconds('duration_s');
  if (duration?.kind === 'bad') return badNumber('duration_s', duration.why);
  const billed = seconds('billed_duration_s');
  if (billed?.kind === 'bad') return badNumber('billed_duration_s', billed.why);
  const money = value('cost', (written) => readMoney(written, reading.decimals));
  if (money?.kind === 'bad') return badNumber('cost', money.why);
  const currency = value('currency', readCurrency);
  if (currency === undefined) return refuse('currency', 'a code of ISO 4217, such as EUR');
  const meant = money?.currencies ?? null;
  if (meant !== null && currency !== null && !meant.includes(currency))
    return badNumber('cost', `, and ${column('currency')} is ${currency}`);
  const country = value('country', readCountry);
  if (country === undefined) return refuse('country', 'a code of ISO 3166-1, such as DE, or an English name');
  const direction = value('direction', readDirection);
  const remoteIp = value('remote_ip', readIp);
  if (remoteIp === undefined) return refuse('remote_ip', 'an IP address');
  // An unknown word loses no call, neither here nor for the direction: outcome.ts flags the result, this file the direction.
  const told = value('result', readResult) ?? null;

  const composed = composeTimes(
    {
      text,
      has: (field) => header.places.has(field),
      unit: (field) => header.units.get(field) as TimeUnit | undefined,
    },
    // NaN neither agrees nor disagrees with a reading of the stamps.
    duration?.seconds ?? Number.NaN,
    reading.dateOrder,
  );
  const times = composed.kind === 'times' ? reading.clock.resolve(composed.times) : composed;
  if (times.kind === 'rejected') {
    const [start, connect, disconnect] = [
      column('start_time'),
      column('connect_time'),
      column('disconnect_time'),
    ];
    return namedTime(times.rejection, { start, connect, disconnect });
  }
  const { startTime, connectTime, disconnectTime } = times;
  const durationS =
    duration?.seconds ?? (disconnectTime === null ? null : secondsBetween(startTime, disconnectTime));
  if (durationS === null) {
    const missing = column(header.places.has('duration_s') ? 'duration_s' : 'disconnect_time');
    return rejected(
      'missing_field',
      missing,
      `${missing} is blank, and no other column gives the length of the call`,
    );
  }
  const attributes = attributesOf(header.unmapped.map(([place, name]) => [name, cellText(fields[place]!)]));
  if (direction === undefined) attributes[column('direction')] = text('direction');
  const record: SourceRecord = {
    accountCode: header.accountPlace === undefined ? '' : unguarded(fields[header.accountPlace]!),
    callId: text('call_id'),
    ...(header.places.has('linked_id') && { linkedId: text('linked_id') }),
    identity: identityOf(fields, header),
    alsoSays: '',
    wholeRow: wholeRow(fields, header, reading.semicolons),
    cli: text('cli'),
    cld: text('cld'),
    // Without a column for the caller, a blank caller is not one who hides his number.
    direction: direction ?? (header.places.has('cli') ? null : 'unknown'),
    startTime,
    connectTime,
    disconnectTime,
    durationS,
    ...(duration == null && { durationInferred: true as const }),
    billedDurationS: billed?.seconds ?? null,
    resultWord: text('result') || null,
    result: told,
    disconnectCause: text('disconnect_cause') || null,
    causeResult: value('disconnect_cause', readResult) ?? null,
    tellsAnswers: tellsAnswers(header, told),
    country,
    cost: money?.amount ?? null,
    currency: currency ?? (meant?.length === 1 ? meant[0]! : null),
    ...(currency === null && meant !== null && { costCurrencies: meant }),
    ...plainTexts((name) => text(name) || null),
    remoteIp,
    flags: direction === undefined ? [...times.flags, 'direction_unknown'] : times.flags,
    attributes,
  };
  return { kind: 'record', record };
}

/** Whether the file has a column that shows for each call if it was answered. Q.850's 16 as a result shows nothing. */
function tellsAnswers({ places }: Header, told: ToldResult | null): boolean {
  return (
    places.has('connect_time') ||
    places.has('billed_duration_s') ||
    (places.has('result') && told !== 'cleared')
  );
}

function identityOf(fields: string[], header: Header): string {
  let identity = '';
  for (const place of header.sorted) {
    if (fields[place] !== '') identity += `${header.columns[place]}=${fields[place]}\u001f`;
  }
  return identity;
}

function wholeRow(fields: string[], header: Header, decimalComma: boolean): string {
  let text = '';
  for (const place of header.sorted) {
    const value = given(normalValue(cellText(fields[place]!), decimalComma));
    if (value !== '') text += `${header.columns[place]}=${value}${BETWEEN}`;
  }
  return text;
}
