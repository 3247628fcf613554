/**
 * The HTTP server that every service stands on: one envelope for answers, one for errors, request ids, logs without
 * secrets, metrics, the OpenAPI document and a page to try it on.
 *
 * Success: {success: true, data, …, duration_ms}. Failure: {success: false, error, code, request_id, …}.
 */
import { randomUUID } from 'node:crypto';
import cors from '@fastify/cors';
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyReply,
  type FastifyRequest,
  fastify,
  LogController,
} from 'fastify';
import { isTelling, type Logger, masked, maskNumber } from '#platform/telemetry/logger.ts';
import { DURATION_BUCKETS_S, Histogram, type Registry } from '#platform/telemetry/metrics.ts';
import { ApiError, httpError } from './errors.ts';
import { validationError, validatorCompiler } from './validation.ts';

export interface ServerOptions {
  /** The service's name, for people. */
  readonly title: string;
  readonly description: string;
  readonly version: string;
  readonly logger: Logger;
  readonly registry: Registry;
  /** Origins that browsers may call from; none when empty. */
  readonly corsOrigins: readonly string[];
  /** Headers of answers that pages may read, beside the server's own. */
  readonly exposedHeaders?: readonly string[];
  readonly bodyLimitBytes: number;
  /** Turns an error that came up from below (a database driver's, say) into an answer; undefined: not its business. */
  readonly translateError?: (error: Error) => ApiError | undefined;
}

/** A request that was sent whole is answered whole; one that trickles in is cut off. */
export const REQUEST_TIMEOUT_MS = 60_000;
export const KEEP_ALIVE_TIMEOUT_MS = 72_000;

const REQUEST_ID = /^[\w.-]{1,64}$/;
/** Query parameters that hold phone numbers: masked in logs. */
const NUMBER_PARAMETERS = new Set(['cli', 'cld']);

export type Server = Awaited<ReturnType<typeof createServer>>;

/** Builds the server; it does not listen yet. Routes are added by the service, then `server.listen`. */
export async function createServer(options: ServerOptions) {
  const server = fastify({
    loggerInstance: options.logger as FastifyBaseLogger,
    // One line a request, below; Fastify's own two would hold the query with its numbers.
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    genReqId: (request) => {
      const given = request.headers['x-request-id'];
      return typeof given === 'string' && REQUEST_ID.test(given) && !isTelling(given) ? given : randomUUID();
    },
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    bodyLimit: options.bodyLimitBytes,
    // Stopping: requests that still come in on open connections are answered by the service in its own words, not
    // dropped and not in Fastify's.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    // An address that can't be read at all comes to no route and to no handler of errors.
    frameworkErrors: (error, request, reply) => {
      const { status, message, code } = toApiError(error, request, options);
      const answer = { success: false, error: message, code, request_id: request.id };
      (reply as FastifyReply).code(status).header('x-request-id', request.id).send(answer);
    },
    routerOptions: { maxParamLength: 200, ignoreTrailingSlash: true },
  }).withTypeProvider<TypeBoxTypeProvider>();

  server.setValidatorCompiler(validatorCompiler);
  await server.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: options.title, description: options.description, version: options.version },
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer' },
          basic: { type: 'http', scheme: 'basic' },
        },
      },
    },
  });
  await server.register(swaggerUi, { routePrefix: '/docs', uiConfig: { tryItOutEnabled: true } });
  if (options.corsOrigins.length > 0) {
    await server.register(cors, {
      origin: [...options.corsOrigins],
      exposedHeaders: ['x-request-id', 'retry-after', ...(options.exposedHeaders ?? [])],
    });
  }
  answerErrors(server, options);
  observe(server, options.registry);

  server.get('/openapi.json', { schema: { hide: true } }, () => server.swagger());
  server.get('/metrics', { schema: { hide: true } }, async (_request, reply) =>
    reply.type(options.registry.contentType).send(await options.registry.metrics()),
  );
  return server;
}

type BareServer = Pick<Server, 'setErrorHandler' | 'setNotFoundHandler' | 'addHook'>;

