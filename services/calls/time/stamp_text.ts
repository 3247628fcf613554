/**
 * The forms in which switches, databases and spreadsheets write a time. Text to a wall-clock time or an instant; what
 * zone the wall clock hung in is `stamps.ts`'s business.
 *
 *   2026-10-25 02:30:00[.123456]   2026/10/25 2:30   2026-10-25T02:30:00      wall clock
 *   25/10/2026 2:30[:00]           10/25/2026 …  25.10.2026 …                 wall clock, read in the date order given
 *   2026-10-25T02:30:00Z           2026-10-25 02:30:00+0200                   instant (RFC 3339, PostgreSQL)
 *   1792891800[.123]  1792891800123  1792891800123456                         instant: 9–10 digits s, 13 ms, 16 µs
 *   (blank)  0  0000-00-00 00:00:00                                           absent
 *
 * Other lengths of digits are refused: 20261025 and 20261025023000 are dates to a human and would else be read as
 * instants of the year 1970.
 */

export const DATE_ORDERS = ['ymd', 'dmy', 'mdy'] as const;
/** Which part of a date comes first where the year does not: `dmy` 25/10/2026, `mdy` 10/25/2026, `ymd` unknown. */
export type DateOrder = (typeof DATE_ORDERS)[number];

export type StampText =
  | { readonly kind: 'absent' }
  /** Milliseconds since 1970 with fraction; of a wall clock: as if it stood in UTC. */
  | { readonly kind: 'wall' | 'instant'; readonly ms: number }
  | { readonly kind: 'bad'; readonly reason: string };

const MAX_STAMP_LENGTH = 64;
const DAY_MS = 86_400_000;
const FORMS = 'YYYY-MM-DD HH:MM:SS, RFC 3339, or an epoch in s (9 or 10 digits), ms (13) or µs (16)';

const TIME = String.raw`[T ] *(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)? *(z|[+-]\d{2}(?::?\d{2})?)?$`;
const YEAR_FIRST = new RegExp(String.raw`^(\d{4})([-/.])(\d{1,2})\2(\d{1,2})${TIME}`, 'i');
const YEAR_LAST = new RegExp(String.raw`^(\d{1,2})([-/.])(\d{1,2})\2(\d{4})${TIME}`, 'i');
const EPOCH = /^(?:(\d{13}|\d{16})|(\d{9,10})(?:\.(\d{1,9}))?)$/;
const NOUGHT = /^0+(\.0+)?$|^0000-00-00/;

const ABSENT: StampText = { kind: 'absent' };

/** Reads one stamp. Never throws; what can't be read comes back as `bad` with a reason for the one who imports. */
export function readStamp(written: string, dateOrder: DateOrder): StampText {
  const usual = readUsualForm(written);
  if (usual !== null) return usual;
  const text = written.trim();
  if (text === '') return ABSENT;
  if (text.length > MAX_STAMP_LENGTH) return bad(`a time of ${text.length} characters can't be read`);
  if (NOUGHT.test(text)) return ABSENT;

  const epoch = EPOCH.exec(text);
  if (epoch) {
    const [, millisOrMicros, seconds, fraction] = epoch;
    if (seconds !== undefined) return { kind: 'instant', ms: Number(seconds) * 1000 + fractionMs(fraction) };
    return { kind: 'instant', ms: Number(millisOrMicros) / (millisOrMicros!.length === 16 ? 1000 : 1) };
  }
  const first = YEAR_FIRST.exec(text);
  if (first) return dated(text, first, Number(first[1]), Number(first[3]), Number(first[4]));
  const last = YEAR_LAST.exec(text);
  if (last) return yearLast(text, last, dateOrder);
  return bad(`${quote(text)} is not a time; known are ${FORMS}`);
}

