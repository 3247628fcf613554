/**
 * Normalizes a field's value, however written. A row without a call id is recognised by all its values, and another
 * program may print the same row in another form.
 *
 *   0.0250   +0.025   2.5e-2                              0.025
 *   0:01:05  00:01:05                                     65
 *   2026-03-02T09:04:54Z   2026-03-02 09:04:54.000        one stamp
 *
 * Nothing here depends on the options for the file (time zone, date order, mapping): a stamp is taken as it stands. A
 * stamp whose day and month could be swapped keeps their order. A whole number keeps its zeros and its sign, since it may
 * be a telephone number.
 */
import { readStamp } from '../time/stamp_text.ts';

/** What stands between the values of a row's text. */
export const BETWEEN = '\u001f';

/** Longer ones are prose. */
const MAX_LENGTH = 64;
const DECIMAL = /^([+-]?)(\d*)\.(\d*)$/;
const EXPONENT = /^([+-]?)(\d+)(?:\.(\d*))?e([+-]?\d{1,2})$/i;
const CLOCK = /^(\d{1,6}):([0-5]\d):([0-5]\d)(\.\d{1,9})?$/;
const YEAR_LAST = /^(\d{1,2})([-/.])(\d{1,2})\2(\d{4})[T ] *(.*)$/i;

/** @param decimalComma whether 0,5 is a half */
export function normalValue(written: string, decimalComma = false): string {
  const text = written.trim();
  if (text === '' || text.length > MAX_LENGTH || !startsAsNumber(text)) return text;
  if (text.includes(':')) return normalTime(text);
  return normalNumber(decimalComma ? text.replace(',', '.') : text);
}

/** A row's values as one text, without blank values at its end. */
export function rowText(values: readonly string[]): string {
  let length = values.length;
  while (length > 0 && values[length - 1] === '') length--;
  return values.slice(0, length).join(BETWEEN);
}

/** @param text of one or more values, as `rowText` joins them */
export function normalRowText(text: string): string {
  return rowText(text.split(BETWEEN).map((value) => normalValue(value)));
}

function startsAsNumber(text: string): boolean {
  const code = text.charCodeAt(0);
  return (code >= 48 && code <= 57) || code === 43 || code === 45 || code === 46;
}

function normalNumber(text: string): string {
  const decimal = DECIMAL.exec(text);
  if (decimal) return plainDecimal(decimal[1]!, decimal[2]!, decimal[3]!) ?? text;
  const power = EXPONENT.exec(text);
  if (!power) return text;
  const digits = power[2]! + (power[3] ?? '');
  const point = power[2]!.length + Number(power[4]);
  const padded = point <= 0 ? '0'.repeat(1 - point) + digits : digits.padEnd(point, '0');
  const at = Math.max(point, 1);
  return plainDecimal(power[1]!, padded.slice(0, at), padded.slice(at)) ?? text;
}

/** Undefined: a text without a digit is no number. */
function plainDecimal(sign: string, whole: string, fraction: string): string | undefined {
  if (whole === '' && fraction === '') return undefined;
  const before = whole.replace(/^0+(?=\d)/, '') || '0';
  const after = fraction.replace(/0+$/, '');
  const number = after === '' ? before : `${before}.${after}`;
  return sign === '-' && number !== '0' ? `-${number}` : number;
}

function normalTime(text: string): string {
  const clock = CLOCK.exec(text);
  if (clock) {
    const seconds = (Number(clock[1]) * 60 + Number(clock[2])) * 60 + Number(clock[3]);
    return normalNumber(`${seconds}${clock[4] ?? ''}`);
  }
  const stamp = readStamp(text, undefined);
  if (stamp.kind === 'wall' || stamp.kind === 'instant') return `@${stamp.ms}`;
  const last = YEAR_LAST.exec(text);
  if (!last) return text;
  const [, one, , two, year, time] = last;
  const clockTime = readStamp(`2000-01-01 ${time}`, undefined);
  const told = clockTime.kind === 'wall' || clockTime.kind === 'instant' ? `@${clockTime.ms}` : time;
  return `${Number(one)}/${Number(two)}/${year} ${told}`;
}
