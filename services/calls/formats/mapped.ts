/**
 * Any CSV with a header: the user maps columns to fields. Columns without a mapping become attributes.
 */

import type { MappedField } from '../call_fields.ts';
import { createCallClock } from '../time/stamps.ts';
import type { RowFormat } from './csv_reader.ts';
import { wrongColumnCount } from './field_values.ts';
import { type Header, readHeader, toRecord } from './mapped_row.ts';
import { partsOf, requireFields } from './mapping.ts';
import { separatorOf, toldSeparator } from './separators.ts';
import { SourceError } from './source_error.ts';
import type { SourceOptions } from './source_reader.ts';

/** Titles and similar lines may stand above a header. The reader looks for the header in this many lines. */
const MAX_LINES_ABOVE = 30;

/** Rows of a CSV with a header. @throws SourceError without a mapping, or for one that lacks a required field */
export function mappedRows(options: SourceOptions): RowFormat {
  const { mapping } = options;
  if (!mapping) throw new SourceError('a mapped file needs a mapping of its columns: --map column=field');
  requireFields(
    new Set(Object.values(mapping.columns).map((target) => partsOf(target).field as MappedField)),
  );
  const clock = createCallClock(options.timeZone, options.dateOrder);
  const names = Object.keys(mapping.columns);
  let separator = ',';
  let isTold = false;
  let header = options.columns ? readHeader(options.columns, mapping, options.accountField) : null;
  let linesAbove = 0;
  /** Why the likeliest line so far is not the header, and how many of the columns it names. */
  let problem: { readonly error: SourceError; readonly found: number } | null = null;

  /** The kind of a line above the rows: the header, or a line to skip. */
  function lookForHeader(fields: string[]): void {
    if (toldSeparator(fields.join(separator)) !== undefined) return;
    try {
      header = readHeader(fields, mapping!, options.accountField);
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      const found = namesIn(fields, names);
      if (problem === null || found > problem.found) problem = { error, found };
      if (++linesAbove >= MAX_LINES_ABOVE) throw problem.error;
    }
  }

  return {
    get columns() {
      return header?.columns ?? null;
    },
    get needsHeader() {
      return header === null;
    },
    get separator() {
      return separator;
    },
    rescue: ['backslash', 'bare', 'sparse'],
    fits: (count) => header === null || count === header.columns.length,
    get begun() {
      return header !== null && options.columns === undefined;
    },
    begin(line) {
      if (isTold) return;
      isTold = toldSeparator(line) !== undefined;
      separator = separatorOf(line, options.columns?.length, names);
    },
    parse(written, ended) {
      if (header === null) {
        lookForHeader(written);
        return { kind: 'skipped' };
      }
      const { columns } = header;
      const fields = ended ? withBlankEnd(written, header) : written;
      if (fields.length !== columns.length) {
        return wrongColumnCount(fields.length, `the header names ${columns.length}`);
      }
      // In concatenated exports, each has a header.
      if (fields.every((field, at) => field.trim() === columns[at])) return { kind: 'skipped' };
      return toRecord(fields, header, {
        clock,
        dateOrder: options.dateOrder,
        decimals: options.decimalSign ?? (separator === ';' ? 'unknown' : 'plain'),
        semicolons: separator === ';',
      });
    },
    isAbove(rejection) {
      if (header !== null) return false;
      const error = new SourceError(`the header can't be read: ${rejection.reason}`);
      if (problem === null || problem.found === 0) problem = { error, found: 0 };
      return true;
    },
    finish() {
      if (header === null && problem !== null) throw problem.error;
    },
  };
}

function namesIn(fields: readonly string[], names: readonly string[]): number {
  const wanted = new Set(names.map((name) => name.toLowerCase()));
  return fields.filter((field) => wanted.has(field.trim().toLowerCase())).length;
}

/** Some programs leave off the blank cells at a row's end. The required fields must be present. */
function withBlankEnd(fields: string[], header: Header): string[] {
  const missing = header.columns.length - fields.length;
  return missing > 0 && header.needed < fields.length
    ? [...fields, ...Array<string>(missing).fill('')]
    : fields;
}
