/** Text as the inside of a JSON string, on bytes. */
import type { CopyValue } from './copy_value.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** JSON escapes what is below: RFC 8259, section 7. */
const FIRST_UNESCAPED = 0x20;

/** No byte becomes longer than \u001f. */
export const JSON_WORST_GROWTH = 6;

/** The letter behind the backslash, by control character; 0 where JSON has none and \u00xx is written. */
const SHORT_ESCAPES = new Uint8Array(FIRST_UNESCAPED);
for (const [character, letter] of Object.entries({ '\b': 'b', '\t': 't', '\n': 'n', '\f': 'f', '\r': 'r' })) {
  SHORT_ESCAPES[character.charCodeAt(0)] = letter.charCodeAt(0);
}
const HEX = Buffer.from('0123456789abcdef');

/**
 * Copies text, escaped as JSON.stringify escapes it. Bytes of UTF-8 above ASCII pass unchanged.
 * Four bytes are looked at in one go (a word minus 0x20 in each byte borrows where a byte was smaller; the same finds a
 * byte that XOR made zero): nearly all values turn out to need no escape, and are copied as they are.
 * @returns where it ends in `to`, which has room for JSON_WORST_GROWTH times `length`
 */
export const copyJsonText: CopyValue = (from, fromAt, to, toAt, length) => {
  let found = 0;
  const words = length & ~3;
  for (let i = 0; i < words; i += 4) {
    const word = from.getInt32(fromAt + i);
    const quote = word ^ 0x22222222;
    const backslash = word ^ 0x5c5c5c5c;
    found |=
      ((word - 0x20202020) & ~word) |
      ((quote - 0x01010101) & ~quote) |
      ((backslash - 0x01010101) & ~backslash);
    to.setInt32(toAt + i, word);
  }
  if ((found & 0x80808080) !== 0) return escapeJsonText(from, fromAt, to, toAt, length);
  for (let i = words; i < length; i++) {
    const byte = from.getUint8(fromAt + i);
    if (byte < FIRST_UNESCAPED || byte === QUOTE || byte === BACKSLASH)
      return escapeJsonText(from, fromAt, to, toAt, length);
    to.setUint8(toAt + i, byte);
  }
  return toAt + length;
};

const escapeJsonText: CopyValue = (from, fromAt, to, toAt, length) => {
  let at = toAt;
  for (let i = 0; i < length; i++) {
    const byte = from.getUint8(fromAt + i);
    if (byte === QUOTE || byte === BACKSLASH) {
      to.setUint8(at++, BACKSLASH);
      to.setUint8(at++, byte);
    } else if (byte >= FIRST_UNESCAPED) {
      to.setUint8(at++, byte);
    } else {
      const letter = SHORT_ESCAPES[byte]!;
      to.setUint8(at++, BACKSLASH);
      to.setUint8(at++, letter || 0x75 /* u */);
      if (letter) continue;
      to.setUint8(at++, HEX[0]!);
      to.setUint8(at++, HEX[0]!);
      to.setUint8(at++, HEX[byte >> 4]!);
      to.setUint8(at++, HEX[byte & 15]!);
    }
  }
  return at;
};
