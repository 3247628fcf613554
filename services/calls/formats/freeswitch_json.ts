/**
 * FreeSWITCH's mod_json_cdr: a JSON document for each leg of a call (switch_ivr.c, `switch_ivr_generate_json_cdr`).
 * freeswitch_document.ts makes the record.
 *
 *   {"core-uuid":…, "switchname":…, "channel_data":{…}, "callStats":{…},
 *    "variables":{…},            what the channel knew at its end; with encode-values, on by default, URL-encoded
 *    "app_log":{…},
 *    "callflow":[{"caller_profile":{…}, "times":{…}, …}]}
 *
 * Whether the variables are encoded is decided once for the document, from all of them: an encoded document has no blank,
 * colon or @ in any value (its stamps have `%20` and `%3A` instead), an unencoded one always has. So "100%25" in an
 * unencoded document stays as it is. (In an encoded one FreeSWITCH writes "100%" and "100%25" alike; it comes out as
 * "100%".)
 */
import type { Parsed } from '../cdr.ts';
import { createDocumentSource } from './document_source.ts';
import { numberText } from './exact_json.ts';
import { recordOfDocument, type Texts } from './freeswitch_document.ts';
import {
  bytesToText,
  decodePostedCdr,
  faultPlace,
  parseDocumentText,
  percentDecode,
} from './freeswitch_post.ts';
import { createDocumentReader } from './json_documents.ts';
import type { SourceOptions, SourceReader } from './source_reader.ts';

/** The characters that encode-values never leaves in a value (switch_utils.h, SWITCH_URL_UNSAFE, and all non-ASCII). */
const NEVER_IN_ENCODED = /[^!$'()*,\-./0-9A-Z_a-z~%]|%(?![0-9A-F]{2})/;
/** A text that only the encoder writes. %25 alone is no evidence: people write percentages. */
const ENCODED = /%(?!25)[0-9A-F]{2}/;

/** Reads files of one document or many. The documents need no time zone and no date order. */
export function createJsonReader(options: SourceOptions): SourceReader {
  return createDocumentSource(createDocumentReader, {
    document: (bytes) => parseJsonCdr(parseText(bytesToText(bytes)), options),
    encoded: (bytes) => parseJsonCdr(decodePostedCdr(bytes.toString('latin1'), ''), options),
  });
}

/** One document, parsed from JSON. Never throws, whatever the document is. */
export function parseJsonCdr(document: unknown, options: SourceOptions): Parsed {
  const top = objectOf(document);
  if (top === null || objectOf(top.variables) === null) {
    const reason = 'the document is not from mod_json_cdr: it has no object "variables"';
    return { kind: 'rejected', rejection: { code: 'unreadable_row', reason } };
  }
  const variables = textsOf(top.variables);
  const flows = Array.isArray(top.callflow) ? top.callflow : [];
  return recordOfDocument(
    {
      top: textsOf(top),
      channelDirection: textsOf(top.channel_data).direction ?? '',
      variables,
      written: variableReader(variables),
      // Only the newest and the oldest are needed.
      flows: (flows.length > 1 ? [flows[0], flows.at(-1)] : flows).map((flow) => ({
        profile: textsOf(objectOf(flow)?.caller_profile),
        times: textsOf(objectOf(flow)?.times),
      })),
    },
    options,
  );
}

function parseText(text: string): unknown {
  try {
    return parseDocumentText(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new Error(`the document is no JSON${faultPlace(error)}`);
  }
}

/** A variable as the channel knew it, with encode-values undone; '' where the document lacks it. */
function variableReader(variables: Texts): (name: string) => string {
  const values = Object.values(variables);
  const isEncoded =
    !values.some((value) => NEVER_IN_ENCODED.test(value)) && values.some((value) => ENCODED.test(value));
  if (!isEncoded) return (name) => variables[name] ?? '';
  // Most variables are never read, so each is decoded at its first use.
  return (name) => percentDecode(variables[name] ?? '');
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null;
}

/** An object's texts, and its numbers as texts. Other values are left out. */
function textsOf(value: unknown): Texts {
  const texts: Record<string, string> = Object.create(null);
  for (const [name, entry] of Object.entries(objectOf(value) ?? {})) {
    if (typeof entry === 'string') texts[name] = entry;
    else {
      const number = numberText(entry);
      if (number !== undefined) texts[name] = number;
    }
  }
  return texts;
}
