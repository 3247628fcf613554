/**
 * A document as mod_json_cdr sends it (mod_json_cdr.c, `process_cdr`). Its parameter `encode` chooses:
 *
 *   encode=false    Content-Type: application/json                         {"core-uuid":…}
 *   encode=true     Content-Type: application/x-www-form-urlencoded        cdr=%7B%22core-uuid%22…
 *   encode=base64   Content-Type: application/x-www-form-base64-encoded    cdr=eyJjb3JlLXV1aWQi…
 *
 * With disable-100-continue=true curl's own Content-Type goes out instead, application/x-www-form-urlencoded, whatever
 * the body. So the body's first characters decide, not its type. After a failed post FreeSWITCH writes the document to
 * err-log-dir in the same encoding, without `cdr=`.
 *
 * encode=true loses information: FreeSWITCH's encoder leaves every `%` before two hexadecimal digits as it is. So a value
 * that encode-values (on by default) had encoded before is encoded once, not twice, and its quotes and line ends come out
 * of the decoding bare. Such a document is no JSON any more. This file rebuilds it from the names of its variables. It
 * refuses a document in which a variable comes twice: a value that looks like a variable (a caller may choose his
 * User-Agent) can't be distinguished from one. encode=false and encode=base64 do not have that weakness.
 */
import { isUtf8 } from 'node:buffer';
import { parseExactJson } from './exact_json.ts';
import { MAX_DOCUMENT_BYTES } from './json_documents.ts';
import { type NamePath, repeatedName } from './repeated_names.ts';

const FORM_FIELD = 'cdr=';
const QUOTE = 0x22;
const PERCENT = 0x25;
const COLON = 0x3a;
const ARRAY_OPEN = 0x5b;
const BACKSLASH = 0x5c;
const ARRAY_CLOSE = 0x5d;
const OBJECT_OPEN = 0x7b;
const OBJECT_CLOSE = 0x7d;
/** Blanks are removed before: a pattern that allows them at two places takes quadratic time to fail. */
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
const ENCODE_ADVICE = 'set encode="false" in json_cdr.conf.xml, or encode-values="false"';

const VARIABLES_BEGIN = '%22variables%22%3A%7B%22';
/** The text behind the variables: the log of applications, or without one the call flow. */
const VARIABLES_END = /%22%7D,%22(?:app_log%22%3A%7B|callflow%22%3A%5B)/;
/** Between a value and the next one: `","name":"`. */
const VARIABLE_NAME = /(?:^|%22,%22)([^%,\s]{1,100})%22%3A%22/g;

/** FreeSWITCH's documents have some hundreds. */
const MAX_DOCUMENT_KEYS = 20_000;
/** FreeSWITCH nests 9 deep. */
const MAX_DEPTH = 64;

/** A document has more keys than its reader takes. It was not parsed. */
export class TooManyKeysError extends Error {
  override name = 'TooManyKeysError';
}

/**
 * The document in a request's body, or in a line of an error file.
 * @param contentType as in the request's header; only errors name it
 * @param maxKeys names of objects that it may have, at any depth
 * @throws TooManyKeysError or Error with a sentence for the sender's log
 */
