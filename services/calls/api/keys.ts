/**
 * API keys: made, listed, revoked. A key is `tl_` and 256 random bits in base 62, which a double click selects whole.
 * It is shown once; the database has its SHA-256. A slow hash would add nothing: there is nothing to guess.
 */
import { hash, randomBytes } from 'node:crypto';
import { type Pool, withSession, withTransaction } from '#platform/database/pool.ts';
import {
  anyKey,
  insertKey,
  type KeyRow,
  listAllKeys,
  lockKeys,
  type NewKey,
  revokeKeyById,
} from '../store/keys.ts';

export type { KeyRow, NewKey } from '../store/keys.ts';

export const KEY_PREFIX = 'tl_';
const KEY_BYTES = 32;
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** 62^43 > 2^256 */
const KEY_CHARACTERS = 43;
/** Enough to tell a provider's keys apart, too little to be of use. */
const SHOWN_CHARACTERS = KEY_PREFIX.length + 5;
const KEY_FORM = new RegExp(`^${KEY_PREFIX}[0-9A-Za-z]{${KEY_CHARACTERS}}$`);

export const isKeyForm = (text: string): boolean => KEY_FORM.test(text);

export const hashKey = (key: string): Buffer => hash('sha256', key, 'buffer');

/** The key of these random bytes. */
export function keyOf(random: Buffer): string {
  let left = BigInt(`0x${random.toString('hex')}`);
  let text = '';
  for (let at = 0; at < KEY_CHARACTERS; at++, left /= 62n) text = ALPHABET[Number(left % 62n)] + text;
  return KEY_PREFIX + text;
}

export interface CreatedKey extends KeyRow {
  /** The key itself: it can't be had again. */
  readonly key: string;
}

/** @throws the database's error when `iAccount` does not exist or does not go with the scope */
export function createKey(pool: Pool, wanted: NewKey): Promise<CreatedKey> {
  const key = keyOf(randomBytes(KEY_BYTES));
  return withSession(pool, async (session) => {
    const row = await session.row(insertKey(wanted, hashKey(key), key.slice(0, SHOWN_CHARACTERS)));
    return { ...row!, key };
  });
}

/**
 * An operator's key for a database that has no key at all.
 * @returns undefined when there is a key already
 */
export function createFirstKey(pool: Pool): Promise<string | undefined> {
  return withTransaction(pool, async (session) => {
    await session.run(lockKeys());
    if ((await session.row(anyKey()))!.found) return undefined;
    const key = keyOf(randomBytes(KEY_BYTES));
    const wanted: NewKey = { name: 'first operator', scope: 'operator', iAccount: null, expiresAt: null };
    await session.run(insertKey(wanted, hashKey(key), key.slice(0, SHOWN_CHARACTERS)));
    return key;
  });
}

export function listKeys(pool: Pool): Promise<KeyRow[]> {
  return withSession(pool, (session) => session.rows(listAllKeys()));
}

/** @returns the key as it is now; undefined when there is none with this number */
export function revokeKey(pool: Pool, iKey: number): Promise<KeyRow | undefined> {
  return withSession(pool, (session) => session.row(revokeKeyById(iKey)));
}
