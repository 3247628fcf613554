/**
 * Calls as CSV, for spreadsheets: UTF-8 without a byte-order mark, times as a zone's clocks show them. What a cell may hold
 * is decided by platform/database/rows/csv_cell.ts. Where numbers are shown, rows go from PostgreSQL's bytes to the file's by
 * csvRules; where they are masked, as values by csvLine. Both write the same.
 */
import { csvCell } from '#platform/database/rows/csv_cell.ts';
import { copyDecimalNumber, decimalNumber } from '#platform/database/rows/decimal_number.ts';
import type { CellRules } from '#platform/database/rows/rows_csv.ts';
import { CALL_COLUMNS, type CallRow, SECONDS_COLUMNS, TIME_COLUMNS } from '../store/calls.ts';
import type { ZoneClock } from '../time/zone_clock.ts';
import { timeRules, zonedTime } from './csv_times.ts';

export const CSV_HEADER = `${CALL_COLUMNS.join(',')}\r\n`;

/** One call as a line. */
export function csvLine(call: CallRow, zone: ZoneClock): string {
  const cells = CALL_COLUMNS.map((column) => {
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
  return Object.fromEntries([
    ...TIME_COLUMNS.map((column) => [column, time]),
    ...SECONDS_COLUMNS.map((column) => [column, SECONDS]),
  ]);
}

/** Numerics as pages show them, too. */
const SECONDS: CellRules = { text: decimalNumber, bytes: copyDecimalNumber };
