/**
 * Parses a text to a wall-clock time or an instant. `stamps.ts` finds the zone of the wall clock.
 *
 *   2026-10-25 02:30:00[.123456] and the other forms of stamp_forms.ts       wall clock, or with an offset an instant
 *   20261025023000  20261025023000123                                        wall clock: 14 digits, 17 with milliseconds
 *   1792891800[.123]  1792891800123  1792891800123456  1792891800123456789   instant: 9–10 digits s, 13 ms, 16 µs, 19 ns, before 2038
 *   (blank)  NULL  0  0000-00-00 00:00:00  0001-01-01T00:00:00Z              absent
 *
 * Nothing is guessed. One order for the whole file decides which part of 03/04/2026 is the day. A stamp that is invalid in
 * that order is refused, even if it is valid in another. A weekday must be that of the date. Zones by their letters
 * (CET, EST, IST) mean different offsets in different places and are refused, except UTC and GMT. Other lengths of
 * digits are refused, since they can be read in two ways: 202603020904 is 2026-03-02 09:04 or 2020-26-03; so are epochs from
 * 2038 on, and those that begin as a date does (2026030209).
 */
import { isNoFigure } from '../absent.ts';
import {
  monthNamed,
  offsetMinutes,
  plainStamp,
  type StampParts,
  stampParts,
  weekdayNamed,
} from './stamp_forms.ts';

export const DATE_ORDERS = ['ymd', 'dmy', 'mdy'] as const;
/** The order of a date's parts where the year is not first with four digits: `dmy` 25/10/2026 or 25.10.26. */
export type DateOrder = (typeof DATE_ORDERS)[number];

export type StampText =
  | { readonly kind: 'absent' }
  /** Milliseconds since 1970 with fraction. For a wall clock: as if it stood in UTC. */
  | { readonly kind: 'wall' | 'instant'; readonly ms: number }
  | { readonly kind: 'bad'; readonly reason: string };

const MAX_STAMP_LENGTH = 100;
const DAY_MS = 86_400_000;
const FORMS =
  'YYYY-MM-DD HH:MM:SS, RFC 3339, DD-Mon-YYYY HH:MM:SS, an epoch in s (9 or 10 digits), ms (13) or µs (16), and with a date order also DD.MM.YYYY HH:MM, MM/DD/YYYY HH:MM and YY-MM-DD HH:MM';
/** Years of two digits mean 1970 to 2069, as POSIX reads them from 69 on. */
const FIRST_YEAR = 1970;

const DIGITS = /^\d+$/;
const EPOCH = /^(\d{9,10})[.,](\d{1,9})$/;
/** Stamps that databases and programs write for a missing time: their calendar's first day. */
const NOUGHT =
  /^0+(?:\.0+)?$|^0000-00-00|^00?([-/.])00?\1(?:00)?00(?: |$)|^(?:0001-01-01|1899-12-3[01]|1900-01-0[01])[T ]00:00(?::00(?:\.0+)?)?Z?$/;
const DATE_ALONE = /^(?:\d{1,4}([-/.])\d{1,2}\1\d{1,4}|\d{8}|[^:]*[a-z]{3}[^:]*\d{4})$/i;
const LETTERS = / [A-Z]{3,5}(?= |$)/g;

/** Europe/Berlin, [Europe/Berlin] behind a stamp without an offset. */
const ZONE_NAME = / ?(?:\[[\w+/-]+\]|[A-Z][A-Za-z_]+\/[A-Z][\w+/-]+)$/;
/** A day of 1982 to 2109, as spreadsheets count days, with the time as a fraction. */
const SERIAL = /^[3-7]\d{4}(?:[.,]\d+)?$/;

const ABSENT: StampText = { kind: 'absent' };

/**
 * Parses one stamp. Never throws. An unreadable stamp comes back as `bad` with a reason for the user who imports.
 * @param dateOrder undefined: unknown, so that dates which need it are refused
 */