/** `YYYY-MM-DD HH:MM:SS` and nothing else: what nearly every row holds, so it is read without a regular expression. */
function readUsualForm(text: string): StampText | null {
  if (text.length !== 19 || text.charCodeAt(4) !== 45 || text.charCodeAt(7) !== 45) return null;
  if (text.charCodeAt(10) !== 32 || text.charCodeAt(13) !== 58 || text.charCodeAt(16) !== 58) return null;
  const year = twoDigits(text, 0) * 100 + twoDigits(text, 2);
  const month = twoDigits(text, 5);
  const day = twoDigits(text, 8);
  const hour = twoDigits(text, 11);
  const minute = twoDigits(text, 14);
  const second = twoDigits(text, 17);
  // NaN from anything but digits fails every comparison; what fails here gets its reason from the careful reader.
  if (!(isDate(year, month, day) && hour < 24 && minute < 60 && second < 60)) return null;
  return {
    kind: 'wall',
    ms: dayNumber(year, month, day) * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1000,
  };
}

function yearLast(text: string, match: RegExpExecArray, dateOrder: DateOrder): StampText {
  const one = Number(match[1]);
  const two = Number(match[3]);
  const year = Number(match[4]);
  if (dateOrder === 'dmy') return dated(text, match, year, two, one);
  if (dateOrder === 'mdy') return dated(text, match, year, one, two);
  if (one === two || one > 12) return dated(text, match, year, two, one);
  if (two > 12) return dated(text, match, year, one, two);
  return bad(
    `${quote(text)} may be day/month or month/day; say which with --date-order dmy or --date-order mdy`,
  );
}

/** The two forms share their groups from the time on: 5 hour, 6 minute, 7 second, 8 fraction, 9 offset. */
function dated(text: string, match: RegExpExecArray, year: number, month: number, day: number): StampText {
  const hour = Number(match[5]);
  const minute = Number(match[6]);
  const second = Number(match[7] ?? 0);
  if (!isDate(year, month, day)) {
    return bad(`${quote(text)} names no day from 1970 to 2099 (year ${year}, month ${month}, day ${day})`);
  }
  // 60: a leap second, which RFC 3339 allows
  if (hour > 23 || minute > 59 || second > 60) return bad(`${quote(text)} names no time of day`);
  const dayMs = ((hour * 60 + minute) * 60 + second) * 1000 + fractionMs(match[8]);
  const ms = dayNumber(year, month, day) * DAY_MS + dayMs;
  const offset = match[9];
  if (offset === undefined) return { kind: 'wall', ms };
  if (offset === 'Z' || offset === 'z') return { kind: 'instant', ms };
  const offsetMinutes = Number(offset.slice(1, 3)) * 60 + Number(offset.slice(3).replace(':', ''));
  if (offsetMinutes >= 24 * 60) return bad(`${quote(text)} has an offset of a day or more`);
  return { kind: 'instant', ms: ms - (offset.startsWith('-') ? -1 : 1) * offsetMinutes * 60_000 };
}

/** A day of the years 1970 to 2099, or the day before or after: its instant may still lie within. */
function isDate(year: number, month: number, day: number): boolean {
  if (!(month >= 1 && month <= 12 && day >= 1)) return false;
  if (year === 1969) return month === 12 && day === 31;
  if (year === 2100) return month === 1 && day === 1;
  return year >= 1970 && year <= 2099 && day <= daysInMonth(year, month);
}

function daysInMonth(year: number, month: number): number {
  // 2000 is a leap year and 2100 is out of range, so every fourth year is one.
  if (month === 2) return year % 4 === 0 ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** Days since 1970-01-01 in the Gregorian calendar; counts years from March, so that the leap day comes last. */
function dayNumber(year: number, month: number, day: number): number {
  const y = month > 2 ? year : year - 1;
  const fromMarch = month > 2 ? month - 3 : month + 9;
  const daysToYear = 365 * y + Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400);
  return daysToYear + Math.floor((153 * fromMarch + 2) / 5) + day - 719_469;
}

/** Digits after the decimal point of a second, in milliseconds, rounded once. */
function fractionMs(digits: string | undefined): number {
  if (digits === undefined) return 0;
  const padded = digits.padEnd(3, '0');
  return Number(padded) / 10 ** (padded.length - 3);
}

function twoDigits(text: string, at: number): number {
  const tens = text.charCodeAt(at) - 48;
  const ones = text.charCodeAt(at + 1) - 48;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : Number.NaN;
}

function bad(reason: string): StampText {
  return { kind: 'bad', reason };
}

function quote(text: string): string {
  return JSON.stringify(text);
}
