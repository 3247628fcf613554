/** `from` and `to` of a query: instants, or dates, which begin at midnight of a zone. */
import { badParameter } from '../../errors.ts';
import { type Micros, readDate, readInstant } from '../../time/instants.ts';
import { type ZoneClock, zoneClock } from '../../time/zone_clock.ts';

/** One end of a range: an instant, or a date YYYY-MM-DD of a zone that may be unknown yet. */
export type End = Micros | string;

const DATE_FORM = /^\d{4}-\d\d-\d\d$/;

/**
 * @param name of the parameter
 * @throws ApiError 400
 */
export function readEnd(name: string, text: string | undefined): End | undefined {
  if (text === undefined) return undefined;
  const date = readDate(text);
  if (date !== undefined) return date;
  const instant = readInstant(text);
  if (instant.kind === 'instant') return instant.at;
  // For an invalid date the message names its fault.
  throw badParameter(name, instant.reason + (DATE_FORM.test(text) ? '' : '; or a date such as 2026-11-01'));
}

/** The instant of an end. */
export function endAt<None extends undefined>(end: End | None, zone: ZoneClock): Micros | None {
  return typeof end === 'string' ? zone.startOfDay(end) : end;
}

/** @throws ApiError 400 for a name that is no zone */
export function zoneOf(name: string): ZoneClock {
  const zone = zoneClock(name);
  if (!zone)
    throw badParameter('time_zone', 'is not a time zone of the IANA database, such as Europe/Berlin');
  return zone;
}

/** @throws ApiError 400 unless `from` is before `to` */
export function requireOrder(from: Micros | undefined, to: Micros | undefined): void {
  if (from !== undefined && to !== undefined && from >= to) throw badParameter('from', 'must be before `to`');
}
