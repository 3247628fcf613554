/**
 * One row as a JSON object, written straight from PostgreSQL's bytes.
 *
 *   bool                       true, false
 *   int2 int4 int8 oid         numbers; an int8 beyond 2^53 is an error, as in types.ts
 *   float4 float8              numbers in PostgreSQL's shortest exact form; NaN and infinities null, as in JSON.stringify
 *   numeric                    decimal strings; in the columns that are to be numbers, numbers as JavaScript prints them
 *   timestamptz                RFC 3339 strings in UTC; other types of time as PostgreSQL writes them
 *   json jsonb                 as they are
 *   text[] varchar[] int2[] int4[]   arrays
 *   everything else            strings of PostgreSQL's text: text, uuid, inet, enums, bytea (\x…), intervals, other arrays
 *   NULL                       null
 *
 * Texts pass through as they are: the database's encoding is UTF8, and the client's too, as pg sets it.
 */
import pg from 'pg';
import { type ByteOutput, reserve, writeText } from '../byte_output.ts';
import { rfc3339 } from '../types.ts';
import { copyBytes, copyRfc3339, textAt, writeAscii } from './copy_value.ts';
import { copyDecimalNumber, decimalNumber } from './decimal_number.ts';
import { writeInstant } from './instant_text.ts';
import { copyJsonText, JSON_WORST_GROWTH } from './json_text.ts';
import { type Column, type ColumnKind, columnIndex } from './row_columns.ts';

/** `decimalNumber`: a numeric that is to be a number. */
type JsonKind = ColumnKind | 'decimalNumber';

/** A result's columns, made ready for writing. */
export interface JsonRowPlan {
  readonly columns: readonly Column[];
  /**
   * `{"a":"` and `,"b":` one behind the other: each column's name with what stands around it, up to the value. The
   * quote that opens a string is part of it; NULL takes it back.
   */
  readonly keys: DataView<ArrayBuffer>;
  readonly keyAt: readonly number[];
  readonly keyLength: readonly number[];
  readonly kinds: readonly JsonKind[];
  /** Whether the key opens a string. */
  readonly quoted: readonly boolean[];
  /** Of an empty row, each value null. */
  readonly fixedBytes: number;
}

const QUOTED: ReadonlySet<JsonKind> = new Set(['decimal', 'plain', 'text', 'timestamptz', 'instant']);

const NULL = 0x6e756c6c;
const TRUE = 0x74727565;
const FALS = 0x66616c73;
const EMPTY_JSON_ARRAY = 0x5b5d;
/** `{}`: what an everyday array is. */
const EMPTY_ARRAY_LENGTH = 2;
const QUOTE = 0x22;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const LETTER_e = 0x65;
const LETTER_t = 0x74;
const LETTER_I = 0x49;
const LETTER_N = 0x4e;
const MINUS = 0x2d;
/** Any integer of so many characters is below 2^53, unless it begins with a 9. */
const SAFE_INTEGER_CHARACTERS = 16;
const NINE = 0x39;

/**
 * @param numbers columns of type numeric that are to be numbers
 * @throws Error for two columns of one name: an object holds only one of them; for a number that is no column of numeric
 */
export function planJsonRow(columns: readonly Column[], numbers: readonly string[]): JsonRowPlan {
  const names = columns.map((column) => column.name);
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) throw new Error(`two columns are named ${twice}: give one of them another name`);
  const kinds: JsonKind[] = columns.map((column) => column.kind);
  for (const name of numbers) {
    const index = columnIndex(columns, name);
    if (kinds[index] !== 'decimal') throw new Error(`column ${name} is to be a number, but is no numeric`);
    kinds[index] = 'decimalNumber';
  }
  const texts = columns.map(
    ({ name }, i) => `${i > 0 ? ',' : '{'}${JSON.stringify(name)}:${QUOTED.has(kinds[i]!) ? '"' : ''}`,
  );
  const keys = texts.map((text) => Buffer.from(text));
  const keyLength = keys.map((key) => key.length);
  let at = 0;
  const keyAt = keyLength.map((length) => {
    at += length;
    return at - length;
  });
  const joined = Buffer.concat(keys);
  return {
    columns,
    keys: new DataView(joined.buffer as ArrayBuffer, joined.byteOffset, joined.length),
    keyAt,
    keyLength,
    kinds,
    quoted: kinds.map((kind) => QUOTED.has(kind)),
    fixedBytes: joined.length + 4 * columns.length + ',{}'.length,
  };
}

