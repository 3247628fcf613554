/**
 * Instants in the API's form: RFC 3339 text outside, microseconds since 1970 inside. PostgreSQL keeps microseconds, and
 * from 1900 to 2199 they are whole numbers that JavaScript holds exactly.
 */

/** Microseconds since 1970. */
export type Micros = number;

export const MICROS_PER_MS = 1_000;
export const FIRST_YEAR = 1900;
export const LAST_YEAR = 2199;

export type ReadInstant =
  | { readonly kind: 'instant'; readonly at: Micros }
  /** The fault, to stand behind the parameter's name. */
  | { readonly kind: 'bad'; readonly reason: string };

/** A `+` that was not written as %2B reaches us as a blank; before an offset a blank has no other meaning. */
const INSTANT =
  /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(?:([Zz])|([+ -])(\d{2}):(\d{2}))?$/;
const DATE = /^(\d{4})-(\d{2})-(\d{2})$/;

const NO_SUCH_DAY = `names no day of the calendar from ${FIRST_YEAR} to ${LAST_YEAR}`;

/** Parses an RFC 3339 instant. Never guesses a zone: a time without one is refused. */
export function readInstant(text: string): ReadInstant {
  const match = INSTANT.exec(text);
  if (!match) {
    const example = 'an RFC 3339 instant such as 2026-11-01T00:00:00Z or 2026-11-01T00:00:00+01:00';
    if (DATE.test(text)) {
      return bad(readDate(text) === undefined ? NO_SUCH_DAY : `is a date; it must be ${example}`);
    }
    return bad(`must be ${example}`);
  }
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const [fraction = '', utc, sign, offsetHours, offsetMinutes] = match.slice(7);
  if (utc === undefined && sign === undefined) {
    return bad('has no zone: end it with Z for UTC, or with an offset such as +01:00 (in a URL: %2B01:00)');
  }
  if (second === 60) {
    return bad('has a leap second (:60), which is not supported: give the second before or after it');
  }
  if (!isDate(year, month, day) || hour > 23 || minute > 59 || second > 59) {
    return bad(`names no day or time of the years ${FIRST_YEAR} to ${LAST_YEAR}`);
  }
  if (fraction.length > 6) return bad('has more than six decimals of a second; microseconds are kept');
  const offset = Number(offsetHours ?? 0) * 60 + Number(offsetMinutes ?? 0);
  if (Number(offsetHours ?? 0) > 23 || Number(offsetMinutes ?? 0) > 59)
    return bad('has an impossible offset');
  const ms = Date.UTC(year, month - 1, day, hour, minute, second) - (sign === '-' ? -1 : 1) * offset * 60_000;
  return { kind: 'instant', at: ms * MICROS_PER_MS + Number(fraction.padEnd(6, '0')) };
}

/** A date YYYY-MM-DD of the calendar, or undefined. */
export function readDate(text: string): string | undefined {
  const match = DATE.exec(text);
  return match && isDate(Number(match[1]), Number(match[2]), Number(match[3])) ? text : undefined;
}

function isDate(year: number, month: number, day: number): boolean {
  const date = new Date(Date.UTC(year, month - 1, day));
  return (
    year >= FIRST_YEAR && year <= LAST_YEAR && date.getUTCMonth() === month - 1 && date.getUTCDate() === day
  );
}

function bad(reason: string): ReadInstant {
  return { kind: 'bad', reason };
}

/** RFC 3339 in UTC: seconds, and the decimals that are not 0. PostgreSQL reads this form, too. */
export function utcText(at: Micros): string {
  return `${wallText(at)}Z`;
}

/** YYYY-MM-DDTHH:MM:SS[.ffffff] of a wall clock in UTC. */
export function wallText(at: Micros): string {
  const second = Math.floor(at / 1_000_000);
  const text = new Date(second * 1_000).toISOString().slice(0, 19);
  const micros = at - second * 1_000_000;
  return micros === 0 ? text : `${text}.${String(micros).padStart(6, '0').replace(/0+$/, '')}`;
}

const DAY_MS = 86_400_000;
/** The last day that was written: rows of a source mostly have one day. */
let lastDay = Number.NaN;
let lastDayText = '';
const twoDigits = (n: number) => String(n).padStart(2, '0');
const MINUTES = Array.from(
  { length: 1_440 },
  (_, m) => ` ${twoDigits(Math.floor(m / 60))}:${twoDigits(m % 60)}:`,
);
const SECONDS = Array.from({ length: 60 }, (_, s) => `${twoDigits(s)}Z`);

/** PostgreSQL keeps microseconds, a JavaScript Date milliseconds. @param ms since 1970, with fraction */
export function instant(ms: number): string {
  const day = Math.floor(ms / DAY_MS);
  if (day !== lastDay) {
    lastDay = day;
    lastDayText = new Date(day * DAY_MS).toISOString().slice(0, 10);
  }
  const intoDay = ms - day * DAY_MS;
  const second = Math.floor(intoDay / 1000);
  const toSecond = lastDayText + MINUTES[Math.floor(second / 60)] + SECONDS[second % 60];
  const us = Math.min(999_999, Math.round((intoDay - second * 1000) * 1000));
  return us === 0 ? toSecond : `${toSecond.slice(0, -1)}.${String(us).padStart(6, '0')}Z`;
}
