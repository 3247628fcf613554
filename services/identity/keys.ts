/**
 * API keys: creates, lists, revokes. A key is shown once; the database holds its SHA-256.
 *
 * Up to this release the calls service kept the keys. For one release both places are read, so that programs of the version
 * before may run beside this one: a key of such a program is copied here before keys are listed or revoked, and a key that is
 * revoked here is revoked there as well.
 */
import type { KeyDatabases } from '#platform/access/authenticator.ts';
import { hashKey, type KeyRecord, randomKey, shownOfKey } from '#platform/access/key.ts';
import { type Actor, THE_PROGRAM } from '#platform/database/audit.ts';
import { valuesQuery } from '#platform/database/fast_read/fast_read.ts';
import { type Pool, withSession, withTransaction } from '#platform/database/pool.ts';
import type { Session } from '#platform/database/session.ts';
import type { Statement } from '#platform/database/statement.ts';
import {
  anyKey,
  continueNumbers,
  type HashedKey,
  hasKeys,
  insertKey,
  type KeyRow,
  keyByHash,
  listAllKeys,
  lockKeys,
  type NewKey,
  noteAudit,
  revokeKeyById,
  takeOverKey,
} from './store.ts';

export type { KeyRow, NewKey } from './store.ts';

export interface CreatedKey extends KeyRow {
  /** The key itself. It can't be shown again. */
  readonly key: string;
}

/** Statements about the keys in the calls service. */
export interface FormerKeys {
  byHash(hash: Buffer): Statement<KeyRecord>;
  all(): Statement<HashedKey>;
  /** A revoked key keeps its time of revocation. */
  revoke(hash: Buffer): Statement<unknown>;
}

/** The calls service's data about keys and their accounts. */
export interface CallsOfKeys {
  readonly formerKeys: FormerKeys;
  /** The time from which accounts are closed. Open accounts have no row. */
  closedFrom(iAccounts: readonly number[]): Statement<ClosedAccount>;
  codesOf(iAccounts: readonly number[]): Statement<{ readonly i_account: number; readonly code: string }>;
}

export interface ClosedAccount {
  readonly i_account: number;
  /** RFC 3339; may lie ahead. */
  readonly closed_from: string;
}

/** The store of keys, and the calls service's data about them. */
export interface KeyPlaces {
  readonly pool: Pool;
  readonly calls: CallsOfKeys & { readonly pool: Pool };
}

/** @throws Error when the account is closed; the database's error when the account does not fit the scope */
export async function createKey({ pool, calls }: KeyPlaces, wanted: NewKey, by: Actor): Promise<CreatedKey> {
  const [closed] = await closedAccounts(calls, wanted.iAccount === null ? [] : [wanted.iAccount]);
  if (closed && Date.parse(closed.closed_from) <= Date.now())
    throw new Error('its account is closed, so it gets no new keys; trunkline accounts reopen opens it');
  return withTransaction(pool, (session) => makeKey(session, wanted, by));
}

async function closedAccounts(
  { pool, closedFrom }: KeyPlaces['calls'],
  iAccounts: readonly number[],
): Promise<readonly ClosedAccount[]> {
  if (iAccounts.length === 0) return [];
  return withSession(pool, (session) => session.rows(closedFrom(iAccounts)));
}

async function makeKey(session: Session, wanted: NewKey, by: Actor): Promise<CreatedKey> {
  const key = randomKey();
  const row = (await session.row(insertKey(wanted, hashKey(key), shownOfKey(key))))!;
  const { name, prefix, scope, i_account, expires_at } = row;
  const detail = { name, prefix, scope, i_account, expires_at };
  await session.run(noteAudit(by, { action: 'keys.create', subject: `key ${row.i_key}`, detail }));
  return { ...row, key };
}

/**
 * An operator's key for a program without keys.
 * @returns undefined when a key exists already
 */
export async function createFirstKey(places: KeyPlaces): Promise<string | undefined> {
  await takeOverKeys(places);
  return withTransaction(places.pool, async (session) => {
    await session.run(lockKeys());
    if ((await session.row(anyKey()))!.found) return undefined;
    const wanted: NewKey = { name: 'first operator', scope: 'operator', iAccount: null, expiresAt: null };
    return (await makeKey(session, wanted, THE_PROGRAM)).key;
  });
}

/** A key with its account. */
export interface ListedKey extends KeyRow {
  /** The account's code. Null: the key has none. */
  readonly account: string | null;
  /** The time from which its account is closed. Null: it is open, or the key has none. */
  readonly closed_from: string | null;
}

