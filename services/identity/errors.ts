/** Errors of this service's API, beside those of access (platform/access/errors.ts). */
import { ACCESS_ERRORS } from '#platform/access/errors.ts';
import { type ErrorKind, errorCatalogue } from '#platform/http/errors.ts';

export const IDENTITY_ERRORS = {
  ...ACCESS_ERRORS,
  wrong_sign_in: { status: 401, message: 'E-mail or password is wrong', retryable: false },
  wrong_code: { status: 401, message: 'The code is wrong, or has been used already', retryable: false },
  sign_in_again: { status: 401, message: 'This sign-in has ended; begin it again', retryable: false },
  not_signed_in: { status: 401, message: 'Nobody is signed in', retryable: false },
  wrong_password: { status: 403, message: 'The password is wrong', retryable: false },
  weak_password: { status: 400, message: 'The password is too weak', retryable: false },
  foreign_page: {
    status: 403,
    message: 'This request comes from a page of another origin',
    retryable: false,
  },
  tls_needed: {
    status: 403,
    message:
      'Signing in needs https: PUBLIC_URL is plain http on another host than localhost. Keys work all the same',
    retryable: false,
  },
  second_factor_on: { status: 409, message: 'The second factor is on already', retryable: false },
  second_factor_off: { status: 409, message: 'The second factor is off', retryable: false },
  invitation_void: {
    status: 404,
    message: 'There is no such invitation, or it has been accepted, or its time is over',
    retryable: false,
  },
  invitation_of_another: { status: 409, message: 'This invitation is for another e-mail', retryable: false },
  sign_in_first: {
    status: 409,
    message: 'There is a person with this e-mail; sign in, then accept the invitation',
    retryable: false,
  },
  too_many_tries: {
    status: 429,
    message: 'Too many failed tries; wait before the next one',
    retryable: true,
  },
  too_many_sign_ins: { status: 503, message: 'Too many people sign in at once', retryable: true },
  other_encryption_key: {
    status: 503,
    message:
      'This machine has not the key by which identity encrypts; set ENCRYPTION_KEYS alike on all machines',
    retryable: false,
  },
} as const satisfies Record<string, ErrorKind>;

export const identityError = errorCatalogue(IDENTITY_ERRORS);
