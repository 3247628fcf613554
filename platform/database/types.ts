/**
 * How PostgreSQL's types come out in JavaScript: the same form that they have on the wire of the API, so that nothing
 * is parsed only to be printed again. Instants become RFC 3339 strings, numeric stays a decimal string.
 */
import pg from 'pg';
import { secondsOf, secondsText } from './calendar.ts';

const INT8 = 20;
const DATE = 1082;
const TIMESTAMP = 1114;
const TIMESTAMPTZ = 1184;

const IN_A_ZONE =
  /^(\d{4,6})(-\d\d-\d\d) (\d\d:\d\d:\d\d)(\.\d+)?([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?( BC)?$/;

const INFINITE = ['infinity', '-infinity'];

/**
 * PostgreSQL's text of a timestamptz (ISO DateStyle, any zone) as RFC 3339 in UTC: "2026-11-21 05:10:00.5+01" gives
 * "2026-11-21T04:10:00.5Z". What RFC 3339 has no form for, infinities and years before Christ, nearly stays as it is:
 * "0044-03-15 00:53:28+00:53:28 BC" gives "0044-03-15T00:00:00+00 BC".
 * @throws Error where PostgreSQL is set to tell times in another style than ISO
 */
export function rfc3339(text: string): string {
  if (text.endsWith('+00')) return `${text.slice(0, -3).replace(' ', 'T')}Z`;
  const [, shown, day, clock, fraction = '', sign, hours, minutes = 0, seconds = 0, era] =
    IN_A_ZONE.exec(text) ?? [];
  if (shown === undefined) {
    if (INFINITE.includes(text)) return text;
    throw new Error(`PostgreSQL gives a time as ${JSON.stringify(text)}: its DateStyle must be ISO`);
  }
  const there = secondsOf(era ? 1 - Number(shown) : Number(shown), day!, clock!);
  const offset = Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds);
  return secondsText(there - (sign === '-' ? -offset : offset), fraction);
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
