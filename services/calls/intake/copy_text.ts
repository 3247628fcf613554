/** Calls as the text that COPY reads. https://www.postgresql.org/docs/current/sql-copy.html, "Text Format" */
import { addMonths, monthOf } from '../partitions.ts';
import type { Cdr } from './settle.ts';
import { decimalSeconds } from './usage.ts';

export const COPY_COLUMNS = [
  ...[
    'i_cdr',
    'i_account',
    'start_time',
    'connect_time',
    'disconnect_time',
    'duration_s',
    'billed_duration_s',
  ],
  ...[
    'cost',
    'i_import',
    'line',
    'currency',
    'country',
    'direction',
    'result',
    'cli',
    'cld',
    'cli_in',
    'cld_in',
  ],
  ...[
    'call_id',
    'source',
    'source_key',
    'disconnect_cause',
    'description',
    'remote_ip',
    'user_agent',
    'flags',
  ],
  'attributes',
];

/** i_cdr is yyyymm of the start times this, plus a number of its own. */
export const I_CDR_MONTH = 10_000_000_000;

export const iCdrOf = (startTime: number, number: number) => monthOf(startTime) * I_CDR_MONTH + number;

/** The month that an i_cdr lies in, or undefined where no month has that number. */
export function monthOfICdr(iCdr: number): number | undefined {
  const month = Math.floor(iCdr / I_CDR_MONTH);
  const valid = month >= 197_001 && month % 100 >= 1 && month % 100 <= 12 && addMonths(month, 1) <= 210_001;
  return valid ? month : undefined;
}

/** Where a batch of rows came from; the same for all of it. */
export interface CopyOrigin {
  readonly iImport: number;
  readonly source: string;
}

const NULL = '\\N';
const NEEDS_ESCAPE = /[\\\n\r\t\0]/;

/** @param line of the row in its source */
export function copyLine(cdr: Cdr, iCdr: number, line: number, origin: CopyOrigin): string {
  const r = cdr.record;
  return `${iCdr}\t${cdr.account.i_account}\t${instant(r.startTime)}\t${maybeInstant(r.connectTime)}\t${maybeInstant(
    r.disconnectTime,
  )}\t${seconds(r.durationS)}\t${seconds(r.billedDurationS)}\t${r.cost ?? NULL}\t${origin.iImport}\t${line}\t${
    cdr.currency
  }\t${cdr.country ?? NULL}\t${cdr.direction}\t${r.result}\t${text(cdr.cli)}\t${text(cdr.cld)}\t${
    cdr.cli === r.cli ? NULL : text(r.cli)
  }\t${cdr.cld === r.cld ? NULL : text(r.cld)}\t${text(cdr.callId)}\t${text(origin.source)}\t${
    cdr.sourceKey
  }\t${maybeText(r.disconnectCause)}\t${maybeText(r.description)}\t${maybeText(r.remoteIp)}\t${maybeText(
    r.userAgent,
  )}\t${cdr.flags.length === 0 ? NULL : `{${cdr.flags.join(',')}}`}\t${attributes(r.attributes)}\n`;
}

/** PostgreSQL keeps microseconds, a JavaScript Date milliseconds. */
export function instant(ms: number): string {
  const whole = Math.floor(ms);
  const iso = new Date(whole).toISOString();
  if (whole === ms) return iso;
  const us = Math.min(999, Math.round((ms - whole) * 1000));
  return `${iso.slice(0, -1)}${String(us).padStart(3, '0')}Z`;
}

const maybeInstant = (ms: number | null) => (ms === null ? NULL : instant(ms));

const seconds = (s: number) => (Number.isInteger(s) ? String(s) : decimalSeconds(Math.round(s * 1_000_000)));

function text(value: string): string {
  if (!NEEDS_ESCAPE.test(value)) return value;
  // PostgreSQL's text holds every character but NUL; Unicode's replacement character stands for it.
  return value
    .replaceAll('\\', '\\\\')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll('\t', '\\t')
    .replaceAll('\0', '\ufffd');
}

const maybeText = (value: string | null) => (value === null || value === '' ? NULL : text(value));

function attributes(values: Readonly<Record<string, string>>): string {
  for (const _ in values) return text(JSON.stringify(values).replaceAll('\\u0000', '\\ufffd'));
  return NULL;
}
