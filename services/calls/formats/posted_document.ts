/** Parses one document that a switch posts, from the bytes of a body. */
import type { RawRow } from '../cdr.ts';
import { parseJsonCdr } from './freeswitch_json.ts';
import { bytesToText, decodePostedCdr, TooManyKeysError } from './freeswitch_post.ts';
import { parseXmlCdr } from './freeswitch_xml.ts';
import { decodePostedXml } from './freeswitch_xml_post.ts';
import type { ParsedRow } from './source_reader.ts';

/** A parsed document. */
export interface PostedDocument {
  readonly format: 'freeswitch-json' | 'freeswitch-xml';
  /** The text that is kept if the document is rejected: JSON or XML, its encoding undone. */
  readonly bytes: Buffer;
  readonly parsed: ParsedRow['parsed'];
}

/**
 * @param contentType as in the request's header
 * @param maxKeys undefined: as many as a document may have
 * @throws TooManyKeysError, or Error whose message is a sentence for the sender
 */
export function readPostedDocument(body: Buffer, contentType: string, maxKeys?: number): PostedDocument {
  const text = bytesToText(body);
  const xml = decodePostedXml(text);
  if (xml !== null) {
    // Each element has two tags.
    if (maxKeys !== undefined && xml.split('<').length > 2 * maxKeys)
      throw new TooManyKeysError(`the document has more than ${maxKeys} elements`);
    const parsed = parseXmlCdr(xml, { timeZone: 'UTC' }) as ParsedRow['parsed'];
    return { format: 'freeswitch-xml', bytes: Buffer.from(xml), parsed };
  }
  const document = decodePostedCdr(text, contentType, maxKeys);
  const parsed = parseJsonCdr(document, { timeZone: 'UTC' });
  if (parsed.kind === 'skipped' || !hasVariables(document))
    throw new Error(
      'the body is neither an array of records nor a document of mod_json_cdr (which has "variables") or mod_xml_cdr',
    );
  return { format: 'freeswitch-json', bytes: Buffer.from(JSON.stringify(document)), parsed };
}

const hasVariables = (value: unknown): boolean =>
  typeof (value as { variables?: unknown } | null)?.variables === 'object';

/** As a document that was posted alone. */
export const rowOfDocument = ({ bytes }: PostedDocument): RawRow => ({
  line: 1,
  bytes,
  offset: 0,
  ended: true,
});
