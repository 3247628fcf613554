/**
 * Errors that an API answers with. A service lists its own in `errors.ts`, as a catalogue. A caller gets only errors that
 * stand in a catalogue.
 */

export interface ErrorKind {
  readonly status: number;
  /** The default message, for people. */
  readonly message: string;
  /** Whether the same request may succeed later. */
  readonly retryable: boolean;
}

/** An answer in the form `{success: false, error, code, request_id, …fields}`. */
export class ApiError extends Error {
  override name = 'ApiError';
  readonly code: string;
  readonly status: number;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly retryAfterS: number | undefined;

  constructor(code: string, kind: ErrorKind, details: ErrorDetails = {}) {
    super(
      details.message ?? kind.message,
      details.cause === undefined ? undefined : { cause: details.cause },
    );
    this.code = code;
    this.status = kind.status;
    this.fields = details.fields ?? {};
    this.retryAfterS = details.retryAfterS;
  }
}

export interface ErrorDetails {
  /** Replaces the catalogue's message. */
  readonly message?: string;
  /** Added to the answer beside `error` and `code`. */
  readonly fields?: Readonly<Record<string, unknown>>;
  /** Becomes `Retry-After`, in seconds. */
  readonly retryAfterS?: number;
  readonly cause?: unknown;
}

/**
 * Turns a catalogue into a function that makes its errors: `const fail = errorCatalogue({not_found: {...}})`, then
 * `throw fail('not_found', {message: 'No call 12'})`.
 */
export function errorCatalogue<Code extends string>(kinds: Record<Code, ErrorKind>) {
  return (code: Code, details?: ErrorDetails) => new ApiError(code, kinds[code], details);
}

/** Errors of every HTTP service. */
export const HTTP_ERRORS = {
  bad_request: { status: 400, message: 'The request cannot be read', retryable: false },
  unauthorized: { status: 401, message: 'A valid bearer key is needed', retryable: false },
  forbidden: { status: 403, message: 'This key may not do that', retryable: false },
  not_found: { status: 404, message: 'Not found', retryable: false },
  method_not_allowed: { status: 405, message: 'This address does not support that method', retryable: false },
  request_timeout: { status: 408, message: 'The request took too long to arrive', retryable: true },
  too_large: { status: 413, message: 'The body is too large', retryable: false },
  unsupported_media_type: {
    status: 415,
    message: 'This route does not support the media type of the body',
    retryable: false,
  },
  address_too_long: { status: 414, message: 'A part of the address is too long', retryable: false },
  expectation_failed: {
    status: 417,
    message: 'The only supported `Expect` is 100-continue',
    retryable: false,
  },
  headers_too_large: { status: 431, message: 'The address and headers are too long', retryable: false },
  malformed: { status: 400, message: 'This is not an HTTP/1.1 request', retryable: false },
  rate_limited: { status: 429, message: 'Too many requests with this key', retryable: true },
  internal: { status: 500, message: 'An internal error occurred; it has been logged', retryable: true },
  unavailable: {
    status: 503,
    message: 'The database does not answer, or answers too slowly',
    retryable: true,
  },
} as const satisfies Record<string, ErrorKind>;

export const httpError = errorCatalogue(HTTP_ERRORS);
