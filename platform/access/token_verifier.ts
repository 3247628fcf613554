/**
 * Bearer tokens of an identity provider: JWTs signed with one of the keys at JWKS_URL. What their claims allow is read by
 * a function that is given. Only asymmetric signatures are taken, so neither an unsigned token nor one that is "signed"
 * with a public key as if it were a password can pass.
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

/** What the claims of a valid token allow; undefined: nothing. */
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
/** Two machines' clocks may differ by this much. */
const CLOCK_TOLERANCE_S = 5;
const RETRY_AFTER_S = 5;

/** @returns a verifier that gives undefined for a token that is not valid, and throws when the keys can't be had */
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

function callerOf(payload: JWTPayload, rightsOf: RightsOfClaims): Caller | undefined {
  const { sub } = payload;
  const rights = rightsOf(payload);
  if (!rights || typeof sub !== 'string' || sub === '' || sub.length > LONGEST_SUBJECT) return undefined;
  return { id: `jwt:${sub}`, name: `jwt:${maskedSubject(sub)}`, ...rights };
}

/** OpenID Connect's own limit. */
const LONGEST_SUBJECT = 255;
const SHOWN_OF_SUBJECT = 4;

/** For logs: enough to tell two subjects apart. A subject may be somebody's number or address. */
function maskedSubject(subject: string): string {
  const text = printable(masked(subject));
  if (text.length <= 3 * SHOWN_OF_SUBJECT) return text;
  return `${text.slice(0, SHOWN_OF_SUBJECT)}…${text.slice(-SHOWN_OF_SUBJECT)}`;
}
