/** Errors about the caller, in addition to those of every HTTP service (platform/http/errors.ts). */
import { type ErrorKind, errorCatalogue, HTTP_ERRORS } from '#platform/http/errors.ts';

export const ACCESS_ERRORS = {
  ...HTTP_ERRORS,
  too_many_at_once: { status: 429, message: 'Too many such requests at once', retryable: true },
  too_many_failures: {
    status: 429,
    message: 'Too many requests without a valid key from this address',
    retryable: true,
  },
} as const satisfies Record<string, ErrorKind>;

export const accessError = errorCatalogue(ACCESS_ERRORS);
