/**
 * The forms in which programs write a date and a time of day, each as a pattern with the same named parts.
 * `stamp_text.ts` interprets the parts, and checks whether they are a time.
 *
 *   2026-03-02 09:04:54  2026/3/2T9:04  2026-03-02-09.04.54.123456 (DB2)  2026-Mar-02 …     the year first
 *   20260302T090454Z  20260302090454.123+0100 (ISO 8601 basic, ASN.1 GeneralizedTime)       no separators
 *   260302090454Z  260302090454+0100 (ASN.1 UTCTime, as GSM's TAP writes)                    likewise
 *   3/2/2026 9:04:54 PM  02.03.26 09:04  03/02/2026, 9:04 a.m.                               as --date-order says
 *   02-Mar-2026 09:04:54  Mon, 02 Mar 2026 09:04:54 +0100 (RFC 5322)  02/Mar/2026:09:04:54   the month by its name
 *   Mar 2, 2026 9:04:54 PM  Mon Mar 02 2026 09:04:54 GMT+0100 (Central European Time)        likewise
 *   Mon Mar  2 09:04:54 2026 (asctime)  Mon Mar  2 09:04:54 UTC 2026 (date)                  the year last
 *   09:04:54.123 UTC Mon Mar 2 2026 (Cisco's RADIUS attributes)  09:04:54 02/03/2026         the time first
 */

/** The parts of a stamp as written. */
export interface StampParts {
  readonly year?: string;
  readonly month?: string;
  /** The month's English name, or its beginning. */
  readonly name?: string;
  readonly day?: string;
  /** Two numbers whose meaning only the date order decides. */
  readonly one?: string;
  readonly two?: string;
  readonly three?: string;
  readonly hour: string;
  readonly minute: string;
  readonly second?: string;
  /** Digits after the second's point. */
  readonly fraction?: string | undefined;
  /** `a` or `p`: before or after noon. */
  readonly half?: string;
  readonly zone?: string;
  readonly weekday?: string;
}

const TIME = String.raw`(?<hour>\d{1,2})(?<colon>[:.])(?<minute>\d{2})(?:\k<colon>(?<second>\d{2})(?:[.,](?<fraction>\d{1,9})|:(?<millis>\d{3}))?)?(?: ?(?<half>[ap])\.? ?m?\.?)?`;
/** An offset may have a zone's letters behind it (Go), a comment (RFC 5322, JavaScript) or a zone's name (RFC 9557). */
const ZONE = String.raw`(?: ?(?<zone>z|(?:utc|gmt|ut)(?: ?[+-]\d{1,2}(?::?\d{2})?)?|[+-]\d{2}(?::?\d{2}){0,2}(?: [a-z]{2,5})?)(?: ?\([^()]{1,40}\)| ?\[[a-z0-9_+/-]{1,40}\])?)?`;
const BETWEEN = '(?:[t_:-]|,? | at | - )';
const NAME = '(?<name>[a-z]{3,9})';
const NTH = '(?:st|nd|rd|th)?';

const form = (date: string, time = `${BETWEEN}${TIME}`) => new RegExp(`^${date}${time}${ZONE}$`, 'i');

const FORMS = [
  form(String.raw`(?<year>\d{4})(?<s>[-/.])(?<month>\d{1,2})\k<s>(?<day>\d{1,2})`),
  form(String.raw`(?<one>\d{1,2})(?<s>[-/.])(?<two>\d{1,2})\k<s>(?<three>\d{4}|\d{1,2})`),
  form(
    String.raw`(?<year>\d{4})(?<month>\d\d)(?<day>\d\d)`,
    String.raw`(?:[t_ -](?=.)|(?=\d{6}))(?<hour>\d\d)(?<minute>\d\d)(?:(?<second>\d\d)(?:[.,]?(?<fraction>\d{1,9}))?)?`,
  ),
  form(String.raw`(?<year>\d{4})(?<month>\d\d)(?<day>\d\d)`),
  form(String.raw`(?<day>\d{1,2})(?:${NTH}|\.)[-/. ]?${NAME}\.?,?[-/. ]?(?<year>\d{4}|\d\d)`),
  form(String.raw`${NAME}\.?[-/ ](?<day>\d{1,2})${NTH},?[-/ ](?<year>\d{4}|\d\d)`),
  form(String.raw`(?<year>\d{4})[-/. ]${NAME}[-/. ](?<day>\d{1,2})`),
];
/** The offset distinguishes it from a plain number. Not where it may be a year of four digits without seconds. */
const UTC_TIME =
  /^(?!(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-3])[0-5]\d)(?<year>\d\d)(?<month>\d\d)(?<day>\d\d)(?<hour>\d\d)(?<minute>\d\d)(?<second>\d\d) ?(?<zone>z|[+-]\d{4})$/i;

