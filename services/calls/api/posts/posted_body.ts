/**
 * Parses the body of a post into rows. Records of an array are separated before any of them is parsed, so that a record that
 * is too large is never parsed. They are parsed one after the other, so that a large body holds up no other request
 * (turns.ts). The numbers of a record are read from their text (formats/exact_json.ts).
 */

import { utf8Fault } from '#platform/http/utf8.ts';
import { BYTES_A_TURN, createTurns, type Turns } from '#platform/lifecycle/turns.ts';
import type { RawRow, Rejection } from '../../cdr.ts';
import { MAX_BATCH } from '../../contract.ts';
import { callsError } from '../../errors.ts';
import { parseExactJson } from '../../formats/exact_json.ts';
import { FORMATS } from '../../formats/formats.ts';
import { faultPlace } from '../../formats/freeswitch_post.ts';
import { isJsonArray, type JsonElement, scanJsonArray } from '../../formats/json_array.ts';
import { rowOfDocument } from '../../formats/posted_document.ts';
import {
  MAX_RECORD_BYTES,
  MAX_RECORD_KEYS,
  namedAccounts,
  POSTED_FIELDS,
  POSTED_SOURCE,
  recordFromFields,
  repeatedField,
} from '../../formats/posted_record.ts';
import type { ParsedRow } from '../../formats/source_reader.ts';
import type { DocumentReader } from './document_reader.ts';

/** The contents of a body. */
export interface Posted {
  readonly format: string;
  readonly source: string;
  readonly rows: ParsedRow[];
}

export type CodesOfAccounts = (
  iAccounts: readonly number[],
) => Promise<{ i_account: number; code: string }[]>;

/** @throws ApiError 400 for a body that can't be read as a whole */
export async function readPostedBody(
  body: Buffer | undefined,
  contentType: string,
  documents: DocumentReader,
  codes: CodesOfAccounts,
): Promise<Posted> {
  if (!body || body.length === 0) throw unreadable('The body is empty; it should be an array of records');
  if (isJsonArray(body)) return readRecords(body, codes);
  const document = await documents.read(body, contentType).catch((error: Error) => {
    throw error.name === 'RefusedError' ? error : unreadable(`The body can't be read: ${error.message}`);
  });
  const { format, parsed } = document;
  return { format, source: FORMATS[format].source, rows: [{ row: rowOfDocument(document), parsed }] };
}

const unreadable = (message: string) => callsError('bad_batch', { message });

async function readRecords(body: Buffer, codesOf: CodesOfAccounts): Promise<Posted> {
  const turns = createTurns();
  const elements = await elementsOf(body, turns);
  const parsed: Element[] = [];
  for (const [index, element] of elements.entries()) {
    await turns.take(element.to - element.from, element.keys);
    parsed.push(parseElement(body, element, index));
  }
  const named = namedAccounts(parsed.map(({ value }) => value));
  const found = named.length === 0 ? [] : await codesOf(named);
  const codes = new Map(found.map(({ i_account, code }) => [i_account, code]));
  const rows: ParsedRow[] = [];
  for (const [index, element] of elements.entries()) {
    await turns.take(element.to - element.from, element.keys);
    rows.push(rowOf(body, element, index, parsed[index]!, codes));
  }
  return { format: POSTED_FIELDS, source: POSTED_SOURCE, rows };
}

async function elementsOf(body: Buffer, turns: Turns): Promise<readonly JsonElement[]> {
  const scan = scanJsonArray(body, MAX_BATCH);
  try {
    while (!scan.step(BYTES_A_TURN)) await turns.take(BYTES_A_TURN, 0);
  } catch (error) {
    throw unreadable(`The body can't be read: it is no JSON: ${(error as Error).message}`);
  }
  if (scan.count === 0 || scan.count > MAX_BATCH)
    throw unreadable(`The array has ${scan.count} records; a post takes from 1 to ${MAX_BATCH}`);
  return scan.elements;
}

interface Element {
  readonly value?: unknown;
  readonly rejection?: Rejection | undefined;
}

function parseElement(body: Buffer, element: JsonElement, index: number): Element {
  const { from, to } = element;
  const rejection = tooLarge(element);
  if (rejection) return { rejection };
  const bytes = body.subarray(from, to);
  const fault = utf8Fault(bytes, from);
  // FreeSWITCH's own documents may be in Latin-1 (freeswitch_post.ts); writers of arrays know JSON's rules.
  if (fault) throw unreadable(`The body can't be read: of record ${index}, ${fault}`);
  const text = bytes.toString();
  try {
    const value = parseExactJson(text);
    const repeated = repeatedField(text, value);
    return repeated ? { rejection: repeated } : { value };
  } catch (error) {
    // The message of JSON.parse quotes the body, and with it telephone numbers.
    throw unreadable(
      `The body can't be read: what begins at position ${from} is no JSON${faultPlace(error)} of it`,
    );
  }
}

/** Levels of objects and arrays in a record: far more than one has. */
const MAX_DEPTH = 64;

/** Why a record is not parsed. */
function tooLarge({ from, to, keys, depth }: JsonElement): Rejection | undefined {
  const bytes = to - from;
  const because = (has: string, most: string): Rejection => ({
    code: 'too_large',
    reason: `the record ${has}; at most ${most} describe a call`,
  });
  if (bytes > MAX_RECORD_BYTES)
    return because(
      `has ${bytes} bytes, of which the first ${MAX_RECORD_BYTES} are kept`,
      `${MAX_RECORD_BYTES}`,
    );
  if (keys > MAX_RECORD_KEYS) return because(`has ${keys} names`, `${MAX_RECORD_KEYS}`);
  if (depth > MAX_DEPTH) return because(`is nested ${depth} levels deep`, `${MAX_DEPTH}`);
  return undefined;
}

function rowOf(
  body: Buffer,
  element: JsonElement,
  index: number,
  { value, rejection }: Element,
  codes: ReadonlyMap<number, string>,
): ParsedRow {
  const row = (bytes: Buffer): RawRow => ({ line: index + 1, bytes, offset: 0, ended: true });
  const written = body.subarray(element.from, element.to);
  if (rejection)
    return {
      row: {
        ...row(written.subarray(0, MAX_RECORD_BYTES)),
        cut: written.length > MAX_RECORD_BYTES,
      },
      parsed: { kind: 'rejected', rejection },
    };
  const kept = withCode(value, codes);
  return {
    row: row(kept === value ? written : Buffer.from(JSON.stringify(kept))),
    parsed: recordFromFields(value, codes),
  };
}

/** A rejected record is retried alone, without a look-up of accounts: it keeps the code, not the number. */
function withCode(value: unknown, codes: ReadonlyMap<number, string>): unknown {
  const { i_account: iAccount, ...rest } = (value ?? {}) as Record<string, unknown>;
  const code = codes.get(iAccount as number);
  return code === undefined || (rest.account !== undefined && rest.account !== code)
    ? value
    : { ...rest, account: code };
}
