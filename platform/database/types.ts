/**
 * How PostgreSQL's types come out in JavaScript: the same form that they have on the wire of the API, so that nothing
 * is parsed only to be printed again. Instants become RFC 3339 strings, numeric stays a decimal string.
 */
import pg from 'pg';

const INT8 = 20;
const DATE = 1082;
const TIMESTAMP = 1114;
const TIMESTAMPTZ = 1184;

const IN_A_ZONE = /^(\d{4,6}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d+)?([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?$/;

/**
 * PostgreSQL's text of a timestamptz (ISO DateStyle, any zone) as RFC 3339 in UTC: "2026-11-21 05:10:00.5+01" gives
 * "2026-11-21T04:10:00.5Z". Infinities stay as they are, and so do, but for their T, years before Christ.
 */
export function rfc3339(text: string): string {
  const stamp = text.replace(' ', 'T');
  if (stamp.endsWith('+00')) return `${stamp.slice(0, -3)}Z`;
  const [, date, clock, fraction = '', sign, hours, minutes = 0, seconds = 0] = IN_A_ZONE.exec(stamp) ?? [];
  if (date === undefined) return stamp;
  const offset = Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds);
  const year = date.slice(0, -6);
  // The years' own calendar comes again after 400 of them, and JavaScript reads four digits.
  const readable = 2_000 + (Number(year) % 400);
  const there = Date.parse(`${readable}${date.slice(-6)}T${clock}Z`);
  const utc = new Date(there - (sign === '-' ? -offset : offset) * 1_000).toISOString();
  const utcYear = Number(year) + Number(utc.slice(0, 4)) - readable;
  if (utcYear < 1) return stamp;
  return `${String(utcYear).padStart(4, '0')}${utc.slice(4, 19)}${fraction}Z`;
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
