/**
 * Pseudonyms of what was erased: HMAC-SHA-256 by a secret of the installation, cut to 80 bits, in letters. Who has the database
 * has the secret too, and can try numbers; who has an export, a report or the API can not.
 */
import { createHmac, randomBytes } from 'node:crypto';
import type { Session } from '#platform/database/session.ts';
import { erasedNumber } from '../erased_numbers.ts';
import { getSecret, putSecret } from '../store/secrets.ts';

export interface Pseudonyms {
  /** @param number E.164 */
  ofNumber(number: string, country: string | null): string;
  /** @param code tidied (account_codes.ts) */
  ofCode(code: string): string;
}

const SECRET = 'erasure';
const SECRET_BYTES = 32;
const HEX_DIGITS = 20;

/** @returns undefined where nothing was erased yet */
export async function findPseudonyms(session: Session): Promise<Pseudonyms | undefined> {
  const secret = await session.row(getSecret(SECRET));
  return secret && pseudonymsBy(secret.value);
}

/** Makes the secret where there is none. */
export async function makePseudonyms(session: Session): Promise<Pseudonyms> {
  await session.run(putSecret(SECRET, randomBytes(SECRET_BYTES)));
  return (await findPseudonyms(session))!;
}

function pseudonymsBy(secret: Buffer): Pseudonyms {
  const letters = (kind: string, text: string) =>
    createHmac('sha256', secret)
      .update(`${kind}\n${text}`)
      .digest('hex')
      .slice(0, HEX_DIGITS)
      .replace(/./g, (digit) => String.fromCharCode(0x61 + Number.parseInt(digit, 16)));
  return {
    ofNumber: (number, country) => erasedNumber(letters('number', number), country),
    ofCode: (code) => `erased-${letters('code', code)}`,
  };
}