/**
 * Appends a row, which lies in `from` between `at` and `end` (see RowSink).
 * @throws RangeError for an int8 that JavaScript cannot read exactly
 */
export function writeJsonRow(
  plan: JsonRowPlan,
  out: ByteOutput,
  from: DataView<ArrayBuffer>,
  at: number,
  end: number,
): void {
  const { keys, keyAt, keyLength, kinds, quoted } = plan;
  const worst = plan.fixedBytes + JSON_WORST_GROWTH * (end - at);
  reserve(out, worst);
  let to = out.view;
  let toAt = out.at;
  let valueAt = at + 2;

  for (let i = 0; i < kinds.length; i++) {
    copyBytes(keys, keyAt[i]!, to, toAt, keyLength[i]!);
    toAt += keyLength[i]!;
    const length = from.getInt32(valueAt);
    valueAt += 4;
    const kind = kinds[i]!;
    if (length < 0) {
      if (quoted[i]) toAt--;
      to.setInt32(toAt, NULL);
      toAt += 4;
      continue;
    }
    if (kind === 'array' && length > EMPTY_ARRAY_LENGTH) {
      const array = pg.types.getTypeParser(plan.columns[i]!.type)(textAt(from, valueAt, length));
      out.at = toAt;
      writeText(out, JSON.stringify(array));
      reserve(out, worst);
      to = out.view;
      toAt = out.at;
      valueAt += length;
      continue;
    }
    switch (kind) {
      case 'text':
        toAt = copyJsonText(from, valueAt, to, toAt, length);
        to.setUint8(toAt++, QUOTE);
        break;
      case 'plain':
      case 'decimal':
        copyBytes(from, valueAt, to, toAt, length);
        toAt += length;
        to.setUint8(toAt++, QUOTE);
        break;
      case 'timestamptz': {
        const timeEnd = copyRfc3339(from, valueAt, to, toAt, length);
        toAt = timeEnd >= 0 ? timeEnd : writeAscii(rfc3339(textAt(from, valueAt, length)), to, toAt);
        to.setUint8(toAt++, QUOTE);
        break;
      }
      case 'instant':
        toAt = writeInstant(from, valueAt, to, toAt);
        to.setUint8(toAt++, QUOTE);
        break;
      case 'decimalNumber': {
        const numberEnd = copyDecimalNumber(from, valueAt, to, toAt, length);
        toAt = numberEnd >= 0 ? numberEnd : writeAscii(jsonNumber(textAt(from, valueAt, length)), to, toAt);
        break;
      }
      case 'boolean': {
        const yes = from.getUint8(valueAt) === LETTER_t;
        to.setInt32(toAt, yes ? TRUE : FALS);
        toAt += 4;
        if (!yes) to.setUint8(toAt++, LETTER_e);
        break;
      }
      case 'float': {
        const first = from.getUint8(valueAt);
        const digit = first === MINUS ? from.getUint8(valueAt + 1) : first;
        if (digit === LETTER_N || digit === LETTER_I) {
          to.setInt32(toAt, NULL);
          toAt += 4;
          break;
        }
        copyBytes(from, valueAt, to, toAt, length);
        toAt += length;
        break;
      }
      case 'int8':
        if (
          length > SAFE_INTEGER_CHARACTERS ||
          (length === SAFE_INTEGER_CHARACTERS && from.getUint8(valueAt) === NINE)
        )
          refuseUnsafe(textAt(from, valueAt, length));
        copyBytes(from, valueAt, to, toAt, length);
        toAt += length;
        break;
      case 'array':
        to.setInt16(toAt, EMPTY_JSON_ARRAY);
        toAt += 2;
        break;
      default: // number, json
        copyBytes(from, valueAt, to, toAt, length);
        toAt += length;
    }
    valueAt += length;
  }
  if (kinds.length === 0) to.setUint8(toAt++, OPEN_OBJECT);
  to.setUint8(toAt++, CLOSE_OBJECT);
  out.at = toAt;
}

function refuseUnsafe(text: string): void {
  if (!Number.isSafeInteger(Number(text)))
    throw new RangeError(`bigint ${text} does not fit a JavaScript number`);
}

/** No number's text takes more than its numeric has room for, which is six times as much: "-1.2345678901234567e-21". */
function jsonNumber(decimal: string): string {
  return Number.isFinite(Number(decimal)) ? decimalNumber(decimal) : 'null';
}
