/**
 * Answers failures in one form, {success: false, error, code, request_id, …}: a route that failed, an address without a
 * route, and bytes that are no request.
 */
import { randomUUID } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from '#platform/telemetry/logger.ts';
import { masked } from '#platform/telemetry/telephone_numbers.ts';
import { ApiError, HTTP_ERRORS, httpError } from './errors.ts';
import { SAFE_HEADERS } from './safe_headers.ts';
import { validationError } from './validation.ts';

/** Turns an error of a lower layer (a database driver's, for example) into an answer; undefined for other errors. */
export type TranslateError = (error: Error) => ApiError | undefined;

const JSON_TYPE = 'application/json; charset=utf-8';

/** Answers a request that failed, and logs failures that the client did not cause. */
export function answerFailure(
  thrown: FastifyError,
  request: FastifyRequest,
  reply: FastifyReply,
  translate: TranslateError | undefined,
): FastifyReply {
  const error = toApiError(thrown, request, translate);
  logFailure(request.log as Logger, error, thrown);
  return sendFailure(error, request, reply);
}

/** Answers a request without a matching route. @param allowed the methods of its address */
export function answerNoRoute(
  request: FastifyRequest,
  reply: FastifyReply,
  allowed: readonly string[],
): FastifyReply {
  const path = request.url.split('?', 1)[0]!;
  // A route may have the method but not the file behind the address (below /docs): this is a 404 too.
  if (allowed.length === 0 || allowed.includes(request.method))
    return sendFailure(
      httpError('not_found', { message: `There is no ${request.method} ${path}; see /docs` }),
      request,
      reply,
    );
  reply.header('allow', allowed.join(', '));
  const message = `${path} supports ${allowed.join(', ')}, not ${request.method}`;
  return sendFailure(httpError('method_not_allowed', { message }), request, reply);
}

function sendFailure(error: ApiError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (error.retryAfterS !== undefined) reply.header('retry-after', Math.max(1, Math.ceil(error.retryAfterS)));
  if (error.status === 401) reply.header('www-authenticate', 'Bearer');
  // If the address can't be parsed, no hook has set these headers.
  if (!reply.hasHeader('x-request-id')) reply.headers({ ...SAFE_HEADERS, 'x-request-id': request.id });
  return reply.code(error.status).type(JSON_TYPE).send(answerOf(error, request.id));
}

const answerOf = (error: ApiError, requestId: string) => ({
  success: false,
  error: error.message,
  code: error.code,
  request_id: requestId,
  ...error.fields,
});

/** A 503 is expected: an overload causes many. The metrics show its cause, so the log needs no stack. */
function logFailure(log: Logger, error: ApiError, thrown: FastifyError): void {
  if (error.status === 503) {
    log.warn({ code: error.code, reason: masked(thrown.message), ...error.fields }, 'request refused');
  } else if (error.status >= 500) {
    log.error({ err: thrown }, 'request failed');
  }
}

function toApiError(
  thrown: FastifyError,
  request: FastifyRequest,
  translate: TranslateError | undefined,
): ApiError {
  if (thrown instanceof ApiError) return thrown;
  if (thrown.validation) {
    const part = thrown.validationContext ?? 'body';
    const schema = request.routeOptions.schema?.[part as 'querystring'] as
      | { properties?: object }
      | undefined;
    return validationError(thrown.validation as never, part, Object.keys(schema?.properties ?? {}));
  }
  const translated = translate?.(thrown);
  if (translated) return translated;
  switch (thrown.code) {
    case 'FST_ERR_BAD_URL':
      return httpError('bad_request', { message: 'The address cannot be read: a % in it is written %25' });
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
      return httpError('bad_request', {
        message: 'The body is not JSON, or has a forbidden name: __proto__ or constructor',
      });
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
      return httpError('bad_request', { message: 'The body is empty; it should be JSON' });
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return httpError('too_large', {
        message: `The body is larger than ${request.routeOptions.bodyLimit} bytes`,
      });
  }
  const status = thrown.statusCode ?? 500;
  if (status === 503) return httpError('unavailable', { message: 'The service is stopping', retryAfterS: 1 });
  // A dependency's message about a client's fault may quote the request, and has its own wording: it is not passed on.
  return status >= 400 && status < 500 ? clientsFault(status) : httpError('internal', { cause: thrown });
}

/** The error of a 4xx status; `bad_request` if the catalogue has no error of this status. */
function clientsFault(status: number): ApiError {
  if (status === 403) return httpError('not_found');
  const [code] = Object.entries(HTTP_ERRORS).find(([, kind]) => kind.status === status) ?? ['bad_request'];
  return httpError(code as keyof typeof HTTP_ERRORS);
}

const UNREADABLE: Readonly<Record<string, keyof typeof HTTP_ERRORS>> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 'too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
};

/**
 * Answers bytes that Node could not parse as a request, and closes the connection: the beginning of the next request is
 * unknown. Fastify's `clientErrorHandler`.
 */
export function answerUnreadable(log: Logger, fault: NodeJS.ErrnoException, socket: Duplex): void {
  const { _httpMessage: underWay } = socket as Duplex & { _httpMessage?: { headersSent: boolean } };
  // This answer can't be sent in the middle of another one.
  if (fault.code === 'ECONNRESET' || !socket.writable || underWay?.headersSent) {
    socket.destroy();
    return;
  }
  const error = httpError(UNREADABLE[fault.code ?? ''] ?? 'malformed');
  log.info({ status: error.status, code: error.code, fault: fault.code }, 'not a request');
  endWith(error, socket);
}

/** Answers CONNECT, which Node passes to no request handler, and closes the connection. */
export function answerConnect(log: Logger, socket: Duplex): void {
  const error = httpError('method_not_allowed', { message: 'This service does not support CONNECT' });
  log.info({ status: error.status, code: error.code, method: 'CONNECT' }, 'not a request');
  socket.on('error', () => socket.destroy());
  endWith(error, socket, { allow: 'GET, POST' });
}

function endWith(error: ApiError, socket: Duplex, more: Readonly<Record<string, string>> = {}): void {
  const id = randomUUID();
  const body = JSON.stringify(answerOf(error, id));
  const headers = {
    ...SAFE_HEADERS,
    ...more,
    'content-type': JSON_TYPE,
    'content-length': Buffer.byteLength(body),
    'x-request-id': id,
    connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}\r\n${lines.join('')}\r\n${body}`);
}
