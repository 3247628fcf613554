/** Calls as the text that COPY reads. https://www.postgresql.org/docs/current/sql-copy.html, "Text Format" */
import { PLAIN_FIELDS, type PlainTexts } from '../call_fields.ts';
import { decimalSeconds } from '../decimal.ts';
import { storable } from '../store/storable.ts';
import { instant } from '../time/instants.ts';
import type { Cdr } from './normalize.ts';

const NULL = '\\N';
const NEEDS_ESCAPE = /[\\\n\r\t\0]/;

/**
 * A call's line without its i_cdr, which is the first column. Joined, not built with `+`, which would make some fifty
 * intermediate texts. Written out in the order of COPY_COLUMNS: a function for each column took a third longer.
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
    text(cdr.callId),
    cdr.direction,
    text(cli),
    text(cld),
    cli === r.cli ? NULL : text(r.cli),
    cld === r.cld ? NULL : text(r.cld),
    instant(r.startTime),
    maybeInstant(r.connectTime),
    maybeInstant(r.disconnectTime),
    seconds(r.durationS),
    seconds(cdr.billedDurationS),
    cdr.result,
    maybeText(cdr.disconnectCause),
    cdr.country ?? NULL,
    cdr.cost ?? NULL,
    cdr.currency,
    cdr.flags.length === 0 ? NULL : `{${cdr.flags.join(',')}}`,
    text(origin.source),
    maybeText(cdr.linkedId),
    cdr.sourceKey,
    line ?? NULL,
    origin.iImport ?? NULL,
    attributes(r.attributes),
    cdr.told,
    `${plainCells(r)}\n`,
  ].join('\t');
}

function plainCells(texts: PlainTexts): string {
  let cells = '';
  for (const { key } of PLAIN_FIELDS) cells += `${cells === '' ? '' : '\t'}${maybeText(texts[key] ?? null)}`;
  return cells;
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
    // JSON writes NUL and lone surrogates as \u…, and few other characters.
    return text(json.includes('\\u') ? JSON.stringify(storableEntries(values)) : json);
  }
  return NULL;
}

const storableEntries = (values: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [storable(name), storable(value)]));
