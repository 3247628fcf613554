/**
 * Calls as CSV, for spreadsheets: UTF-8, times as a zone's clocks show them. What a cell may hold is decided by
 * platform/database/fast_read/csv_cell.ts. Where numbers are shown, rows go from PostgreSQL's bytes to the file's by csvRules; where
 * they are masked, as values by csvLine. Both write the same.
 */
import { cellRules, csvCell, type ValueRules } from '#platform/database/fast_read/fast_read.ts';
import {
  CALL_COLUMNS,
  type CallColumn,
  type CallRow,
  SECONDS_COLUMNS,
  TIME_COLUMNS,
} from '../call_fields.ts';
import type { ZoneClock } from '../time/zone_clock.ts';
import { type CsvForm, csvDecimal, csvRecord, plainForm } from './csv_form.ts';
import { timeRules, zonedTime } from './csv_times.ts';

export type CallsForm = CsvForm<CallColumn>;

/** As a file is unless its client says otherwise. */
export const PLAIN_CALLS: CallsForm = plainForm(CALL_COLUMNS);

/** The cell of a value that has no form of its own; null is an empty one. */
export function plainCell(value: string | number | boolean | null): string {
  return typeof value === 'string' ? csvCell(value) : value === null ? '' : String(value);
}

/** One call as a line. */
export function csvLine(call: CallRow, zone: ZoneClock, form: CallsForm): string {
  const cells = form.columns.map((column) => {
    switch (column) {
      case 'start_time':
      case 'connect_time':
      case 'disconnect_time':
        return zonedTime(call[column], zone);
      case 'duration_s':
      case 'billed_duration_s':
        return csvDecimal(String(call[column]), form);
      case 'cost':
        return csvDecimal(csvCell(call.cost ?? ''), form);
      case 'flags':
        return csvCell(call.flags.join(' '));
      default:
        return plainCell(call[column]);
    }
  });
  return csvRecord(cells, form);
}

/** For csvQuery, of the columns that recordsOfCalls gives. */
export function csvRules(zone: ZoneClock, form: CallsForm): Readonly<Record<string, ValueRules>> {
  const time = timeRules(zone);
  const { number, text, withComma } = cellRules;
  // Seconds as pages show them, too.
  const [seconds, cost] = form.decimal === '.' ? [number, text] : [withComma(number), withComma(text)];
  const rules = [
    ...TIME_COLUMNS.map((column) => [column, time] as const),
    ...SECONDS_COLUMNS.map((column) => [column, seconds] as const),
    ['cost', cost] as const,
  ];
  return Object.fromEntries(rules.filter(([column]) => form.columns.some((asked) => asked === column)));
}
