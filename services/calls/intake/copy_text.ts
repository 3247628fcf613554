/** Calls as the text that COPY reads. https://www.postgresql.org/docs/current/sql-copy.html, "Text Format" */
import { addMonths, monthOf } from '../partitions.ts';
import type { Batch } from './batch.ts';
import type { CallNumber } from './call_columns.ts';
import type { Cdr } from './settle.ts';
import { storable } from './storable.ts';
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
  'told',
  'linked_id',
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

const NULL = '\\N';
const NEEDS_ESCAPE = /[\\\n\r\t\0]/;

/**
 * A call's line but for its i_cdr, which is the first column. Joined, not put together by `+`: that would make some fifty
 * texts on the way.
 * @param line of the row in its source
 */
export function copyLine(
  cdr: Cdr,
  line: number | null,
  origin: { readonly iImport: number | null; readonly source: string },
): string {
  const { record: r, account, cli, cld } = cdr;
  return [
    '',
    account.i_account,
    instant(r.startTime),
    maybeInstant(r.connectTime),
    maybeInstant(r.disconnectTime),
    seconds(r.durationS),
    seconds(cdr.billedDurationS),
    cdr.cost ?? NULL,
    origin.iImport ?? NULL,
    line ?? NULL,
    cdr.currency,
    cdr.country ?? NULL,
    cdr.direction,
    cdr.result,
    text(cli),
    text(cld),
    cli === r.cli ? NULL : text(r.cli),
    cld === r.cld ? NULL : text(r.cld),
    text(cdr.callId),
    text(origin.source),
    cdr.sourceKey,
    maybeText(cdr.disconnectCause),
    maybeText(r.description),
    maybeText(r.remoteIp),
    maybeText(r.userAgent),
    cdr.flags.length === 0 ? NULL : `{${cdr.flags.join(',')}}`,
    attributes(r.attributes),
    cdr.told,
    `${maybeText(cdr.linkedId)}\n`,
  ].join('\t');
}

const CHUNK_BYTES = 128 * 1024;
/** Digits of an i_cdr. */
const I_CDR_BYTES = 16;

/**
 * What COPY is to read: the calls' lines, cut out of their batch's bytes, each with its i_cdr before it.
 * @param iCdrs of the calls, in the same order
 * @param others whole lines, to come behind them
 */
export function* copyChunks(
  batch: Batch,
  calls: readonly CallNumber[],
  iCdrs: readonly number[],
  others: readonly string[] = [],
): Generator<Buffer> {
  const { textFrom, textTo } = batch.columns;
  let chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  let end = 0;
  for (const [index, call] of calls.entries()) {
    const needed = I_CDR_BYTES + textTo[call]! - textFrom[call]!;
    if (end + needed > chunk.length) {
      yield chunk.subarray(0, end);
      chunk = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, needed));
      end = 0;
    }
    end += chunk.write(String(iCdrs[index]), end, 'latin1');
    end += batch.bytes.copy(chunk, end, textFrom[call], textTo[call]);
  }
  yield chunk.subarray(0, end);
  for (const line of others) yield Buffer.from(line);
}

const DAY_MS = 86_400_000;
/** The day that was written last: rows of a source are mostly of one. */
let lastDay = Number.NaN;
let lastDayText = '';
const twoDigits = (n: number) => String(n).padStart(2, '0');
const MINUTES = Array.from(
  { length: 1_440 },
  (_, m) => ` ${twoDigits(Math.floor(m / 60))}:${twoDigits(m % 60)}:`,
);
const SECONDS = Array.from({ length: 60 }, (_, s) => `${twoDigits(s)}Z`);

/** PostgreSQL keeps microseconds, a JavaScript Date milliseconds. @param ms since 1970, with fraction */
export function instant(ms: number): string {
  const day = Math.floor(ms / DAY_MS);
  if (day !== lastDay) {
    lastDay = day;
    lastDayText = new Date(day * DAY_MS).toISOString().slice(0, 10);
  }
  const intoDay = ms - day * DAY_MS;
  const second = Math.floor(intoDay / 1000);
  const toSecond = lastDayText + MINUTES[Math.floor(second / 60)] + SECONDS[second % 60];
  const us = Math.min(999_999, Math.round((intoDay - second * 1000) * 1000));
  return us === 0 ? toSecond : `${toSecond.slice(0, -1)}.${String(us).padStart(6, '0')}Z`;
}

const maybeInstant = (ms: number | null) => (ms === null ? NULL : instant(ms));

const seconds = (s: number) => (Number.isInteger(s) ? String(s) : decimalSeconds(Math.round(s * 1_000_000)));

function text(value: string): string {
  if (!NEEDS_ESCAPE.test(value)) return value;
  return storable(value)
    .replaceAll('\\', '\\\\')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll('\t', '\\t');
}

const maybeText = (value: string | null) => (value === null || value === '' ? NULL : text(value));

function attributes(values: Readonly<Record<string, string>>): string {
  for (const _ in values) {
    const json = JSON.stringify(values);
    // JSON writes NUL and lone surrogates as \u…, and little else.
    return text(json.includes('\\u') ? JSON.stringify(storableEntries(values)) : json);
  }
  return NULL;
}

const storableEntries = (values: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [storable(name), storable(value)]));
