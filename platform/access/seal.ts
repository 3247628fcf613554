/**
 * Seals text that a client keeps for a service: only the service's own processes can read, change or make it.
 *
 *   base64url(12 random bytes, ciphertext, 16 bytes of tag)      AES-256-GCM, its key derived from the secret and the purpose
 *
 * The previous release signed such text and did not encrypt it: base64url(text) "." base64url(first 16 bytes of HMAC-SHA256). For
 * one release this form still opens, so that processes of the previous version may run beside this one.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto';

/** At least the length of an HMAC-SHA256. */
export const SECRET_BYTES = 32;
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const MARK_BYTES = 16;
const LONGEST_SEALED = 2_000;

export interface Seal {
  seal(text: string): string;
  /** @returns undefined for a text that was not sealed with this secret and purpose, or was changed */
  open(sealed: string): string | undefined;
}

/** @param purpose the kind of text; a text of one purpose does not open for another */
export function createSeal(secret: Buffer, purpose: string): Seal {
  const key = createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', purpose, KEY_BYTES)));
  const openFormer = formerSeal(secret, purpose);
  return {
    seal: (text) => {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: MARK_BYTES });
      const hidden = [cipher.update(text, 'utf8'), cipher.final()];
      return Buffer.concat([nonce, ...hidden, cipher.getAuthTag()]).toString('base64url');
    },
    open: (sealed) => {
      if (sealed.length > LONGEST_SEALED) return undefined;
      if (sealed.includes('.')) return openFormer(sealed);
      const bytes = Buffer.from(sealed, 'base64url');
      // Base64 has several spellings of the same bytes: only the original one is accepted.
      if (bytes.length < NONCE_BYTES + MARK_BYTES || bytes.toString('base64url') !== sealed) return undefined;
      const nonce = bytes.subarray(0, NONCE_BYTES);
      const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: MARK_BYTES });
      decipher.setAuthTag(bytes.subarray(-MARK_BYTES));
      const text = decipher.update(bytes.subarray(NONCE_BYTES, -MARK_BYTES));
      try {
        return Buffer.concat([text, decipher.final()]).toString();
      } catch {
        return undefined;
      }
    },
  };
}

/** Opens texts that the previous version has sealed. */
function formerSeal(secret: Buffer, purpose: string): Seal['open'] {
  const key = createSecretKey(secret);
  const mark = (body: string) =>
    createHmac('sha256', key).update(`${purpose} ${body}`).digest().subarray(0, MARK_BYTES);
  return (sealed) => {
    const [body, given, ...rest] = sealed.split('.');
    if (body === undefined || given === undefined || rest.length > 0) return undefined;
    const got = Buffer.from(given, 'base64url');
    const isOurs =
      got.length === MARK_BYTES && timingSafeEqual(got, mark(body)) && got.toString('base64url') === given;
    return isOurs ? Buffer.from(body, 'base64url').toString() : undefined;
  };
}