function answerErrors(server: BareServer, options: ServerOptions): void {
  server.setErrorHandler((thrown: FastifyError, request, reply) => {
    const error = toApiError(thrown, request, options);
    logFailure(request.log, error, thrown);
    if (error.retryAfterS !== undefined)
      reply.header('retry-after', Math.max(1, Math.ceil(error.retryAfterS)));
    if (error.status === 401) reply.header('www-authenticate', 'Bearer');
    return reply
      .code(error.status)
      .type('application/json; charset=utf-8')
      .send({
        success: false,
        error: error.message,
        code: error.code,
        request_id: request.id,
        ...error.fields,
      });
  });
  server.setNotFoundHandler((request, reply) =>
    reply.code(404).send({
      success: false,
      error: `There is no ${request.method} ${request.url.split('?')[0]}; see /docs`,
      code: 'not_found',
      request_id: request.id,
    }),
  );
}

/** A 503 is foreseen: under overload there are many, and what to do about it is told by the metrics, not by a stack. */
function logFailure(log: FastifyBaseLogger, error: ApiError, thrown: FastifyError): void {
  if (error.status === 503) {
    log.warn({ code: error.code, reason: masked(thrown.message), ...error.fields }, 'request refused');
  } else if (error.status >= 500) {
    log.error({ err: thrown }, 'request failed');
  }
}

function toApiError(thrown: FastifyError, request: FastifyRequest, options: ServerOptions): ApiError {
  if (thrown instanceof ApiError) return thrown;
  if (thrown.validation) {
    const part = thrown.validationContext ?? 'body';
    const schema = request.routeOptions.schema?.[part as 'querystring'] as
      | { properties?: object }
      | undefined;
    return validationError(thrown.validation as never, part, Object.keys(schema?.properties ?? {}));
  }
  const translated = options.translateError?.(thrown);
  if (translated) return translated;
  if (thrown.code === 'FST_ERR_BAD_URL') {
    return httpError('bad_request', { message: 'The address cannot be read: a % in it is written %25' });
  }
  switch (thrown.statusCode) {
    case 400:
      return httpError('bad_request', { message: thrown.message });
    case 413:
      return httpError('too_large', { message: `The body is larger than ${options.bodyLimitBytes} bytes` });
    case 415:
      return httpError('unsupported_media_type', { message: thrown.message });
    case 503:
      return httpError('unavailable', { message: 'The service is stopping', retryAfterS: 1 });
    default:
      return httpError('internal', { cause: thrown });
  }
}

/** One log line and one observation a request. */
function observe(server: BareServer, registry: Registry): void {
  const duration = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time from the first byte of a request to the last of its answer',
    labelNames: ['method', 'route', 'status'],
    buckets: DURATION_BUCKETS_S,
    registers: [registry],
  });
  server.addHook('onRequest', async (request, reply) => void reply.header('x-request-id', request.id));
  server.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none';
    duration.observe({ method: request.method, route, status: reply.statusCode }, reply.elapsedTime / 1000);
    request.log.info({
      method: request.method,
      route,
      query: loggable(request.query as Record<string, unknown>),
      status: reply.statusCode,
      duration_ms: Math.round(reply.elapsedTime * 10) / 10,
      caller: request.callerName,
    });
  });
}

/** Numbers may stand in any parameter, known or not, and more than once. */
function loggable(query: Record<string, unknown>): Record<string, unknown> {
  const shown = (name: string, value: unknown): unknown => {
    if (Array.isArray(value)) return value.map((one) => shown(name, one));
    if (typeof value === 'number') return loggableNumber(value);
    if (typeof value !== 'string') return value;
    return NUMBER_PARAMETERS.has(name) ? maskNumber(value) : masked(value);
  };
  return Object.fromEntries(Object.entries(query).map(([name, value]) => [masked(name), shown(name, value)]));
}

/** Accounts have fewer digits than telephone numbers. */
const TELEPHONE_DIGITS = /\d{10}/;

const loggableNumber = (value: number) =>
  TELEPHONE_DIGITS.test(String(value)) ? masked(String(value)) : value;

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks, as shown in logs: the name of a key, never the key. */
    callerName?: string;
  }
}
