/**
 * Durations of calls, as switches, spreadsheets and billing systems write them. A number without a unit is in seconds, or
 * in the unit of the mapping. 1:05 is refused unless the mapping says what it is: it may be a minute and five seconds or
 * an hour and five minutes.
 *
 *   65  65.5  1,065                         in the given unit
 *   1:01:05  0:01:05.5  1.02:03:04 (.NET)  1 day, 2:03:04 (Python, PostgreSQL)
 *   65s  1m5s  1 h 2 min  250 ms  1'05"     units beside their numbers, the larger first
 *   PT1M5S  P1DT2H                          ISO 8601
 */
import { type DecimalRule, readDecimal } from './decimal_marks.ts';
import { readSeconds } from './field_values.ts';

/** The unit of a number alone, or of two numbers with a colon. */
export const DURATION_UNITS = ['s', 'ms', 'min', 'h', 'm:ss', 'h:mm'] as const;
export type DurationUnit = (typeof DURATION_UNITS)[number];

export type ReadDuration =
  | { readonly kind: 'seconds'; readonly seconds: number }
  /** `why` continues the value's text. */
  | { readonly kind: 'bad'; readonly why: string };

export const DURATION_FORMS = 'seconds, H:MM:SS or 1m5s';

const MAX_LENGTH = 60;
const DAY = 86_400_000_000n;
/** In microseconds. */
const UNIT_SIZES: Readonly<Record<string, bigint>> = {
  d: DAY,
  h: 3_600_000_000n,
  m: 60_000_000n,
  s: 1_000_000n,
  ms: 1_000n,
  us: 1n,
};
const WORDS: readonly [RegExp, unit: string][] = [
  [/^d(?:ays?)?$/, 'd'],
  [/^h(?:(?:ou)?rs?)?$/, 'h'],
  [/^m(?:in(?:ute)?s?)?$/, 'm'],
  [/^s(?:ec(?:ond)?s?)?$/, 's'],
  [/^(?:ms(?:ecs?)?|milliseconds?)$/, 'ms'],
  [/^[uµμ]s(?:ecs?)?$/, 'us'],
];
const CLOCK =
  /^(?:(\d{1,3})(?:\.| ?d(?:ays?)?,? )0?(?=\d))?(\d{1,6}):([0-5]?\d):([0-5]\d)(?:[.,](\d{1,9}))?$/;
const TWO = /^(\d{1,6}):([0-5]\d)(?:[.,](\d{1,9}))?$/;
const ISO = /^p(?:(\d+)d)?(?:t(?=\d)(?:([\d.,]+)h)?(?:([\d.,]+)m)?(?:([\d.,]+)s)?)?$/;
const WITH_UNIT = /(\d[\d.,]*) ?([a-zµμ]+)\.?,? ?/y;

/** A spreadsheet's value for 0:01:05: its part of a day, 0.000752315. No switch writes a second so finely. */
const DAY_FRACTION = /^0?[.,]\d{7,}$/;

const bad = (why: string): ReadDuration => ({ kind: 'bad', why });
const NONE = bad(`; it should be ${DURATION_FORMS}`);

