/**
 * Calls as CSV, for spreadsheets: UTF-8 without a byte-order mark, times as a zone's clocks show them. What a cell may hold
 * is decided by platform/database/csv_cell.ts. Where numbers are shown, rows go from PostgreSQL's bytes to the file's by
 * csvRules; where they are masked, as values by csvLine. Both write the same.
 */
import { copyBytes } from '#platform/database/byte_output.ts';
import { csvCell } from '#platform/database/csv_cell.ts';
import type { CellRules } from '#platform/database/rows_csv.ts';
import type { CallRow } from '../store/calls.ts';
import type { ZoneClock } from '../time/zone_clock.ts';
import { timeRules, zonedTime } from './csv_times.ts';

/** The columns, in order. */
export const CSV_COLUMNS = [
  'i_cdr',
  'i_account',
  'call_id',
  'direction',
  'cli',
  'cld',
  'cli_in',
  'cld_in',
  'start_time',
  'connect_time',
  'disconnect_time',
  'duration_s',
  'billed_duration_s',
  'result',
  'disconnect_cause',
  'country',
  'description',
  'cost',
  'currency',
  'remote_ip',
  'user_agent',
  'flags',
  'source',
] as const satisfies readonly (keyof CallRow)[];

export const CSV_HEADER = `${CSV_COLUMNS.join(',')}\r\n`;

/** One call as a line. */
export function csvLine(call: CallRow, zone: ZoneClock): string {
  const cells = CSV_COLUMNS.map((column) => {
    switch (column) {
      case 'start_time':
      case 'connect_time':
      case 'disconnect_time':
        return zonedTime(call[column], zone);
      case 'flags':
        return csvCell(call.flags.join(' '));
      default: {
        const value = call[column];
        return typeof value === 'string' ? csvCell(value) : value === null ? '' : String(value);
      }
    }
  });
  return `${cells.join(',')}\r\n`;
}

/** For csvReading, of the columns that recordsOfCalls gives. */
export function csvRules(zone: ZoneClock): Readonly<Record<string, CellRules>> {
  const time = timeRules(zone);
  return {
    start_time: time,
    connect_time: time,
    disconnect_time: time,
    duration_s: SECONDS,
    billed_duration_s: SECONDS,
  };
}

const DOT = 0x2e;
const ZERO = 0x30;
/** Of any decimal that is not below a millionth: JavaScript prints smaller ones with an exponent. */
const PLAIN_CHARACTERS = 8;
/** A number holds so many digits exactly. */
const EXACT_CHARACTERS = 15;

const copySeconds: CellRules['bytes'] = (from, fromAt, to, toAt, length) => {
  const beginsWithZero = from.getUint8(fromAt) <= ZERO; // or with a minus
  if (length > (beginsWithZero ? PLAIN_CHARACTERS : EXACT_CHARACTERS)) return -1;
  copyBytes(from, fromAt, to, toAt, length);
  let end = toAt + length;
  let dot = end - 1;
  while (dot > toAt && to.getUint8(dot) !== DOT) dot--;
  if (dot === toAt) return end;
  while (to.getUint8(end - 1) === ZERO) end--;
  return to.getUint8(end - 1) === DOT ? end - 1 : end;
};

/** A numeric as JavaScript prints the number, which is how pages show it, too: without zeros at its end. */
const SECONDS: CellRules = { text: (text) => String(Number(text)), bytes: copySeconds };
