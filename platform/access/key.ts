/**
 * The form of API keys: `tl_` and 256 random bits in base 62, which a double click selects whole. The database has a key's
 * SHA-256. A slow hash would add nothing, since 256 random bits can't be guessed.
 */
import { hash, randomBytes } from 'node:crypto';

export const KEY_PREFIX = 'tl_';
const KEY_BYTES = 32;
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** 62^43 > 2^256 */
const KEY_CHARACTERS = 43;
const KEY_FORM = new RegExp(`^${KEY_PREFIX}[0-9A-Za-z]{${KEY_CHARACTERS}}$`);

export const isKeyForm = (text: string): boolean => KEY_FORM.test(text);

/** Enough characters to distinguish a provider's keys, too few to use the key. */
const SHOWN_CHARACTERS = KEY_PREFIX.length + 5;

export const shownOfKey = (key: string): string => key.slice(0, SHOWN_CHARACTERS);

export const hashKey = (key: string): Buffer => hash('sha256', key, 'buffer');

/** A new random key. */
export const randomKey = (): string => keyOf(randomBytes(KEY_BYTES));

/** The key that these random bytes form. */
export function keyOf(random: Buffer): string {
  let left = BigInt(`0x${random.toString('hex')}`);
  let text = '';
  for (let at = 0; at < KEY_CHARACTERS; at++, left /= 62n) text = ALPHABET[Number(left % 62n)] + text;
  return KEY_PREFIX + text;
}

/** A key's record in the service that stores keys. */
export interface KeyRecord {
  readonly i_key: number;
  readonly name: string;
  readonly scope: string;
  /** The topmost account that the key sees; null: it sees all. */
  readonly i_account: number | null;
  /** RFC 3339; null: never. */
  readonly expires_at: string | null;
  readonly revoked_at: string | null;
}