const WEEKDAY = /^((?:mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6})\.?,? /i;
const YEAR_LAST =
  /^((?:[a-z]{3,9}\.?,? )?)((?:[a-z]{3,9} \d{1,2}|\d{1,2} [a-z]{3,9}) )(\d{1,2}:\d{2}[^ ]*(?: .*?)?) (\d{4})( .*)?$/i;
const TIME_FIRST =
  /^[*.]?(\d{1,2}:\d{2}(?::\d{2})?(?:[.,]\d{1,9})?(?: ?[ap]\.? ?m\.?)?)(?: (z|utc|gmt|[+-]\d{2}:?\d{2}))?,? ([a-z0-9][^:]*)$/i;

const ODD_BLANKS = /[\p{Zs}\t]+/gu;
/** Invisible marks, such as those of direction. */
const UNSEEN = /\p{Cf}/gu;
const ODD_HYPHENS = /[\u2010-\u2015\u2212]/g;

/** A stamp with one kind of blank and hyphen, and no invisible character: Excel and ICU write U+202F before AM and PM. */
export function plainStamp(written: string): string {
  if (/^[!-~]+$/.test(written)) return written;
  return written.replace(UNSEEN, '').replace(ODD_HYPHENS, '-').replace(ODD_BLANKS, ' ').trim();
}

/** The parts of a stamp. Null: its form is unknown. @param text as plainStamp returns it */
export function stampParts(text: string): StampParts | null {
  const usual = inDateOrder(text);
  if (usual) return usual;
  const first = TIME_FIRST.exec(text);
  if (first) return inDateOrder(`${first[3]} ${first[1]} ${first[2] ?? ''}`.trim());
  const last = YEAR_LAST.exec(text);
  return last && inDateOrder(`${last[1]}${last[2]}${last[4]} ${last[3]}${last[5] ?? ''}`);
}

/** The parts of a stamp whose date comes first and in one piece. */
function inDateOrder(text: string): StampParts | null {
  const weekday = WEEKDAY.exec(text);
  if (!weekday) return matched(text);
  const parts = matched(text.slice(weekday[0].length));
  return parts && { ...parts, weekday: weekday[1]! };
}

function matched(text: string): StampParts | null {
  for (const pattern of FORMS) {
    const groups = pattern.exec(text)?.groups;
    if (groups) return { ...(groups as unknown as StampParts), fraction: groups.fraction ?? groups.millis };
  }
  return (UTC_TIME.exec(text)?.groups as unknown as StampParts | undefined) ?? null;
}

const MONTHS = ['january', 'february', 'march', 'april', 'may', 'june', 'july', 'august'];
MONTHS.push('september', 'october', 'november', 'december');
const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];

/** 1 to 12, from an English name or its first three letters or more. 0: not the name of a month. */
export const monthNamed = (name: string): number => placeOf(name, MONTHS) + 1;

/** 0 (Sunday) to 6, likewise. -1: not the name of a day. */
export const weekdayNamed = (name: string): number => placeOf(name, WEEKDAYS);

function placeOf(name: string, names: readonly string[]): number {
  const begin = name.toLowerCase();
  return begin.length < 3 ? -1 : names.findIndex((full) => full.startsWith(begin));
}

/** No clock was ever set further from Greenwich; +2026 is a year. */
const MAX_OFFSET_MINUTES = 16 * 60;

/** Minutes east of Greenwich of a zone as ZONE matches it. NaN: the text is no zone. */
export function offsetMinutes(zone: string): number {
  const [, sign, hours, minutes = '0', seconds = '0'] =
    /^(?:utc|gmt|ut)? ?([+-])(\d{1,2}?):?(\d\d)?:?(\d\d)?(?: [a-z]+)?$/i.exec(zone) ?? [];
  if (sign === undefined) return 0;
  if (Number(minutes) > 59 || Number(seconds) > 59) return Number.NaN;
  const size = Number(hours) * 60 + Number(minutes) + Number(seconds) / 60;
  return size > MAX_OFFSET_MINUTES ? Number.NaN : sign === '-' ? -size : size;
}
