/** Bodies of JSON, which is UTF-8 (RFC 8259): what is none is refused, and never read with signs that nobody sent. */
import { isUtf8 } from 'node:buffer';

/**
 * Where bytes are no UTF-8, as words for an error; undefined: they are.
 * @param at where in the body they begin
 */
export function utf8Fault(bytes: Buffer, at = 0): string | undefined {
  if (isUtf8(bytes)) return undefined;
  // A byte that can't be read comes back as U+FFFD, which is three others.
  const readable = Buffer.from(bytes.toString());
  let place = 0;
  while (bytes[place] === readable[place]) place++;
  const byte = bytes[place]?.toString(16).toUpperCase().padStart(2, '0');
  const found = byte === undefined ? 'it ends within a character' : `the byte 0x${byte}`;
  return `it is not UTF-8, as JSON must be: ${found} at position ${at + place}`;
}