export function readStamp(written: string, dateOrder: DateOrder | undefined): StampText {
  const usual = readUsualForm(written);
  if (usual !== null) return usual;
  const text = plainStamp(written.trim());
  if (text === '') return ABSENT;
  if (text.length > MAX_STAMP_LENGTH) return bad(`a time of ${text.length} characters can't be read`);
  if (NOUGHT.test(text) || isNoFigure(text)) return ABSENT;
  if (DIGITS.test(text)) return readDigits(text);
  const epoch = EPOCH.exec(text);
  if (epoch && Number(epoch[1]) < LAST_EPOCH_S)
    return { kind: 'instant', ms: Number(epoch[1]) * 1000 + fractionMs(epoch[2]) };
  const parts = stampParts(text);
  if (parts !== null) return fromParts(text, parts, dateOrder);
  if (DATE_ALONE.test(text)) return bad(`${quote(text)} has a date and no time of day`);
  if (ZONE_NAME.test(text) && stampParts(text.replace(ZONE_NAME, '')) !== null)
    return bad(
      `${quote(text)} names its zone; leave it out and give the zone with --time-zone, or write an offset such as +01:00`,
    );
  if ([...text.matchAll(LETTERS)].some(([letters]) => stampParts(text.replace(letters, ' UTC')) !== null)) {
    return bad(
      `${quote(text)} names its zone by letters, which mean different things in different places; leave them out and give the zone with --time-zone, or write an offset such as +01:00`,
    );
  }
  return notATime(text);
}

function notATime(text: string): StampText {
  const perhaps = SERIAL.test(text)
    ? '; if it is a serial number of a spreadsheet, map the column with --map column=start_time:excel'
    : '';
  return bad(`${quote(text)} is not a time; known are ${FORMS}${perhaps}`);
}

/** A date, an hour and perhaps more without separators: YYYYMMDDHH, YYYYMMDDHHMMSScc. */
const BEGINS_AS_DATE = /^20\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-3])/;
/** 2038-01-19: a later epoch is YYMMDDHHMM, or counts from 1900 (NTP) or 1904. */
const LAST_EPOCH_S = 2 ** 31;

/** Whether digits of an epoch's length, 10 and more, may have another meaning. */
const isDoubtfulEpoch = (text: string): boolean =>
  Number(text.slice(0, 10)) >= LAST_EPOCH_S || BEGINS_AS_DATE.test(text);

/** By the number of digits: an epoch in s, ms, µs or ns, or a date and a time of day. */
function readDigits(text: string): StampText {
  if ([10, 13, 16, 19].includes(text.length) && isDoubtfulEpoch(text)) {
    return bad(
      `${quote(text)} may be a date without separators or count from another year than 1970; an epoch is of a time before 2038, and a date has 14 digits (17 with milliseconds)`,
    );
  }
  switch (text.length) {
    case 9:
    case 10:
      return { kind: 'instant', ms: Number(text) * 1000 };
    case 13:
      return { kind: 'instant', ms: Number(text) };
    case 16:
    case 19:
      return { kind: 'instant', ms: Number(`${text.slice(0, 13)}.${text.slice(13)}`) };
    case 14:
    case 17:
      return fromParts(text, stampParts(text)!, undefined);
    case 8:
      return bad(`${quote(text)} has a date and no time of day`);
    default:
      return notATime(text);
  }
}

/** `YYYY-MM-DD HH:MM:SS` only: nearly every row has this form, so it is parsed without a regular expression. */
function readUsualForm(text: string): StampText | null {
  if (text.length !== 19 || text.charCodeAt(4) !== 45 || text.charCodeAt(7) !== 45) return null;
  if (text.charCodeAt(10) !== 32 || text.charCodeAt(13) !== 58 || text.charCodeAt(16) !== 58) return null;
  const year = twoDigits(text, 0) * 100 + twoDigits(text, 2);
  const month = twoDigits(text, 5);
  const day = twoDigits(text, 8);
  const hour = twoDigits(text, 11);
  const minute = twoDigits(text, 14);
  const second = twoDigits(text, 17);
  // NaN from anything but digits fails every comparison. The careful parser gives the reason for a failure.
  if (!(isDate(year, month, day) && hour < 24 && minute < 60 && second < 60)) return null;
  return {
    kind: 'wall',
    ms: dayNumber(year, month, day) * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1000,
  };
}

/** A day as a stamp names it, or the reason why it is no day. */
type NamedDay = { readonly year: number; readonly month: number; readonly day: number } | string;

