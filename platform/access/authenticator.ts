/**
 * Turns a request's credentials into a Caller.
 *
 * A key that was found is cached for KEY_CACHE_MS, so a revocation takes effect after that time at the latest (counted from
 * its arrival at the replica, if reads go to one). A key that was not found is cached as well: it will not be created
 * later, since a key is 256 random bits. After KEY_CACHE_MS a cached key still gives the probable caller. The next look-up
 * of the key then waits in the queue as that caller, not among unknown ones.
 *
 * Keys of write requests are looked up on the primary, so that a switch's posts need no replica.
 *
 * Some routes must work while the database does not (the dashboard, the breaker by hand). They look keys up outside queue
 * and breaker, and accept a key that was valid within OLD_KEY_MS if the database does not answer.
 */
import type { Database, RequestContext } from '#platform/database/database.ts';
import type { Session } from '#platform/database/session.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import type { Caller } from './caller.ts';
import type { Credentials } from './credentials.ts';
import { hashKey, type KeyRecord } from './key.ts';
import type { TokenVerifier } from './token_verifier.ts';

export const KEY_CACHE_MS = 5_000;
/** After this time the key is looked up again beside a request, so that many requests do not wait for the same key. */
const KEY_FRESH_MS = 2_500;
/** Longer than an operator takes to end an outage. */
export const OLD_KEY_MS = 3_600_000;
/** Maximum of cached keys; the same for found and for missing keys. */
const CACHED_KEYS = 10_000;

export interface Authenticator {
  /**
   * @param contextFor the context of the look-up, for the probable caller
   * @param purpose whether the request reads or writes; it decides on which server the key is looked up
   * @returns undefined when no caller has these credentials
   * @throws RefusedError or the database's error when the look-up fails
   */
  identify(
    credentials: Credentials,
    contextFor: ContextFor,
    purpose: 'read' | 'write',
  ): Promise<Caller | undefined>;
  /**
   * The same for routes that must work while the database does not.
   * @param tenant the tenant whose turn counts, if several wait
   */
  identifyBypassingQueue(credentials: Credentials, tenant: string): Promise<Caller | undefined>;
}

export type ContextFor = (caller: Caller | undefined) => RequestContext;

/** How a key is looked up: in the request queue, on the primary for `write`; or outside queue and breaker. */
export type LookUpWay =
  | { readonly kind: 'read' | 'write'; readonly context: RequestContext }
  | { readonly kind: 'bypass'; readonly tenant: string };

/** Finds the key with this hash, also an expired or revoked one. The authenticator checks both. */
export type LookUpKey = (hash: Buffer, way: LookUpWay) => Promise<KeyRecord | undefined>;

/** The databases on which keys are looked up, by the services whose they are. */
export interface KeyDatabases {
  /** Reads on the database of a service. */
  read<T>(service: string, work: (session: Session) => Promise<T>): Promise<T>;
  /** Whether two services stand on the same one. */
  areOne(service: string, other: string): boolean;
}

/** Finds the key with a hash. */
export type FindKey = (on: KeyDatabases, hash: Buffer) => Promise<KeyRecord | undefined>;

/** Looks keys up on guarded databases. @param databaseOf the one of a service */
export function lookUpIn(databaseOf: (service: string) => Database, findKey: FindKey): LookUpKey {
  const areOne = (service: string, other: string) => databaseOf(service) === databaseOf(other);
  return (hash, way) => {
    const read = <T>(service: string, work: (session: Session) => Promise<T>): Promise<T> => {
      const database = databaseOf(service);
      switch (way.kind) {
        case 'read':
          return database.read(way.context, work);
        case 'write':
          return database.readForWrite(way.context, work);
        case 'bypass':
          return database.readBypassingQueue(way.tenant, work);
      }
    };
    return findKey({ read, areOne }, hash);
  };
}

export interface AuthenticatorNeeds {
  readonly lookUpKey: LookUpKey;
  /** Undefined: tokens are refused. */
  readonly verifyToken: TokenVerifier | undefined;
  readonly clock: Clock;
}

export function createAuthenticator({ lookUpKey, verifyToken, clock }: AuthenticatorNeeds): Authenticator {
  const found = createCache<KeyRecord>(clock);
  const missing = createCache<true>(clock);
  const refreshing = new Set<string>();

  /** @param lookUp queries the database; it gets the last known record of the key */
  async function findKey(
    key: string,
    lookUp: (hash: Buffer, old: KeyRecord | undefined) => Promise<KeyRecord | undefined>,
  ): Promise<KeyRecord | undefined> {
    const hash = hashKey(key);
    const name = hash.toString('base64');
    const ask = async (old: KeyRecord | undefined) => {
      const row = await lookUp(hash, old);
      if (row) found.set(name, row);
      else missing.set(name, true);
      return row;
    };
    const known = found.get(name, KEY_CACHE_MS);
    if (known) {
      if (!found.get(name, KEY_FRESH_MS) && !refreshing.has(name)) {
        refreshing.add(name);
        // If it fails, the first request after KEY_CACHE_MS fails and reports it.
        ask(known)
          .catch(() => undefined)
          .finally(() => refreshing.delete(name));
      }
      return known;
    }
    if (missing.get(name, KEY_CACHE_MS)) return undefined;
    return ask(found.get(name, OLD_KEY_MS));
  }

  const callerOfRow = (row: KeyRecord | undefined) =>
    row && isInForce(row, clock.now()) ? callerOf(row) : undefined;

  async function identify(
    credentials: Credentials,
    callerOfKey: (key: string) => Promise<Caller | undefined>,
  ): Promise<Caller | undefined> {
    switch (credentials.kind) {
      case 'none':
        return undefined;
      case 'token':
        return verifyToken?.(credentials.token);
      case 'key':
        return callerOfKey(credentials.key);
    }
  }

  return {
    identify: (credentials, contextFor, purpose) =>
      identify(credentials, async (key) => {
        const row = await findKey(key, (hash, old) =>
          lookUpKey(hash, { kind: purpose, context: contextFor(callerOfRow(old)) }),
        );
        return callerOfRow(row);
      }),
    identifyBypassingQueue: (credentials, tenant) =>
      identify(credentials, async (key) => {
        let last: KeyRecord | undefined;
        try {
          const row = await findKey(key, (hash, old) => {
            last = old;
            return lookUpKey(hash, { kind: 'bypass', tenant });
          });
          return callerOfRow(row);
        } catch (error) {
          if (!last) throw error;
          return callerOfRow(last);
        }
      }),
  };
}

function isInForce(key: KeyRecord, now: number): boolean {
  return key.revoked_at === null && (key.expires_at === null || Date.parse(key.expires_at) > now);
}

function callerOf({ i_key, name, scope, i_account }: KeyRecord): Caller {
  return { id: `key:${i_key}`, name, scope, account: i_account };
}

/** Results of look-ups, with their age; when it is full, the oldest is removed. */
function createCache<Value>(clock: Clock) {
  const entries = new Map<string, { readonly value: Value; readonly at: number }>();
  return {
    /** Undefined if the entry is older than `maxAgeMs`. */
    get: (name: string, maxAgeMs: number): Value | undefined => {
      const entry = entries.get(name);
      return entry && clock.monotonic() - entry.at < maxAgeMs ? entry.value : undefined;
    },
    set: (name: string, value: Value): void => {
      entries.delete(name);
      if (entries.size >= CACHED_KEYS) entries.delete(entries.keys().next().value!);
      entries.set(name, { value, at: clock.monotonic() });
    },
  };
}