export function decodePostedCdr(body: string, contentType: string, maxKeys = MAX_DOCUMENT_KEYS): unknown {
  const text = body.trim();
  const parse = (json: string, what: string) => parseDocument(json, what, maxKeys);
  if (text === '') throw new Error('the body is empty; a mod_json_cdr document was expected');
  const begin = text[0];
  if (begin === '{' || begin === '[') return parse(text, 'the body');
  const field = formField(text, contentType);
  if (/^(?:%7B|%5B)/i.test(field)) return decodeForm(field, maxKeys);
  if (/^(?:\{|\[)/.test(field)) return parse(field, 'the field cdr');
  const base64 = field.replace(/\s+/g, '');
  if (BASE64.test(base64)) return parse(bytesToText(Buffer.from(base64, 'base64')), 'the base64 document');
  throw new Error('the field cdr holds neither a URL-encoded nor a base64-encoded JSON document');
}

/** Text of bytes that are UTF-8, or else Latin-1: FreeSWITCH passes names on in the encoding of the phones. */
export function bytesToText(bytes: Buffer): string {
  return bytes.toString(isUtf8(bytes) ? 'utf8' : 'latin1');
}

/** Undoes URL-encoding, once. Other text stays. Bytes that are not UTF-8 are read as Latin-1. */
export function percentDecode(text: string): string {
  if (!text.includes('%')) return text;
  const source = Buffer.from(text);
  let length = 0;
  for (let i = 0; i < source.length; i++) {
    const byte = source[i] === PERCENT ? hexByte(source, i + 1) : -1;
    source[length++] = byte === -1 ? source[i]! : byte;
    if (byte !== -1) i += 2;
  }
  return bytesToText(source.subarray(0, length));
}

function hexByte(bytes: Buffer, at: number): number {
  const high = hexDigit(bytes[at]);
  const low = hexDigit(bytes[at + 1]);
  return high === -1 || low === -1 ? -1 : high * 16 + low;
}

function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

function formField(text: string, contentType: string): string {
  if (/^(?:%7[Bb]|eyJ)/.test(text)) return text;
  const found = text.split('&').find((field) => field.startsWith(FORM_FIELD));
  if (found !== undefined) return found.slice(FORM_FIELD.length);
  const type = contentType.slice(0, 100) || 'no content type';
  throw new Error(
    `the body (${type}) is neither an array of records, a JSON document nor a form with the field cdr`,
  );
}

function decodeForm(field: string, maxKeys: number): unknown {
  // FreeSWITCH encodes + and blanks; other senders write a blank as +.
  const encoded = field.replaceAll('+', '%20');
  try {
    return parseDocumentText(checkBounds(percentDecode(encoded), maxKeys));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return putTogether(encoded, maxKeys);
  }
}

/** See the head of the file. Only the variables are affected: nothing else is encoded twice. */
function putTogether(encoded: string, maxKeys: number): unknown {
  const begin = encoded.indexOf(VARIABLES_BEGIN);
  const from = begin + VARIABLES_BEGIN.length;
  const length = begin === -1 ? -1 : encoded.slice(from).search(VARIABLES_END);
  if (length === -1) throw new Error(`the URL-encoded document is no JSON; ${ENCODE_ADVICE}`);
  const variables = splitVariables(encoded.slice(from, from + length));
  const around = `${encoded.slice(0, from - '%22'.length)}${encoded.slice(from + length + '%22'.length)}`;
  const document = parseDocument(percentDecode(around), 'the URL-encoded document', maxKeys) as Record<
    string,
    unknown
  >;
  return { ...document, variables };
}

function splitVariables(encoded: string): Record<string, string> {
  const matches = [...encoded.matchAll(VARIABLE_NAME)];
  const variables = new Map<string, string>();
  for (const [place, match] of matches.entries()) {
    const name = match[1]!;
    if (variables.has(name)) {
      throw new Error(`the URL-encoded document has the variable ${name} twice; ${ENCODE_ADVICE}`);
    }
    const valueEnd = matches[place + 1]?.index ?? encoded.length;
    variables.set(name, percentDecode(encoded.slice(match.index + match[0].length, valueEnd)));
  }
  return Object.fromEntries(variables);
}

function parseDocument(text: string, what: string, maxKeys: number): unknown {
  checkBounds(text, maxKeys);
  try {
    return parseDocumentText(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new Error(`${what} is no JSON${faultPlace(error)}`);
  }
}

/**
 * A document of mod_json_cdr.
 * @throws SyntaxError as JSON.parse does; Error for a document with two values for one field of the call
 */
export function parseDocumentText(text: string): unknown {
  const document = parseExactJson(text);
  const name = repeatedName(text, document, tellsCall);
  if (name !== undefined) throw new Error(`the document has the name "${name.slice(0, 100)}" twice`);
  return document;
}

/** The places of a record's values (freeswitch_json.ts). Elsewhere, as among hold records, a name may come again. */
const tellsCall = (path: NamePath): boolean => {
  const [top, inner] = path;
  if (path.length === 1 || (path.length === 2 && top === 'callflow')) return true;
  if (path.length === 2) return top === 'variables' || top === 'channel_data';
  return path.length === 3 && top === 'callflow' && (inner === 'caller_profile' || inner === 'times');
};

/** Where JSON.parse failed. Its own message quotes the document, and with it telephone numbers. */
export function faultPlace(error: unknown): string {
  const place = / at position \d+( \(line \d+ column \d+\))?/.exec(String(error));
  return place ? `:${place[0].replace(' at', ' it breaks at')}` : '';
}

/** Runs before the parser: a document that is too large is not parsed at all. */
function checkBounds(text: string, maxKeys: number): string {
  if (text.length > MAX_DOCUMENT_BYTES)
    throw new Error(
      `the document is larger than ${MAX_DOCUMENT_BYTES} bytes: no call's document is that large`,
    );
  let keys = 0;
  let level = 0;
  let deepest = 0;
  for (let at = 0, inText = false; at < text.length; at++) {
    const character = text.charCodeAt(at);
    if (character === BACKSLASH) at++;
    else if (character === QUOTE) inText = !inText;
    else if (inText) continue;
    else if (character === COLON) keys++;
    else if (character === OBJECT_OPEN || character === ARRAY_OPEN) deepest = Math.max(deepest, ++level);
    else if (character === OBJECT_CLOSE || character === ARRAY_CLOSE) level--;
  }
  if (keys > maxKeys)
    throw new TooManyKeysError(`the document has ${keys} names; at most ${maxKeys} are read`);
  if (deepest > MAX_DEPTH)
    throw new Error(`the document is nested too deep: at most ${MAX_DEPTH} levels are read`);
  return text;
}
