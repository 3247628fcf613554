/**
 * Text that a client keeps for this service and that only this service can have made: with a mark (HMAC), so that
 * nothing in it can be changed or made up.
 *
 *   base64url(text) "." base64url(first 16 bytes of HMAC-SHA256)
 */
import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto';

/** At least as many as an HMAC-SHA256 gives. */
export const SECRET_BYTES = 32;
const MARK_BYTES = 16;
const LONGEST_SEALED = 2_000;

export interface Seal {
  seal(text: string): string;
  /** Undefined: not made here, or changed since. */
  open(sealed: string): string | undefined;
}

/** @param purpose what is sealed; one purpose's text does not open as another's */
export function createSeal(secret: Buffer, purpose: string): Seal {
  const key = createSecretKey(secret); // made once: from bytes, each mark would take several times as long
  const mark = (body: string) =>
    createHmac('sha256', key).update(`${purpose} ${body}`).digest().subarray(0, MARK_BYTES);
  return {
    seal: (text) => {
      const body = Buffer.from(text).toString('base64url');
      return `${body}.${mark(body).toString('base64url')}`;
    },
    open: (sealed) => {
      const [body, given, ...rest] = sealed.length <= LONGEST_SEALED ? sealed.split('.') : [];
      if (body === undefined || given === undefined || rest.length > 0) return undefined;
      const got = Buffer.from(given, 'base64url');
      // Base64 has several spellings of the same bytes: only the one that was given out is taken.
      const isOurs =
        got.length === MARK_BYTES && timingSafeEqual(got, mark(body)) && got.toString('base64url') === given;
      return isOurs ? Buffer.from(body, 'base64url').toString() : undefined;
    },
  };
}
