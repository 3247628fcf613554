/**
 * Any CSV with a header: the user says which column is which field. Columns that are not mapped become attributes.
 */
import { createCallClock } from '../time/stamps.ts';
import type { RowFormat } from './csv_reader.ts';
import { wrongColumnCount } from './field_values.ts';
import { readHeader, toRecord } from './mapped_row.ts';
import type { SourceOptions } from './reader.ts';
import { SourceError } from './source_error.ts';

export const MAPPED_FIELDS = [
  'call_id',
  'account',
  'cli',
  'cld',
  'direction',
  'start_time',
  'connect_time',
  'disconnect_time',
  'duration_s',
  'billed_duration_s',
  'result',
  'disconnect_cause',
  'country',
  'description',
  'cost',
  'currency',
  'remote_ip',
  'user_agent',
] as const;
/** A field of a CDR that a column can hold. */
export type MappedField = (typeof MAPPED_FIELDS)[number];

export interface Mapping {
  readonly name: string;
  /** Column of the header to field. */
  readonly columns: Readonly<Record<string, MappedField>>;
}

/**
 * A mapping from texts of the form `column=field`.
 * @throws SourceError naming what is wrong and what would be right
 */
export function parseMapping(pairs: readonly string[], name: string): Mapping {
  const columns: Record<string, MappedField> = Object.create(null);
  const taken = new Map<MappedField, string>();
  for (const pair of pairs) {
    // The last one: a column's name may hold the sign, a field's does not.
    const sign = pair.lastIndexOf('=');
    const column = pair.slice(0, sign).trim();
    if (sign === -1 || column === '') throw new SourceError(`"${pair}" is not of the form column=field`);
    const field = pair.slice(sign + 1).trim();
    if (!isMappedField(field)) {
      throw new SourceError(
        `there is no field "${field}" (in "${pair}"); there are: ${MAPPED_FIELDS.join(', ')}`,
      );
    }
    const before = taken.get(field);
    if (before !== undefined)
      throw new SourceError(`${field} is mapped twice: from "${before}" and from "${column}"`);
    if (column in columns) throw new SourceError(`the column "${column}" is mapped twice`);
    taken.set(field, column);
    columns[column] = field;
  }
  requireFields(new Set(taken.keys()));
  return { name, columns: { ...columns } };
}

function isMappedField(field: string): field is MappedField {
  return (MAPPED_FIELDS as readonly string[]).includes(field);
}

function requireFields(fields: ReadonlySet<MappedField>): void {
  if (!fields.has('start_time'))
    throw new SourceError('no column is mapped to start_time: when did the calls start?');
  if (!fields.has('duration_s') && !fields.has('disconnect_time')) {
    throw new SourceError('no column is mapped to duration_s or disconnect_time: how long were the calls?');
  }
  if (!fields.has('cli') && !fields.has('cld')) {
    throw new SourceError('no column is mapped to cli or cld: who called whom?');
  }
}

const SEPARATORS = [',', ';', '\t'];

/** Rows of a CSV with a header. @throws SourceError without a mapping, or with one that lacks what a call needs */
export function mappedRows(options: SourceOptions): RowFormat {
  const { mapping } = options;
  if (!mapping) throw new SourceError('a mapped file needs a mapping of its columns: --map column=field');
  requireFields(new Set(Object.values(mapping.columns)));
  const clock = createCallClock(options.timeZone, options.dateOrder);
  let separator = ',';
  let header = options.columns ? readHeader(options.columns, mapping, options.accountField) : null;

  return {
    get columns() {
      return header?.columns ?? null;
    },
    get separator() {
      return separator;
    },
    rescue: ['backslash'],
    fits: (count) => header === null || count === header.columns.length,
    begin(line) {
      separator = separatorOf(line, options.columns?.length);
    },
    parse(fields) {
      if (header === null) {
        if (fields[0]?.startsWith('sep=')) return { kind: 'skipped' };
        header = readHeader(fields, mapping, options.accountField);
        return { kind: 'skipped' };
      }
      const { columns } = header;
      if (fields.length !== columns.length) {
        return wrongColumnCount(fields.length, `the header names ${columns.length}`);
      }
      // Exports that were put together have a header each.
      if (fields.every((field, at) => field.trim() === columns[at])) return { kind: 'skipped' };
      return toRecord(fields, header, clock, separator === ';', options.account ?? '');
    },
  };
}

/** By a line of it: the one that makes the columns expected, or else most. Spreadsheets may say it (`sep=;`). */
export function separatorOf(line: string, columns?: number): string {
  const told = /^sep=(.)\s*$/i.exec(line)?.[1];
  if (told) return told;
  const outsideQuotes = line.replace(/"[^"]*"/g, '');
  const counts = SEPARATORS.map((separator) => outsideQuotes.split(separator).length);
  const expected = counts.indexOf(columns ?? -1);
  return SEPARATORS[expected === -1 ? counts.indexOf(Math.max(...counts)) : expected]!;
}
