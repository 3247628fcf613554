/**
 * The times of a mapped row by its columns: a stamp in one column, date and time of day in two, or the serial numbers of a
 * spreadsheet (days since 1899-12-30, where the mapping says `:excel`).
 *
 * Where only the start has a date, answer and end are the first such times of day that agree with the call's length. So
 * the end of a call over midnight is on the next day.
 */
import type { Rejection } from '../cdr.ts';
import { plainStamp } from '../time/stamp_forms.ts';
import { type DateOrder, readStamp } from '../time/stamp_text.ts';
import type { WrittenTimes } from '../time/stamps.ts';

export const TIME_UNITS = ['excel'] as const;
export type TimeUnit = (typeof TIME_UNITS)[number];

/** Of a call: `start_date` and `start_time` are those of its start. */
export const MOMENTS = ['start', 'connect', 'disconnect'] as const;
type Moment = (typeof MOMENTS)[number];
export type TimeField = `${Moment}_${'date' | 'time'}`;

/** A row's columns by field. */
export interface TimeColumns {
  /** '' where it is blank, or not mapped. */
  text(field: TimeField): string;
  has(field: TimeField): boolean;
  unit(field: TimeField): TimeUnit | undefined;
}

export type Composed = { kind: 'times'; times: WrittenTimes } | { kind: 'rejected'; rejection: Rejection };

const DAY_MS = 86_400_000;
const TIME_OF_DAY = /^\d{1,2}([:.])\d{2}(?:\1\d{2}(?:[.,]\d{1,9})?)?(?: ?[ap]\.? ?m?\.?)?$/i;
/** What spreadsheets and databases put beside a date without a time, and a time without a date. */
const NO_TIME = /[T ](?:0?0:00(?::00(?:[.,]0+)?)?|12:00(?::00)? AM)$/i;
const NO_DATE = /^(?:1899-12-3[01]|1900-01-0[01]|12\/3[01]\/1899|3[01][./]12[./]1899|1\/0\/1900)[T ]+/;
/** The largest difference between times and duration, as after a change of the clocks. */
const SLACK_MS = 3 * 3_600_000;
/** Without a duration a call is not assumed to be longer than this: its end may lie before its start. */
const LONGEST_UNTOLD_MS = 20 * 3_600_000;

/** @param durationS seconds; NaN: unknown */
export function composeTimes(
  columns: TimeColumns,
  durationS: number,
  dateOrder: DateOrder | undefined,
): Composed {
  const written: Record<Moment, string> = { start: '', connect: '', disconnect: '' };
  for (const moment of MOMENTS) {
    const text = momentText(columns, moment);
    if (typeof text !== 'string') return { kind: 'rejected', rejection: text };
    written[moment] = text;
  }
  if (columns.has('start_date')) {
    for (const moment of ['connect', 'disconnect'] as const) {
      const clock = plainStamp(written[moment]);
      if (columns.has(`${moment}_date`) || !TIME_OF_DAY.test(clock)) continue;
      const length = moment === 'disconnect' ? durationS * 1000 : 0;
      const placed = placeBehind(written.start, clock, length, moment === 'connect', dateOrder);
      if (placed === null) {
        const reason = `${moment}: ${JSON.stringify(clock)} is no time of day that agrees with the start and the duration`;
        return { kind: 'rejected', rejection: { code: 'bad_time', reason, field: moment } };
      }
      written[moment] = placed;
    }
  }
  return { kind: 'times', times: { ...written, durationS } };
}

function momentText(columns: TimeColumns, moment: Moment): string | Rejection {
  const time = columns.text(`${moment}_time`);
  const isSerial = columns.unit(`${moment}_time`) === 'excel';
  if (!columns.has(`${moment}_date`)) return isSerial ? serialOf(time, '', moment) : time;
  const date = columns.text(`${moment}_date`);
  if (date === '' && time === '') return '';
  if (isSerial || columns.unit(`${moment}_date`) === 'excel') return serialOf(date, time, moment);
  return `${date.replace(NO_TIME, '')} ${time.replace(NO_DATE, '')}`.trim();
}

/** A serial number, or those of a date and of a time of day, as a wall-clock time. */
function serialOf(one: string, other: string, moment: Moment): string | Rejection {
  if (one === '' && other === '') return '';
  const ms = [one, other].map(serialMs);
  const day = Date.UTC(1899, 11, 30) + (ms[0] ?? Number.NaN) + (ms[1] ?? Number.NaN);
  if (ms[0]! > 60 * DAY_MS && day < Date.UTC(2200, 0)) return isoText(day);
  const reason = `${moment}: ${JSON.stringify([one, other].filter(Boolean).join(' ').slice(0, 60))} is no serial number of a spreadsheet; one has a day and 8 decimals or more for the time, such as 46083.378402778`;
  return { code: 'bad_time', reason, field: moment };
}

/**
 * Milliseconds of a number of days. With fewer than 8 decimals the result must be a whole second; otherwise a
 * spreadsheet has rounded it.
 */
function serialMs(text: string): number {
  if (text === '') return 0;
  const [, days, decimals = ''] = /^(\d{1,6})(?:[.,](\d{1,17}))?$/.exec(text) ?? [];
  if (days === undefined) return Number.NaN;
  const ofDay = Number(`0.${decimals || '0'}`) * DAY_MS;
  const isEven = Math.abs(ofDay / 60_000 - Math.round(ofDay / 60_000)) < 1e-6;
  if (decimals.length < 8 && !isEven) return Number.NaN;
  return Number(days) * DAY_MS + Math.round(ofDay);
}

const isoText = (ms: number): string => new Date(ms).toISOString().slice(0, -1).replace('T', ' ');

/**
 * The time of day `clock` on the day that agrees with `start` and `lengthMs`. Null: there is no such day.
 * @param lengthMs of the call; NaN: unknown
 * @param nearest whether the time is near the start, perhaps on either side of a midnight
 */
function placeBehind(
  start: string,
  clock: string,
  lengthMs: number,
  nearest: boolean,
  dateOrder: DateOrder | undefined,
): string | null {
  const from = readStamp(start, dateOrder);
  const until = readStamp(`2000-01-01 ${clock}`, dateOrder);
  // An unreadable start is reported as the row's fault.
  if (from.kind !== 'wall') return start === '' ? clock : null;
  if (until.kind !== 'wall') return null;
  const day = Math.floor(from.ms / DAY_MS) * DAY_MS;
  const later = until.ms - Date.UTC(2000, 0) - (from.ms - day);
  const isTold = !Number.isNaN(lengthMs);
  const days = isTold ? Math.max(0, Math.round((lengthMs - later) / DAY_MS)) : later < 0 ? 1 : 0;
  const gap = days * DAY_MS + later;
  if (!nearest && (isTold ? Math.abs(gap - lengthMs) > SLACK_MS : days === 1 && gap > LONGEST_UNTOLD_MS))
    return null;
  return `${isoText(day + days * DAY_MS).slice(0, 10)} ${clock}`;
}