/** @param unit of a number without a unit; undefined: seconds, and two numbers with a colon are refused */
export function readDuration(
  written: string,
  unit: DurationUnit | undefined,
  rule: DecimalRule,
): ReadDuration {
  // Nearly every row holds this form.
  const usual = unit === undefined && rule === 'plain' ? readSeconds(written) : Number.NaN;
  if (usual >= 0 && !(usual < 1 && usual > 0 && DAY_FRACTION.test(written)))
    return { kind: 'seconds', seconds: usual };
  if (written.length > MAX_LENGTH) return NONE;
  const text = written
    .replace(/[\p{Zs}\t]+/gu, ' ')
    .trim()
    .toLowerCase();
  if (/^[\d., ]+$/.test(text)) return readNumber(text, unit, rule);
  const clock = CLOCK.exec(text);
  if (clock) {
    const [, days = '0', hours, minutes, seconds, fraction = ''] = clock;
    if (clock[1] !== undefined && Number(hours) > 23) return NONE;
    return sum([
      [days, 'd'],
      [hours!, 'h'],
      [minutes!, 'm'],
      [`${seconds}.${fraction}`, 's'],
    ]);
  }
  const two = TWO.exec(text);
  if (two) return readTwo(two, unit);
  const iso = ISO.exec(text);
  if (iso && text.length > 1) return readIso(iso, rule);
  return readUnits(text.replace(/(\d) ?['′](?!['′])/g, '$1m').replace(/(\d) ?(?:["″]|''|′′)/g, '$1s'), rule);
}

function readNumber(text: string, unit: DurationUnit | undefined, rule: DecimalRule): ReadDuration {
  const number = readDecimal(text, rule);
  if (number.kind === 'bad') return rule === '.' || rule === ',' ? wrongSign(rule) : NONE;
  if (number.kind === 'ambiguous') return twoReadings(number);
  if (unit === 'm:ss' || unit === 'h:mm') return bad(`; it should be ${unit}, as the mapping says`);
  if (unit === undefined && DAY_FRACTION.test(text) && Number(number.text) > 0) {
    return bad(
      ', which may be a spreadsheet’s part of a day; save the column as H:MM:SS, or say that it is in seconds: --map column=duration_s:s',
    );
  }
  return sum([[number.text, unit === 'min' ? 'm' : (unit ?? 's')]]);
}

function readTwo([, first, second, fraction]: RegExpExecArray, unit: DurationUnit | undefined): ReadDuration {
  if (unit === 'm:ss') {
    return sum([
      [first!, 'm'],
      [`${second}.${fraction ?? ''}`, 's'],
    ]);
  }
  if (unit === 'h:mm' && fraction === undefined) {
    return sum([
      [first!, 'h'],
      [second!, 'm'],
    ]);
  }
  return bad(
    ', which may be minutes and seconds or hours and minutes; say which in the mapping: --map column=duration_s:m:ss, or :h:mm',
  );
}

function readIso([, ...written]: (string | undefined)[], rule: DecimalRule): ReadDuration {
  const parts = (['d', 'h', 'm', 's'] as const).map((unit, at) => [written[at] ?? '0', unit] as const);
  return decimals(parts, rule);
}

function readUnits(text: string, rule: DecimalRule): ReadDuration {
  const parts: [string, string][] = [];
  const pattern = new RegExp(WITH_UNIT);
  for (let at = 0; at < text.length; at = pattern.lastIndex) {
    pattern.lastIndex = at;
    const [, number, word] = pattern.exec(text) ?? [];
    const unit = word === undefined ? undefined : WORDS.find(([named]) => named.test(word))?.[1];
    const before = parts.at(-1)?.[1];
    if (unit === undefined) return NONE;
    // Each unit once, the larger first: so a second 5 m is neither month nor metre.
    if (before !== undefined && UNIT_SIZES[unit]! >= UNIT_SIZES[before]!) return NONE;
    parts.push([number!, unit]);
  }
  return parts.length === 0 ? NONE : decimals(parts, rule);
}

/** Only the last of several has decimals. */
function decimals(parts: readonly (readonly [string, string])[], rule: DecimalRule): ReadDuration {
  const read: [string, string][] = [];
  for (const [number, unit] of parts) {
    const decimal = readDecimal(number, rule);
    if (decimal.kind === 'bad') return rule === '.' || rule === ',' ? wrongSign(rule) : NONE;
    if (decimal.kind === 'ambiguous') return twoReadings(decimal);
    if (read.some(([text]) => text.includes('.')) && decimal.text !== '0') return NONE;
    read.push([decimal.text, unit]);
  }
  return sum(read);
}

const twoReadings = ({ text, other }: { readonly text: string; readonly other: string }): ReadDuration =>
  bad(`, which may be ${text} or ${other}; say which with --decimal-sign . or --decimal-sign ,`);

const wrongSign = (sign: string): ReadDuration =>
  bad(`, which is no number where the decimal sign is ${sign}, as --decimal-sign says`);

/** Uses whole numbers up to the last step, so that 1.1 minutes are exactly 66 seconds. */
function sum(parts: readonly (readonly [decimal: string, unit: string])[]): ReadDuration {
  const scale = Math.max(...parts.map(([text]) => text.length - 1 - `${text}.`.indexOf('.')), 0);
  let total = 0n;
  for (const [text, unit] of parts) {
    const [whole = '', fraction = ''] = text.split('.');
    total += BigInt(`${whole}${fraction.padEnd(scale, '0')}` || '0') * UNIT_SIZES[unit]!;
  }
  return { kind: 'seconds', seconds: Number(total) / Number(10n ** BigInt(scale + 6)) };
}
