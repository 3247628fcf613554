/** Parses the end of a silence: strict RFC 3339, and within a year, since a later one is probably a mistake. */

/** A longer silence would switch off a rule. */
export const LONGEST_SILENCE_DAYS = 366;
const DAY_MS = 86_400_000;

/** RFC 3339 § 5.6: date-time. */
const DATE_TIME =
  /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))$/;

export type SilenceEnd =
  | { readonly kind: 'end' /** From now. */; readonly inMs: number }
  | { readonly kind: 'bad'; readonly reason: string };

/** @param now wall-clock milliseconds since 1970 */
export function readSilenceEnd(text: string, now: number): SilenceEnd {
  const at = instantOf(text);
  if (at === undefined)
    return bad('`until` must be an instant of RFC 3339 with a zone, such as 2026-11-28T22:00:00Z');
  if (at <= now) return bad('A silence must end in the future');
  if (at - now > LONGEST_SILENCE_DAYS * DAY_MS)
    return bad(`A silence may last ${LONGEST_SILENCE_DAYS} days at most`);
  return { kind: 'end', inMs: at - now };
}

const bad = (reason: string): SilenceEnd => ({ kind: 'bad', reason });

/** Milliseconds since 1970; undefined if the text is no instant, such as the 30th of February. */
function instantOf(text: string): number | undefined {
  const match = DATE_TIME.exec(text);
  if (!match) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as number[];
  const [fraction = '0', sign, offsetHours = '0', offsetMinutes = '0'] = match.slice(7);
  if (hour! > 23 || minute! > 59 || second! > 59) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(year!, month! - 1, day!);
  if (date.getUTCMonth() !== month! - 1 || date.getUTCDate() !== day!) return undefined;
  const offsetMs = (Number(offsetHours) * 60 + Number(offsetMinutes)) * 60_000 * (sign === '-' ? -1 : 1);
  date.setUTCHours(hour!, minute!, second!, Math.floor(Number(`0.${fraction}`) * 1_000));
  return date.getTime() - offsetMs;
}
