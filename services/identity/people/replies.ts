/** What Better Auth replies, and the product's errors for what it refuses. */
import { ApiError, type ErrorDetails } from '#platform/http/errors.ts';
import { type IDENTITY_ERRORS, identityError } from '../errors.ts';

export interface Person {
  readonly id: string;
  readonly name: string;
  readonly email: string;
  readonly role: 'operator' | 'support' | null;
  readonly second_factor: boolean;
}

/** What is read of Better Auth's answers. */
export interface Told {
  readonly token?: string;
  readonly code?: string;
  readonly message?: string;
  readonly twoFactorRedirect?: boolean;
  readonly totpURI?: string;
  readonly backupCodes?: string[];
  readonly user?: {
    id: string;
    name: string;
    email: string;
    role?: Person['role'];
    twoFactorEnabled?: boolean;
  };
  readonly session?: { id: string; token: string };
}

export interface Reply {
  readonly status: number;
  readonly told: Told;
  readonly cookies: string[];
}

type Code = keyof typeof IDENTITY_ERRORS;

/** Better Auth's codes that mean something else than their status. */
const CODES: Readonly<Record<string, Code>> = {
  INVALID_TWO_FACTOR_COOKIE: 'sign_in_again',
  TOO_MANY_ATTEMPTS_REQUEST_NEW_CODE: 'sign_in_again',
  ACCOUNT_TEMPORARILY_LOCKED: 'too_many_tries',
  TOTP_ALREADY_ENABLED: 'second_factor_on',
  TOTP_NOT_ENABLED: 'second_factor_off',
  UNAUTHORIZED: 'not_signed_in',
};

/** Better Auth locks a second factor after ten wrong codes for so long. */
const LOCKED_S = 900;

/** A reply that refuses, as an error. @param byStatus what a status means here */
function refusal({ status, told }: Reply, byStatus: Readonly<Record<number, Code>>): Error {
  const code = CODES[told.code ?? ''] ?? byStatus[status];
  if (!code) return new Error(`Better Auth answered ${status}: ${told.code ?? 'no code'}`);
  const details: ErrorDetails = code === 'too_many_tries' ? { retryAfterS: LOCKED_S } : {};
  return identityError(code, details);
}

const WRONG_GUESSES: readonly string[] = [
  'wrong_sign_in',
  'wrong_password',
  'wrong_code',
  'invitation_void',
] satisfies Code[];

/** Whether an error tells that a guess was wrong. */
export const isWrongGuess = (error: unknown): boolean =>
  error instanceof ApiError && WRONG_GUESSES.includes(error.code);

/** @throws the refusal, unless the reply is a success */
export function succeeded(reply: Reply, byStatus: Readonly<Record<number, Code>>): Reply {
  if (reply.status !== 200) throw refusal(reply, byStatus);
  return reply;
}

/** A person, of what Better Auth tells. */
export const personOf = ({ id, name, email, role, twoFactorEnabled }: NonNullable<Told['user']>): Person => ({
  id,
  name,
  email,
  role: role ?? null,
  second_factor: twoFactorEnabled ?? false,
});
