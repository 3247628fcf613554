/**
 * Verifies bearer tokens of an identity provider: JWTs signed with one of the keys at JWKS_URL. The service gives the function
 * that reads the rights from the claims. Only asymmetric signatures are accepted, so an unsigned token is refused, and so is
 * one whose HMAC uses a public key as its secret.
 */
import { errors, type JWTPayload, jwtVerify } from 'jose';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { printable } from '#platform/telemetry/printable.ts';
import { masked } from '#platform/telemetry/telephone_numbers.ts';
import type { Caller } from './caller.ts';
import { accessError } from './errors.ts';
import { remoteKeys } from './jwks.ts';

export interface TokenSettings {
  readonly jwksUrl: string;
  readonly issuer: string;
  readonly audience: string;
}

/** The rights that the claims of a valid token give; undefined: none. */
export type RightsOfClaims = (claims: JWTPayload) => Pick<Caller, 'scope' | 'account'> | undefined;

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
/** The clocks of two machines may differ by this much. */
const CLOCK_TOLERANCE_S = 5;
const RETRY_AFTER_S = 5;

/** @returns a verifier that returns undefined for an invalid token, and throws when the keys can't be fetched */
export function createTokenVerifier(
  settings: TokenSettings,
  rightsOf: RightsOfClaims,
  clock: Clock,
): TokenVerifier {
  const keys = remoteKeys(settings.jwksUrl, clock);
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
      return callerOf(payload, rightsOf);
    } catch (cause) {
      if (isTokensFault(cause)) return undefined;
      throw accessError('unavailable', {
        message: 'The keys of the identity provider cannot be fetched',
        retryAfterS: RETRY_AFTER_S,
        cause,
      });
    }
  };
}

/** All other errors come from fetching the keys: an unreachable provider, a broken key set. */
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

function callerOf(payload: JWTPayload, rightsOf: RightsOfClaims): Caller | undefined {
  const { sub } = payload;
  const rights = rightsOf(payload);
  if (!rights || typeof sub !== 'string' || sub === '' || sub.length > LONGEST_SUBJECT) return undefined;
  return { id: `jwt:${sub}`, name: `jwt:${maskedSubject(sub)}`, ...rights };
}

/** OpenID Connect's own limit. */
const LONGEST_SUBJECT = 255;
const SHOWN_OF_SUBJECT = 4;

/** For logs: enough to distinguish two subjects. A subject may be a person's number or address. */
function maskedSubject(subject: string): string {
  const text = printable(masked(subject));
  if (text.length <= 3 * SHOWN_OF_SUBJECT) return text;
  return `${text.slice(0, SHOWN_OF_SUBJECT)}…${text.slice(-SHOWN_OF_SUBJECT)}`;
}
