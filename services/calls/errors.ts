/** Errors of this service's API, beside those of access (platform/access/errors.ts). */
import { ACCESS_ERRORS } from '#platform/access/errors.ts';
import { type ErrorKind, errorCatalogue } from '#platform/http/errors.ts';

export const CALLS_ERRORS = {
  ...ACCESS_ERRORS,
  no_account: {
    status: 400,
    message: 'Parameter i_account is missing (GET /accounts lists the accounts)',
    retryable: false,
  },
  bad_cursor: { status: 400, message: 'The cursor is not from this API', retryable: false },
  cursor_of_other_query: {
    status: 400,
    message: 'The cursor belongs to another query',
    retryable: false,
  },
  too_many_buckets: { status: 400, message: 'The answer would have too many buckets', retryable: false },
  too_many_records: { status: 400, message: 'The range has too many records', retryable: false },
  bad_batch: { status: 400, message: 'The body holds no readable records', retryable: false },
  not_undoable: { status: 409, message: 'This import can not be undone', retryable: false },
  numbers_masked: {
    status: 403,
    message: 'This key sees numbers masked, so it cannot search by number',
    retryable: false,
  },
  http_1_1_needed: {
    status: 426,
    message:
      'An export needs HTTP/1.1: in HTTP/1.0 an answer that breaks off looks complete (nginx: proxy_http_version 1.1)',
    retryable: false,
  },
} as const satisfies Record<string, ErrorKind>;

export const callsError = errorCatalogue(CALLS_ERRORS);

/**
 * A 400 that names a parameter of the query.
 * @param reason continues the sentence after the parameter's name
 */
export function badParameter(name: string, reason: string) {
  return callsError('bad_request', {
    message: `Query parameter \`${name}\` ${reason}`,
    fields: { fields: [name] },
  });
}
