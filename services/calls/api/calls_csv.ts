/**
 * Calls as CSV (RFC 4180: commas, CRLF, quotes doubled; UTF-8 without a byte-order mark), for spreadsheets.
 *
 * A spreadsheet takes a cell that begins with = + - or @ for a formula and runs it. Such a cell gets an apostrophe in
 * front, which spreadsheets take as "this is text". So does what would begin a cell if the file were cut at another
 * separator than ours, as a spreadsheet of another country may. Numbers stay numbers: a + and digits alone run nothing,
 * and whoever works on with the file needs them as they are.
 */

import type { CallRow } from '../store/calls.ts';
import { readInstant } from '../time/instants.ts';
import type { ZoneClock } from '../time/zone_clock.ts';

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

/** Telephone numbers, masked ones too (two stars and more are no product), and decimals: nothing that could be run. */
const PLAIN_NUMBER = /^(?:[+-]?\d+(?:\.\d+)?|\+?\d+\*{2,}\d+)$/;
/** A formula's first character (the wide forms too), where a cell begins or may be made to begin. */
const FORMULA = /(^|[,;|"'])(\s*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])/g;
/** One record, one line: not every reader knows that quotes hold lines together. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROLS = /[\u0000-\u001f\u007f\u0085\u2028\u2029]+/g;
const NEEDS_QUOTES = /[",;|]|^\s|\s$/;

/** One call as a line. */
export function csvLine(call: CallRow, zone: ZoneClock): string {
  const cells = CSV_COLUMNS.map((column) => {
    switch (column) {
      case 'start_time':
      case 'connect_time':
      case 'disconnect_time':
        return zonedTime(call[column], zone);
      case 'flags':
        return call.flags.join(' ');
      default: {
        const value = call[column];
        return typeof value === 'string' ? csvCell(value) : value === null ? '' : String(value);
      }
    }
  });
  return `${cells.join(',')}\r\n`;
}

/** A text made safe to stand between two commas. */
export function csvCell(text: string): string {
  if (PLAIN_NUMBER.test(text)) return text;
  const safe = text.replace(CONTROLS, ' ').replace(FORMULA, "$1$2'");
  return NEEDS_QUOTES.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function zonedTime(text: string | null, zone: ZoneClock): string {
  if (text === null) return '';
  const read = readInstant(text);
  // What PostgreSQL gives is RFC 3339; if ever it were not, the time itself is worth more than its zone.
  return read.kind === 'instant' ? zone.text(read.at) : text;
}
