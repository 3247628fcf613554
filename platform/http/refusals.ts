/** Refusals of a guard, and failures of a database, as answers. */
import { isDiskFull, isOutOfDescriptors, judgeError } from '#platform/resilience/failure_rule.ts';
import { RefusedError } from '#platform/resilience/refused.ts';
import type { Refusal } from '#platform/resilience/request_context.ts';
import { type ApiError, type ErrorKind, errorCatalogue, httpError } from './errors.ts';

/** Errors of any service that stands on a guarded database. */
export const REFUSAL_ERRORS = {
  queue_overload: { status: 503, message: 'Queue overloaded', retryable: true },
  deadline_exceeded: {
    status: 503,
    message: 'The answer would come later than the deadline of the request',
    retryable: true,
  },
  database_down: {
    status: 503,
    message: 'The circuit breaker of the database is open',
    retryable: true,
  },
  client_gone: { status: 499, message: 'The client hung up', retryable: true },
  disk_full: {
    status: 503,
    message: 'The disk of the database is full, so nothing can be stored; reads still work',
    retryable: true,
  },
  shutting_down: { status: 503, message: 'The service is stopping', retryable: true },
} as const satisfies Record<string, ErrorKind>;

const refusalError = errorCatalogue(REFUSAL_ERRORS);

/** Seconds after which a client may try again after an overload. */
const OVERLOAD_RETRY_S = 1;
const SHUTDOWN_RETRY_S = 1;

const CODES = {
  queue_overload: 'queue_overload',
  deadline: 'deadline_exceeded',
  breaker_open: 'database_down',
  client_gone: 'client_gone',
  shutting_down: 'shutting_down',
} as const satisfies Record<Refusal, keyof typeof REFUSAL_ERRORS>;

/** @returns undefined for errors of another kind */
export function translateRefusal(error: Error): ApiError | undefined {
  if (!(error instanceof RefusedError)) return undefined;
  const { refusal, details } = error;
  const waited = { waited_ms: Math.round(details.waitedMs) };
  const probe = details.nextProbe;
  return refusalError(CODES[refusal], {
    fields: {
      ...waited,
      ...(refusal === 'queue_overload' && { queue_overload: true }),
      ...(probe && { next_probe: new Date(probe.at).toISOString() }),
    },
    retryAfterS: probe
      ? probe.inMs / 1000
      : refusal === 'shutting_down'
        ? SHUTDOWN_RETRY_S
        : OVERLOAD_RETRY_S,
    cause: error,
  });
}

/** Seconds after which a caller may try again when the database did not answer. */
const RETRY_AFTER_S = 2;
/** An operator has to make room. */
const DISK_RETRY_S = 30;

/**
 * Turns a failure of the database, by the rule of the circuit breakers, into a 503; so, too, a lack of file descriptors in this
 * process.
 * @returns undefined for other errors
 */
export function translateDatabaseError(error: Error): ApiError | undefined {
  if (isDiskFull(error)) return refusalError('disk_full', { retryAfterS: DISK_RETRY_S, cause: error });
  if (judgeError(error) !== 'failure' && !isOutOfDescriptors(error)) return undefined;
  return httpError('unavailable', { retryAfterS: RETRY_AFTER_S, cause: error });
}
