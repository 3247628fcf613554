/**
 * Bearer tokens of an identity provider: JWTs signed with one of the keys at JWKS_URL, with the claims `scope` and, for
 * a customer, `i_account`. Only asymmetric signatures are taken, so neither an unsigned token nor one that is "signed"
 * with a public key as if it were a password can pass.
 */
import { createRemoteJWKSet, errors, type JWTPayload, jwtVerify } from 'jose';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { callsError } from '../errors.ts';
import { type Caller, SCOPES, type Scope } from './caller.ts';

export interface TokenSettings {
  readonly jwksUrl: string;
  readonly issuer: string;
  readonly audience: string;
}

export type TokenVerifier = (token: string) => Promise<Caller | undefined>;

const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];
/** Two machines' clocks may differ by this much. */
const CLOCK_TOLERANCE_S = 5;
const JWKS_TIMEOUT_MS = 5_000;
const RETRY_AFTER_S = 5;

/** @returns a verifier that gives undefined for a token that is not valid, and throws when the keys can't be had */
export function createTokenVerifier(settings: TokenSettings, clock: Clock): TokenVerifier {
  const keys = createRemoteJWKSet(new URL(settings.jwksUrl), { timeoutDuration: JWKS_TIMEOUT_MS });
  return async (token) => {
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer: settings.issuer,
        audience: settings.audience,
        algorithms: ALGORITHMS,
        requiredClaims: ['exp', 'sub'],
        clockTolerance: CLOCK_TOLERANCE_S,
        currentDate: new Date(clock.now()),
      });
      return callerOf(payload);
    } catch (cause) {
      if (isTokensFault(cause)) return undefined;
      throw callsError('unavailable', {
        message: 'The keys of the identity provider cannot be had',
        retryAfterS: RETRY_AFTER_S,
        cause,
      });
    }
  };
}

/** Anything but a fault of the token is one of the way to the keys: an unreachable provider, a broken key set. */
function isTokensFault(error: unknown): boolean {
  return (
    error instanceof errors.JWTInvalid ||
    error instanceof errors.JWTExpired ||
    error instanceof errors.JWTClaimValidationFailed ||
    error instanceof errors.JWSInvalid ||
    error instanceof errors.JWSSignatureVerificationFailed ||
    error instanceof errors.JOSEAlgNotAllowed ||
    error instanceof errors.JOSENotSupported ||
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys
  );
}

/** A token must name exactly one of the scopes; other words in `scope` are other services'. */
function callerOf(payload: JWTPayload): Caller | undefined {
  const words = typeof payload.scope === 'string' ? payload.scope.split(' ') : [];
  const scopes = words.filter((word): word is Scope => (SCOPES as readonly string[]).includes(word));
  const [scope] = scopes;
  if (scope === undefined || scopes.length > 1) return undefined;
  const name = { id: `jwt:${payload.sub}`, name: `jwt:${payload.sub}` };
  if (scope !== 'customer') return { ...name, scope };
  const iAccount = payload.i_account;
  if (!Number.isSafeInteger(iAccount) || (iAccount as number) < 1) return undefined;
  return { ...name, scope, iAccount: iAccount as number };
}
