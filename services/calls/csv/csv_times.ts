/** Times of a file as a zone's clocks show them. */
import { cellRules, type ValueRules } from '#platform/database/fast_read/fast_read.ts';
import { FIRST_YEAR, type Micros, readInstant } from '../time/instants.ts';
import type { ZoneClock } from '../time/zone_clock.ts';

/** An instant, RFC 3339, as the zone's clocks show it; '' for none. */
export function zonedTime(text: string | null, zone: ZoneClock): string {
  if (text === null) return '';
  const read = readInstant(text);
  // What PostgreSQL gives is RFC 3339; if ever it were not, the time itself is worth more than its zone.
  return read.kind === 'instant' ? zone.text(read.at) : text;
}

const FIRST_MICROS: Micros = Date.UTC(FIRST_YEAR) * 1_000;

/** For a column of timestamptz in binary form: zonedTime, and the same on bytes. */
export const timeRules = (zone: ZoneClock): ValueRules =>
  cellRules.inZone({ ...zone, since: FIRST_MICROS }, (text) => zonedTime(text, zone));
