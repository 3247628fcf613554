/** Checks that JSON bodies are UTF-8 (RFC 8259): other bodies are refused, never read with replacement characters. */
import { isUtf8 } from 'node:buffer';

/**
 * The first position that is not UTF-8, in words for an error; undefined: all bytes are UTF-8.
 * @param at the position of `bytes` in the body
 */
export function utf8Fault(bytes: Buffer, at = 0): string | undefined {
  if (isUtf8(bytes)) return undefined;
  // A wrong byte comes back as U+FFFD, which is three other bytes.
  const readable = Buffer.from(bytes.toString());
  let place = 0;
  while (bytes[place] === readable[place]) place++;
  const byte = bytes[place]?.toString(16).toUpperCase().padStart(2, '0');
  const found = byte === undefined ? 'it ends within a character' : `the byte 0x${byte}`;
  return `it is not UTF-8, as JSON must be: ${found} at position ${at + place}`;
}
