/** Which column of a CSV is which field, as --map says it: `column=field` or `column=field:unit`. */
import { MAPPED_FIELDS, type MappedField } from '../call_fields.ts';
import { DURATION_UNITS, type DurationUnit } from './durations.ts';
import { MOMENTS, TIME_UNITS, type TimeUnit } from './mapped_times.ts';
import { SourceError } from './source_error.ts';

/** A field, and behind a colon the unit of the column's values if it is not the field's own. */
export type MappedTarget = MappedField | `${MappedField}:${DurationUnit | TimeUnit}`;

/** Name of a mapping without a given name. Such a mapping is not remembered. */
export const UNNAMED = 'mapped';

export interface Mapping {
  readonly name: string;
  /** From a column of the header to its field. */
  readonly columns: Readonly<Record<string, MappedTarget>>;
}

/**
 * A mapping from texts of the form `column=field`.
 * @throws SourceError naming what is wrong and what would be right
 */
export function parseMapping(pairs: readonly string[], name: string): Mapping {
  const columns: Record<string, MappedTarget> = Object.create(null);
  const taken = new Map<MappedField, string>();
  for (const pair of pairs) {
    // The last sign: a column's name may hold the sign, a field's name does not.
    const sign = pair.lastIndexOf('=');
    const column = pair.slice(0, sign).trim();
    if (sign === -1 || column === '') throw new SourceError(`"${pair}" is not of the form column=field`);
    const target = pair.slice(sign + 1).trim();
    const { field, unit } = partsOf(target);
    if (!isMappedField(field)) {
      throw new SourceError(
        `there is no field "${field}" (in "${pair}"); there are: ${MAPPED_FIELDS.join(', ')}`,
      );
    }
    const units = unitsOf(field);
    if (unit !== undefined && !units.includes(unit)) {
      const known = units.length === 0 ? 'has no units' : `has the units ${units.join(', ')}`;
      throw new SourceError(`${field} ${known}, not "${unit}" (in "${pair}")`);
    }
    const before = taken.get(field);
    if (before !== undefined)
      throw new SourceError(`${field} is mapped twice: from "${before}" and from "${column}"`);
    if (column in columns) throw new SourceError(`the column "${column}" is mapped twice`);
    taken.set(field, column);
    columns[column] = target as MappedTarget;
  }
  requireFields(new Set(taken.keys()));
  return { name, columns: { ...columns } };
}

/** A target's field and unit. The unit may have colons of its own: duration_s:m:ss. */
export function partsOf(target: string): { readonly field: string; readonly unit: string | undefined } {
  const colon = target.indexOf(':');
  if (colon === -1) return { field: target, unit: undefined };
  return { field: target.slice(0, colon).trim(), unit: target.slice(colon + 1).trim() };
}

function unitsOf(field: MappedField): readonly string[] {
  if (field.endsWith('duration_s')) return DURATION_UNITS;
  return /_(?:date|time)$/.test(field) ? TIME_UNITS : [];
}

function isMappedField(field: string): field is MappedField {
  return (MAPPED_FIELDS as readonly string[]).includes(field);
}

/** @throws SourceError for a set of fields that lacks a required field */
export function requireFields(fields: ReadonlySet<MappedField>): void {
  if (!fields.has('start_time'))
    throw new SourceError('no column is mapped to start_time: when did the calls start?');
  for (const moment of MOMENTS) {
    if (fields.has(`${moment}_date`) && !fields.has(`${moment}_time`))
      throw new SourceError(`${moment}_date is mapped without ${moment}_time, the time of that day`);
  }
  if (!fields.has('duration_s') && !fields.has('disconnect_time')) {
    throw new SourceError('no column is mapped to duration_s or disconnect_time: how long were the calls?');
  }
  if (!fields.has('cli') && !fields.has('cld')) {
    throw new SourceError('no column is mapped to cli or cld: who called whom?');
  }
}
