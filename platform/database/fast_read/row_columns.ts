/** What PostgreSQL says of a result's columns (RowDescription), and how the writers treat each type. */

import { textAt } from './copy_value.ts';
import { instantText } from './instant_text.ts';
import { HEADER_BYTES, RESULT_FORMAT } from './wire_messages.ts';

/**
 * How a type's text is to be read.
 * - `number`: digits, as JSON writes them; `int8` has to be watched, `float` has NaN and infinities
 * - `instant`: no text, but a timestamptz in binary form: see instant_text.ts
 * - `plain`: text without a character that JSON would have to escape
 * - `array`: of texts or integers
 */
export type ColumnKind =
  | 'number'
  | 'int8'
  | 'float'
  | 'decimal'
  | 'boolean'
  | 'timestamptz'
  | 'instant'
  | 'json'
  | 'array'
  | 'plain'
  | 'text';

export interface Column {
  readonly name: string;
  /** pg_type.oid; of a domain, its base type's. */
  readonly type: number;
  readonly kind: ColumnKind;
}

/** @throws Error where no column has this name */
export function columnIndex(columns: readonly Column[], name: string): number {
  const index = columns.findIndex((column) => column.name === name);
  if (index < 0) throw new Error(`the query has no column ${name}`);
  return index;
}

/** A value as text: PostgreSQL's, or RFC 3339 of an instant in binary form. */
export const valueText = (
  { kind }: Column,
  view: DataView<ArrayBuffer>,
  at: number,
  length: number,
): string => (kind === 'instant' ? instantText(view, at) : textAt(view, at, length));

/** By pg_type.oid, from src/include/catalog/pg_type.dat: built-in types keep their number for good. */
const KINDS = new Map<number, ColumnKind>([
  [16, 'boolean'],
  [20, 'int8'],
  [21, 'number'], // int2
  [23, 'number'], // int4
  [26, 'number'], // oid
  [114, 'json'],
  [700, 'float'], // float4
  [701, 'float'], // float8
  [650, 'plain'], // cidr
  [774, 'plain'], // macaddr8
  [829, 'plain'], // macaddr
  [869, 'plain'], // inet
  [1005, 'array'], // int2[]
  [1007, 'array'], // int4[]
  [1009, 'array'], // text[]
  [1015, 'array'], // varchar[]
  [1082, 'plain'], // date
  [1083, 'plain'], // time
  [1114, 'plain'], // timestamp
  [1184, 'timestamptz'],
  [1266, 'plain'], // timetz
  [1700, 'decimal'], // numeric
  [2950, 'plain'], // uuid
  [3802, 'json'], // jsonb
]);

const TIMESTAMPTZ = 1184;

/** Behind each name: table, column number, type, its size, its modifier, the format. */
const BYTES_BEHIND_NAME = 4 + 2 + 4 + 2 + 4 + 2;

/**
 * A list route asks the same few statements over and over: their descriptions are read once. The number of statements in
 * the program bounds it; the limit is for a caller who makes up SQL.
 */
const known = new Map<string, readonly Column[]>();
const KNOWN_LIMIT = 500;

/** The columns of a RowDescription message, which lies in `view` from `start` to `end`. */
export function readColumns(view: DataView<ArrayBuffer>, start: number, end: number): readonly Column[] {
  const bytes = Buffer.from(view.buffer, view.byteOffset + start, end - start);
  const key = bytes.toString('latin1', HEADER_BYTES);
  let columns = known.get(key);
  if (!columns) {
    columns = parseColumns(bytes);
    if (known.size >= KNOWN_LIMIT) known.clear();
    known.set(key, columns);
  }
  return columns;
}

function parseColumns(bytes: Buffer): readonly Column[] {
  const columns: Column[] = [];
  let at = HEADER_BYTES + 2;
  for (let left = bytes.readUInt16BE(HEADER_BYTES); left > 0; left--) {
    const nameEnd = bytes.indexOf(0, at);
    const type = bytes.readUInt32BE(nameEnd + 1 + 6);
    const name = bytes.toString('utf8', at, nameEnd);
    at = nameEnd + 1 + BYTES_BEHIND_NAME;
    columns.push({ name, type, kind: kindOf(name, type, bytes.readUInt16BE(at - 2)) });
  }
  return columns;
}

function kindOf(name: string, type: number, format: number): ColumnKind {
  if (format === RESULT_FORMAT.text) return KINDS.get(type) ?? 'text';
  if (type === TIMESTAMPTZ) return 'instant';
  throw new Error(`column ${name} was asked for in binary form, in which only a timestamptz is read`);
}
