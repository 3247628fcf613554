/** Errors of this service's API, beside those of any HTTP service (platform/http/errors.ts). */
import { type ApiError, type ErrorKind, errorCatalogue, HTTP_ERRORS } from '#platform/http/errors.ts';
import { judgeError } from '#platform/resilience/failure_rule.ts';

export const CALLS_ERRORS = {
  ...HTTP_ERRORS,
  no_account: { status: 400, message: 'Say whose calls: i_account is missing', retryable: false },
  bad_cursor: { status: 400, message: 'The cursor is not one that this API gave', retryable: false },
  cursor_of_other_query: {
    status: 400,
    message: 'The cursor belongs to another query',
    retryable: false,
  },
  too_many_buckets: { status: 400, message: 'The answer would have too many buckets', retryable: false },
  bad_batch: { status: 400, message: 'The body holds no records that can be read', retryable: false },
  numbers_masked: {
    status: 403,
    message: 'This key sees numbers masked, so it cannot search by them either',
    retryable: false,
  },
  http_1_1_needed: {
    status: 426,
    message:
      'An export needs HTTP/1.1: in HTTP/1.0 an answer that breaks off looks complete (nginx: proxy_http_version 1.1)',
    retryable: false,
  },
  too_many_failures: {
    status: 429,
    message: 'Too many requests without a valid key from this address',
    retryable: true,
  },
} as const satisfies Record<string, ErrorKind>;

export const callsError = errorCatalogue(CALLS_ERRORS);

/** Seconds after which a caller may try again when the database did not answer. */
const RETRY_AFTER_S = 2;

/** A failure of the database, by the rule that breakers go by, as the 503 that it is to the caller; undefined for anything else. */
export function translateDatabaseError(error: Error): ApiError | undefined {
  if (judgeError(error) !== 'failure') return undefined;
  return callsError('unavailable', { retryAfterS: RETRY_AFTER_S, cause: error });
}
