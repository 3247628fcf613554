/** mod_xml_cdr's documents as it posts them. */
import { bytesToText, percentDecode } from './freeswitch_post.ts';
import { MAX_DOCUMENT_BYTES, MAX_ENCODED_BYTES } from './json_documents.ts';

const FORM_FIELD = 'cdr=';
/** What may stand in a form before that field. */
const MAX_OTHER_FIELDS = 4096;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/**
 * The XML document in a request's body as mod_xml_cdr sends it (mod_xml_cdr.c, `my_on_reporting`), or in a line of an
 * error file. Null: the body holds none. The module's parameter `encode` chooses:
 *
 *   encode=true      application/x-www-form-urlencoded       cdr=%3C%3Fxml%20version…   every % is encoded too
 *   encode=base64    application/x-www-form-base64-encoded   cdr=PD94bWwg…
 *   encode=false     application/x-www-form-plaintext        cdr=<?xml version…
 *   encode=textxml   text/xml                                <?xml version…
 *
 * With disable-100-continue=true curl's own Content-Type goes out instead, whatever the body.
 * @throws Error for a document over the limit
 */
export function decodePostedXml(body: string): string | null {
  const field = xmlField(body.trimStart());
  if (/^<(?:\?xml|cdr)/.test(field)) return checkSize(field);
  if (/^%3C/i.test(field)) {
    const [value] = field.split('&', 1);
    // FreeSWITCH encodes + and blanks; other senders write a blank as +.
    return checkSize(percentDecode(checkEncodedSize(value!).replaceAll('+', '%20')));
  }
  if (/^P(?:D94bW|GNkc)/.test(field)) {
    const packed = percentDecode(checkEncodedSize(field)).replace(/\s+/g, '');
    if (BASE64.test(packed)) return checkSize(bytesToText(Buffer.from(packed, 'base64')));
  }
  return null;
}

/** The part that may be the document, without the form around it: at most as much as the largest document has. */
function xmlField(body: string): string {
  const other = body.startsWith('<') ? -1 : body.slice(0, MAX_OTHER_FIELDS).indexOf(`&${FORM_FIELD}`);
  const from = body.startsWith(FORM_FIELD)
    ? FORM_FIELD.length
    : other === -1
      ? 0
      : other + FORM_FIELD.length + 1;
  return body.slice(from, from + MAX_ENCODED_BYTES + 1).trimEnd();
}

const checkSize = (document: string) => atMost(document, MAX_DOCUMENT_BYTES);
const checkEncodedSize = (field: string) => atMost(field, MAX_ENCODED_BYTES);

function atMost(text: string, length: number): string {
  if (text.length <= length) return text;
  throw new Error(
    `the document is larger than ${MAX_DOCUMENT_BYTES} bytes: no call's document is that large`,
  );
}
