/**
 * How PostgreSQL's types come out in JavaScript: the same form that they have on the wire of the API, so that nothing
 * is parsed only to be printed again. Instants become RFC 3339 strings, numeric stays a decimal string.
 */
import pg from 'pg';

const INT8 = 20;
const DATE = 1082;
const TIMESTAMP = 1114;
const TIMESTAMPTZ = 1184;

/**
 * PostgreSQL's text of a timestamptz (ISO DateStyle, any zone) as RFC 3339: "2026-11-21 04:10:00.5+00" gives
 * "2026-11-21T04:10:00.5Z".
 */
export function rfc3339(text: string): string {
  const stamp = text.replace(' ', 'T');
  if (stamp.endsWith('+00')) return `${stamp.slice(0, -3)}Z`;
  return /[+-]\d\d$/.test(stamp) ? `${stamp}:00` : stamp;
}

/** bigint as a number: ids and counts here stay below 2^53 (see i_cdr in the calls service); more would be a bug. */
function int8(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError(`bigint ${text} does not fit a JavaScript number`);
  return value;
}

const asText = (text: string) => text;

const parsers = new Map<number, (text: string) => unknown>([
  [INT8, int8],
  [DATE, asText],
  [TIMESTAMP, asText],
  [TIMESTAMPTZ, rfc3339],
]);

/** For pg's `types` option: the parsers above, pg's own for the rest. */
export const typeParsers: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
    parsers.get(oid) ?? pg.types.getTypeParser(oid, format)) as pg.CustomTypesConfig['getTypeParser'],
};
