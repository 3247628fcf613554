/** Calls as the text that COPY reads. https://www.postgresql.org/docs/current/sql-copy.html, "Text Format" */
import { decimalSeconds } from '../decimal.ts';
import { storable } from '../store/storable.ts';
import { instant } from '../time/instants.ts';
import type { Cdr } from './settle.ts';

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
