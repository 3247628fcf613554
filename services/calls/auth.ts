/**
 * Who is asking: the bearer of a request, turned into a Caller.
 *
 * A key that was found is remembered for KEY_CACHE_MS, so a revocation is in force after that at the latest; so is one
 * that was not found, since 256 random bits do not come to exist later.
 */
import type { FastifyRequest } from 'fastify';
import type { Database, Ticket } from '#platform/database/database.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import type { Caller, Scope } from './caller.ts';
import { callsError } from './errors.ts';
import type { TokenVerifier } from './jwt.ts';
import { hashKey, isKeyForm } from './keys.ts';
import { type KeyRow, keyByHash } from './store_keys.ts';

export const KEY_CACHE_MS = 5_000;
/** Keys remembered; of those that were found and those that were not. */
const CACHED_KEYS = 10_000;

/** What a request brought to show who it is of. */
export type Credentials =
  | { readonly kind: 'key'; readonly key: string }
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'none' };

/**
 * Reads the Authorization header.
 * @param basic whether `Basic` is taken too, with the key as its password: FreeSWITCH can send nothing else
 */
export function readCredentials(authorization: string | undefined, basic: boolean): Credentials {
  const [, scheme = '', value = ''] = /^(\S+) +(\S+)$/.exec(authorization ?? '') ?? [];
  switch (scheme.toLowerCase()) {
    case 'bearer':
      if (isKeyForm(value)) return { kind: 'key', key: value };
      return value.split('.').length === 3 ? { kind: 'token', token: value } : { kind: 'none' };
    case 'basic': {
      if (!basic) return { kind: 'none' };
      const userAndPassword = Buffer.from(value, 'base64').toString();
      const key = userAndPassword.slice(userAndPassword.indexOf(':') + 1);
      return isKeyForm(key) ? { kind: 'key', key } : { kind: 'none' };
    }
    default:
      return { kind: 'none' };
  }
}

export interface Authenticator {
  /**
   * @returns undefined when nobody is known by these credentials
   * @throws ApiError when that can't be told now
   */
  identify(credentials: Credentials, ticket: Ticket): Promise<Caller | undefined>;
}

export function createAuthenticator(
  database: Database,
  clock: Clock,
  verifyToken: TokenVerifier | undefined,
): Authenticator {
  const found = createCache<KeyRow>(clock);
  const missing = createCache<true>(clock);

  async function findKey(key: string, ticket: Ticket): Promise<KeyRow | undefined> {
    const hash = hashKey(key);
    const name = hash.toString('base64');
    const known = found.get(name);
    if (known) return known;
    if (missing.get(name)) return undefined;
    const row = await database.read(ticket, (session) => session.row(keyByHash(hash)));
    if (row) found.set(name, row);
    else missing.set(name, true);
    return row;
  }

  return {
    identify: async (credentials, ticket) => {
      switch (credentials.kind) {
        case 'none':
          return undefined;
        case 'token':
          return verifyToken?.(credentials.token);
        case 'key': {
          const row = await findKey(credentials.key, ticket);
          return row && isInForce(row, clock.now()) ? callerOf(row) : undefined;
        }
      }
    },
  };
}

function isInForce(key: KeyRow, now: number): boolean {
  return key.revoked_at === null && (key.expires_at === null || Date.parse(key.expires_at) > now);
}

function callerOf(key: KeyRow): Caller {
  const named = { id: `key:${key.i_key}`, name: key.name };
  if (key.scope !== 'customer') return { ...named, scope: key.scope };
  return { ...named, scope: 'customer', iAccount: key.i_account! };
}

/** What was looked up within KEY_CACHE_MS; the oldest leave first when it is full. */
function createCache<Value>(clock: Clock) {
  const entries = new Map<string, { readonly value: Value; readonly until: number }>();
  return {
    get: (name: string): Value | undefined => {
      const entry = entries.get(name);
      return entry && entry.until > clock.monotonic() ? entry.value : undefined;
    },
    set: (name: string, value: Value): void => {
      entries.delete(name);
      if (entries.size >= CACHED_KEYS) entries.delete(entries.keys().next().value!);
      entries.set(name, { value, until: clock.monotonic() + KEY_CACHE_MS });
    },
  };
}

/** @throws ApiError 403 naming the scopes that may */
export function requireScope(caller: Caller, scopes: readonly Scope[], request: FastifyRequest): void {
  if (scopes.includes(caller.scope)) return;
  const may = scopes.join(', ');
  throw callsError('forbidden', {
    message: `${request.method} ${request.routeOptions.url} needs a key of scope ${may}; this one has ${caller.scope}`,
  });
}