function fromParts(text: string, parts: StampParts, dateOrder: DateOrder | undefined): StampText {
  const named = parts.one === undefined ? dayByName(parts, dateOrder) : dayByOrder(parts, dateOrder);
  if (typeof named === 'string') return bad(`${quote(text)} ${named}`);
  const { year, month, day } = named;
  if (!isDate(year, month, day)) {
    return bad(`${quote(text)} names no day from 1970 to 2099 (year ${year}, month ${month}, day ${day})`);
  }
  const number = dayNumber(year, month, day);
  // 1970-01-01 was a Thursday.
  if (parts.weekday !== undefined && weekdayNamed(parts.weekday) !== (number + 4 + 7) % 7) {
    return bad(`${quote(text)} names a weekday that its date is not`);
  }
  const hour = hourOf(Number(parts.hour), parts.half);
  const minute = Number(parts.minute);
  const second = Number(parts.second ?? 0);
  // 60: a leap second, which RFC 3339 allows
  if (!(hour < 24 && minute < 60 && second <= 60)) return bad(`${quote(text)} names no time of day`);
  const ms = number * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1000 + fractionMs(parts.fraction);
  if (parts.zone === undefined) return { kind: 'wall', ms };
  const offset = offsetMinutes(parts.zone);
  if (Number.isNaN(offset)) return bad(`${quote(text)} has an offset that no clock has`);
  return { kind: 'instant', ms: ms - Math.round(offset * 60) * 1000 };
}

/** A date that has the year's four digits, or the month's name. */
function dayByName({ year, month, name, day, weekday, zone }: StampParts, order?: DateOrder): NamedDay {
  const named = name === undefined ? Number(month) : monthNamed(name);
  if (named === 0) return 'names an unknown month; month names must be English';
  if (year!.length === 4) return { year: Number(year), month: named, day: Number(day) };
  // ASN.1 has one order, and a fitting weekday is proof enough.
  const sure = { year: fullYear(year!), month: named, day: Number(day) };
  if (month !== undefined && zone !== undefined) return sure;
  if (order === 'ymd') return { year: fullYear(day!), month: named, day: Number(year) };
  if (order !== undefined || weekday !== undefined) return sure;
  return [sure, { year: fullYear(day!), month: named, day: Number(year) }].some(isNamedDay)
    ? NEEDS_ORDER
    : NO_DAY;
}

const NEEDS_ORDER =
  'has its day, month and year in an unknown order; say --date-order dmy, mdy or ymd; the rows wait: `trunkline import rejected retry --date-order dmy` imports them';
const NO_DAY = 'is no date: in no order does it name a day from 1970 to 2099';

const isNamedDay = ({ year, month, day }: Exclude<NamedDay, string>): boolean => isDate(year, month, day);

/** A date of numbers only, in the file's order. */
function dayByOrder(parts: StampParts, order: DateOrder | undefined): NamedDay {
  if (order !== undefined) {
    return dayInOrder(parts, order) ?? `names no day from 1970 to 2099 in the order ${order} of --date-order`;
  }
  return DATE_ORDERS.some((one) => dayInOrder(parts, one) !== null) ? NEEDS_ORDER : NO_DAY;
}

/** Null: it is no day in this order. */
function dayInOrder({ one, two, three }: StampParts, order: DateOrder): Exclude<NamedDay, string> | null {
  const years = order === 'ymd' ? one! : three!;
  const isYear = years.length === 2 || (years.length === 4 && order !== 'ymd');
  const [month, day] = order === 'mdy' ? [one!, two!] : order === 'dmy' ? [two!, one!] : [two!, three!];
  const year = years.length === 4 ? Number(years) : fullYear(years);
  if (isYear && day.length <= 2 && isDate(year, Number(month), Number(day))) {
    return { year, month: Number(month), day: Number(day) };
  }
  return null;
}

function fullYear(digits: string): number {
  const year = 1900 + Number(digits);
  return year < FIRST_YEAR ? year + 100 : year;
}

/** By a clock of 24 hours, or of 12 where `half` is given. NaN: the clock shows no such hour. */
function hourOf(hour: number, half: string | undefined): number {
  if (half === undefined) return hour;
  const isAfternoon = half.toLowerCase() === 'p';
  // Some programs write 0:30 am for 12:30 am; 0:30 pm and 13:00 pm contradict themselves.
  if (hour > 12 || (hour === 0 && isAfternoon)) return Number.NaN;
  return (hour % 12) + (isAfternoon ? 12 : 0);
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
