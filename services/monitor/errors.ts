/** Errors of the monitor's API. */
import { type ErrorKind, errorCatalogue, HTTP_ERRORS } from '#platform/http/errors.ts';

const MONITOR_ERRORS = {
  ...HTTP_ERRORS,
  unauthorized: {
    status: 401,
    message: "The monitor's key is needed: Authorization: Bearer …",
    retryable: false,
  },
  no_alert: { status: 404, message: 'No such alert is active', retryable: false },
  no_silence: { status: 404, message: 'No such silence holds', retryable: false },
  too_many_silences: { status: 409, message: 'Too many silences hold: end one first', retryable: false },
  bad_silence: { status: 400, message: 'A silence must end in the future', retryable: false },
} as const satisfies Record<string, ErrorKind>;

export const monitorError = errorCatalogue(MONITOR_ERRORS);
