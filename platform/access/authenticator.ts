/**
 * Who is asking: the bearer of a request, turned into a Caller.
 *
 * A key that was found is remembered for KEY_CACHE_MS, so a revocation is in force after that at the latest (counted from
 * when it has reached the replica, where reads go to one); so is one that was not found, since 256 random bits do not
 * come to exist later. After that time it still tells whose request it
 * probably is, so that its next look-up waits in that one's turn and not among strangers'.
 *
 * Keys of those who write are looked up on the primary, so that a switch's posts need no replica.
 *
 * Routes that must work while the database does not (the dashboard, the breaker by hand) look keys up aside of queue and
 * breaker, and take a key that was valid within OLD_KEY_MS where the database can't be asked.
 */
import type { Database, Ticket } from '#platform/database/database.ts';
import type { Session } from '#platform/database/session.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import type { Caller } from './caller.ts';
import type { Credentials } from './credentials.ts';
import { hashKey, type KeyRecord } from './key.ts';
import type { TokenVerifier } from './token_verifier.ts';

export const KEY_CACHE_MS = 5_000;
/** After this it is looked up anew beside a request, so that no crowd of requests waits for the same key. */
const KEY_FRESH_MS = 2_500;
/** Longer than an operator takes to end an outage. */
export const OLD_KEY_MS = 3_600_000;
/** Keys remembered; of those that were found and those that were not. */
const CACHED_KEYS = 10_000;

export interface Authenticator {
  /**
   * @param ticketFor the ticket of the look-up, for the caller that it probably is
   * @param purpose what the request is for, and so where the key is looked up
   * @returns undefined when nobody is known by these credentials
   * @throws RefusedError or the database's error when that can't be told now
   */
  identify(
    credentials: Credentials,
    ticketFor: TicketFor,
    purpose: 'read' | 'write',
  ): Promise<Caller | undefined>;
  /**
   * The same for routes that must work while the database does not.
   * @param share whose turn it is, where several wait
   */
  identifyAside(credentials: Credentials, share: string): Promise<Caller | undefined>;
}

export type TicketFor = (caller: Caller | undefined) => Ticket;

/** How the database is asked for a key: in a request's turn, on the primary for `write`; or beside queue and breaker. */
export type LookUpWay =
  | { readonly kind: 'read' | 'write'; readonly ticket: Ticket }
  | { readonly kind: 'aside'; readonly share: string };

/** Finds the key with this hash. Whether it has expired or was revoked is judged here. */
export type LookUpKey = (hash: Buffer, way: LookUpWay) => Promise<KeyRecord | undefined>;

/** Finds the key with a hash on a connection. */
export type FindKey = (session: Session, hash: Buffer) => Promise<KeyRecord | undefined>;

/** Looks keys up on a guarded database. */
export function lookUpIn(database: Database, findKey: FindKey): LookUpKey {
  return (hash, way) => {
    const ask = (session: Session) => findKey(session, hash);
    switch (way.kind) {
      case 'read':
        return database.read(way.ticket, ask);
      case 'write':
        return database.readForWrite(way.ticket, ask);
      case 'aside':
        return database.readAside(way.share, ask);
    }
  };
}

export interface AuthenticatorNeeds {
  readonly lookUpKey: LookUpKey;
  /** Undefined: no tokens are taken. */
  readonly verifyToken: TokenVerifier | undefined;
  readonly clock: Clock;
}

export function createAuthenticator({ lookUpKey, verifyToken, clock }: AuthenticatorNeeds): Authenticator {
  const found = createCache<KeyRecord>(clock);
  const missing = createCache<true>(clock);
  const refreshing = new Set<string>();

  /** @param lookUp asks the database; told of the key as it last was */
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
        // If it fails, the request that comes when the time is over tells of it.
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
    identify: (credentials, ticketFor, purpose) =>
      identify(credentials, async (key) => {
        const row = await findKey(key, (hash, old) =>
          lookUpKey(hash, { kind: purpose, ticket: ticketFor(callerOfRow(old)) }),
        );
        return callerOfRow(row);
      }),
    identifyAside: (credentials, share) =>
      identify(credentials, async (key) => {
        let last: KeyRecord | undefined;
        try {
          const row = await findKey(key, (hash, old) => {
            last = old;
            return lookUpKey(hash, { kind: 'aside', share });
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

/** What was looked up, with its age; the oldest leave first when it is full. */
function createCache<Value>(clock: Clock) {
  const entries = new Map<string, { readonly value: Value; readonly at: number }>();
  return {
    /** Undefined where it is older than `maxAgeMs`. */
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