export async function listKeys(places: KeyPlaces): Promise<ListedKey[]> {
  await takeOverKeys(places);
  const keys = await withSession(places.pool, (session) => session.rows(listAllKeys()));
  const iAccounts = [...new Set(keys.flatMap(({ i_account }) => i_account ?? []))];
  const closed = new Map(
    (await closedAccounts(places.calls, iAccounts)).map((account) => [
      account.i_account,
      account.closed_from,
    ]),
  );
  const { pool, codesOf } = places.calls;
  const codes = new Map(
    (await withSession(pool, (session) => session.rows(codesOf(iAccounts)))).map((account) => [
      account.i_account,
      account.code,
    ]),
  );
  return keys.map((key) => {
    const iAccount = key.i_account ?? 0;
    return { ...shown(key), account: codes.get(iAccount) ?? null, closed_from: closed.get(iAccount) ?? null };
  });
}

/** @returns the key's present state; undefined when there is none with this number */
export async function revokeKey(places: KeyPlaces, iKey: number, by: Actor): Promise<KeyRow | undefined> {
  await takeOverKeys(places);
  const { calls, pool } = places;
  const revoked = await withTransaction(pool, async (session) => {
    const key = await session.row(revokeKeyById(iKey));
    if (!key) return undefined;
    const detail = { name: key.name, revoked_at: key.revoked_at };
    await session.run(noteAudit(by, { action: 'keys.revoke', subject: `key ${iKey}`, detail }));
    return key;
  });
  if (!revoked) return undefined;
  await withSession(calls.pool, (session) => session.run(calls.formerKeys.revoke(revoked.hash)));
  return shown(revoked);
}

const shown = ({ hash: _, ...key }: HashedKey): KeyRow => key;

/**
 * Copies new keys and revocations from the former place. It may run any number of times.
 * @returns how many keys were new, or newly revoked
 */
export async function takeOverKeys({ pool, calls }: KeyPlaces): Promise<number> {
  return takeOver(pool, await withSession(calls.pool, (session) => session.rows(calls.formerKeys.all())));
}

/**
 * Takes over all keys that are on the database of calls, identity's own among them: for an identity that gets a database of its own.
 * To be repeated as often as one likes.
 * @returns how many keys were new, or newly revoked
 */
export async function copyKeys(places: KeyPlaces): Promise<number> {
  const there = await withSession(places.calls.pool, async (session) =>
    (await session.row(hasKeys()))!.found ? session.rows(listAllKeys()) : [],
  );
  return (await takeOver(places.pool, there)) + (await takeOverKeys(places));
}

async function takeOver(pool: Pool, all: readonly HashedKey[]): Promise<number> {
  if (all.length === 0) return 0;
  return withTransaction(pool, async (session) => {
    await session.run(lockKeys());
    const known = new Map((await session.rows(listAllKeys())).map((key) => [key.hash.toString('hex'), key]));
    let count = 0;
    for (const key of all) {
      const own = known.get(key.hash.toString('hex'));
      if (own && (own.revoked_at !== null || key.revoked_at === null)) continue;
      if (await session.row(takeOverKey(key))) count++;
    }
    if (count > 0) await session.run(continueNumbers());
    return count;
  });
}

/**
 * The key with a hash. It expires when its account is closed. Where identity and calls stand on one database, both places are read,
 * and a key counts as revoked where either says so. Where they do not, identity's is the only one: `keys copy` fills it.
 */
export async function findKey(
  on: KeyDatabases,
  calls: CallsOfKeys,
  hash: Buffer,
): Promise<KeyRecord | undefined> {
  if (on.areOne('identity', 'calls'))
    return on.read('identity', (session) => findInBoth(session, calls, hash));
  const key = await on.read('identity', (session) => session.row(keyByHash(hash)));
  if (!key || key.i_account === null) return key;
  const iAccounts = [key.i_account];
  const closed = await on.read('calls', (session) => session.row(calls.closedFrom(iAccounts)));
  return { ...key, expires_at: earlier(key.expires_at, closed?.closed_from ?? null) };
}

/** For one way to the server and back. @param session on the server that holds both, and the accounts */
async function findInBoth(
  session: Session,
  { formerKeys, closedFrom }: CallsOfKeys,
  hash: Buffer,
): Promise<KeyRecord | undefined> {
  const [[own], [before]] = await session.pipeline(
    valuesQuery<KeyRecord>(keyByHash(hash)),
    valuesQuery<KeyRecord>(formerKeys.byHash(hash)),
  );
  const key = own ?? before;
  if (!key) return undefined;
  const closed = key.i_account === null ? undefined : await session.row(closedFrom([key.i_account]));
  return {
    ...key,
    expires_at: earlier(key.expires_at, closed?.closed_from ?? null),
    revoked_at: earlier(key.revoked_at, before?.revoked_at ?? null),
  };
}

/** @param one, other RFC 3339; null: never */
function earlier(one: string | null, other: string | null): string | null {
  if (one === null || other === null) return one ?? other;
  return Date.parse(one) < Date.parse(other) ? one : other;
}
