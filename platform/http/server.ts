/**
 * The HTTP server of every service: one form of answers, one form of errors, request ids, logs without
 * secrets, metrics, the OpenAPI document and a page to try the API.
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
import type { Network } from '#platform/config/network.ts';
import type { Logger } from '#platform/telemetry/logger.ts';
import { DURATION_BUCKETS_S, Histogram, type Registry } from '#platform/telemetry/metrics.ts';
import { isTelling, masked, maskNumber } from '#platform/telemetry/telephone_numbers.ts';
import { inSpan } from '#platform/telemetry/tracing/tracing.ts';
import { createAllowedMethods } from './allowed_methods.ts';
import { clientOf, trustOf } from './client_address.ts';
import { httpError } from './errors.ts';
import {
  answerConnect,
  answerFailure,
  answerNoRoute,
  answerUnreadable,
  type TranslateError,
} from './failures.ts';
import { RATE_HEADERS } from './rate_headers.ts';
import { recordRequests, TRACE_RESPONSE_HEADER } from './request_span.ts';
import { DOCS_POLICY, SAFE_HEADERS } from './safe_headers.ts';
import { utf8Fault } from './utf8.ts';
import { validatorCompiler } from './validation.ts';

export interface ServerOptions {
  /** The service's name, for traces. */
  readonly name: string;
  /** The same for people. */
  readonly title: string;
  readonly description: string;
  readonly version: string;
  readonly logger: Logger;
  readonly registry: Registry;
  /** Origins whose pages may call the API; none when empty. */
  readonly corsOrigins: readonly string[];
  /** Headers of answers that pages may read, beside the server's own. */
  readonly exposedHeaders?: readonly string[];
  readonly translateError?: TranslateError;
  /** Proxies whose `X-Forwarded-For` is trusted; none by default. */
  readonly trustedProxies?: readonly Network[];
}

/** A request must arrive whole within this time; otherwise its connection is cut. */
export const REQUEST_TIMEOUT_MS = 60_000;
export const KEEP_ALIVE_TIMEOUT_MS = 72_000;

/** Largest body, unless its route sets another limit. */
const BODY_LIMIT_BYTES = 64 * 1024;

/** Headers that a page of another origin may read: without this list it can read none of them. */
const READABLE_HEADERS = [
  'x-request-id',
  TRACE_RESPONSE_HEADER,
  'retry-after',
  'content-disposition',
  ...RATE_HEADERS,
];

const REQUEST_ID = /^[\w.-]{1,64}$/;
/** Query parameters that hold phone numbers: masked in logs. */
const NUMBER_PARAMETERS = new Set(['cli', 'cld', 'number']);

export type Server = Awaited<ReturnType<typeof createServer>>;

/** Builds the server; it does not listen yet. Routes are added by the service, then `server.listen`. */
export async function createServer(options: ServerOptions) {
  const server = fastify({
    loggerInstance: options.logger as FastifyBaseLogger,
    // `observe` logs one line a request; Fastify's own two lines would contain the query with its numbers.
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    genReqId: (request) => {
      const given = request.headers['x-request-id'];
      return typeof given === 'string' && REQUEST_ID.test(given) && !isTelling(given) ? given : randomUUID();
    },
    // Node's own answer to a missing Host has no body; answerInOneForm answers instead.
    http: { requireHostHeader: false },
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    bodyLimit: BODY_LIMIT_BYTES,
    trustProxy: trustOf(options.trustedProxies ?? []),
    // While stopping, the service itself answers requests on open connections, instead of Fastify.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    // Fastify passes an address that it can't parse to this function, not to a route or an error handler.
    frameworkErrors: (error, request, reply) => {
      answerFailure(error, request, reply as FastifyReply, options.translateError);
    },
    clientErrorHandler: (error, socket) => answerUnreadable(options.logger, error, socket),
    routerOptions: { maxParamLength: 200, ignoreTrailingSlash: true },
  }).withTypeProvider<TypeBoxTypeProvider>();

  recordRequests(server, options.name);
  answerInOneForm(server, options);
  readJsonStrictly(server);
  observe(server, options.registry);
  server.setValidatorCompiler(validatorCompiler);
  await server.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: options.title, description: options.description, version: options.version },
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer' },
          basic: { type: 'http', scheme: 'basic' },
          session: { type: 'apiKey', in: 'cookie', name: 'trunkline.session_token' },
        },
      },
    },
  });
  await server.register(swaggerUi, {
    routePrefix: '/docs',
    uiConfig: { tryItOutEnabled: true },
    staticCSP: DOCS_POLICY,
  });
  if (options.corsOrigins.length > 0) {
    await server.register(cors, {
      origin: [...options.corsOrigins],
      exposedHeaders: [...READABLE_HEADERS, ...(options.exposedHeaders ?? [])],
    });
  }

  server.get('/openapi.json', { schema: { hide: true } }, () => server.swagger());
  server.get('/metrics', { schema: { hide: true } }, async (_request, reply) =>
    reply.type(options.registry.contentType).send(await options.registry.metrics()),
  );
  return server;
}

type JsonReader = Pick<Server, 'addContentTypeParser' | 'getDefaultJsonParser'>;

/** Refuses JSON that is not UTF-8: Fastify itself would replace the wrong bytes by U+FFFD. */
function readJsonStrictly(server: JsonReader): void {
  const parse = server.getDefaultJsonParser('error', 'error');
  server.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    const fault = utf8Fault(body as Buffer);
    if (fault) done(httpError('bad_request', { message: `The body can't be read: ${fault}` }));
    else return parse(request, body.toString(), done);
  });
}

type BareServer = Pick<Server, 'addHook' | 'setErrorHandler' | 'setNotFoundHandler' | 'server'>;

/** Sends every failure through failures.ts. Must be called before routes are added. */
function answerInOneForm(server: BareServer, { logger, translateError }: ServerOptions): void {
  const allowed = createAllowedMethods();
  server.addHook('onRoute', ({ url, method }) => {
    // CORS adds this route for preflights of every address, known or not.
    if (url !== '*') allowed.add(url, method);
  });
  const allowedOf = ({ url }: FastifyRequest) => allowed.of(url.split('?', 1)[0]!);
  const noRoute = (request: FastifyRequest, reply: FastifyReply) =>
    answerNoRoute(request, reply, allowedOf(request));
  server.setErrorHandler((thrown: FastifyError, request, reply) =>
    // Fastify reports a missing content type before it looks for a route with this method.
    thrown.code === 'FST_ERR_ROUTE_MISSING_CONTENT_TYPE'
      ? noRoute(request, reply)
      : answerFailure(thrown, request, reply, translateError),
  );
  server.setNotFoundHandler(noRoute);
  server.server.on('connect', (_request, socket) => answerConnect(logger, socket));
  // A request with another `Expect` than 100-continue goes to the hook below, instead of Node's own answer.
  server.server.on('checkExpectation', (request, response) => {
    server.server.emit('request', request, response);
  });
  server.addHook('onRequest', async (request, reply) => {
    reply.headers({ ...SAFE_HEADERS, 'x-request-id': request.id });
    const { expect, host } = request.headers;
    if (
      isTwice('host', request.raw.rawHeaders) ||
      (host === undefined && request.raw.httpVersion !== '1.0')
    ) {
      reply.header('connection', 'close');
      throw httpError('malformed');
    }
    if (PACKED.test(request.headers['content-encoding'] ?? '')) {
      throw httpError('unsupported_media_type', {
        message: 'The body is compressed (Content-Encoding); send it uncompressed',
      });
    }
    if (expect !== undefined && expect.toLowerCase() !== '100-continue')
      throw httpError('expectation_failed');
    // CORS would answer every OPTIONS: only a preflight of a known address is for it.
    if (request.method === 'OPTIONS' && !(isPreflight(request) && allowedOf(request).length > 0))
      return noRoute(request, reply);
  });
}

/** Whether a browser asks if a page may send a request (Fetch standard, CORS-preflight request). */
const isPreflight = ({ headers }: FastifyRequest): boolean =>
  headers.origin !== undefined && headers['access-control-request-method'] !== undefined;

/** Content encodings, none of which is supported. */
const PACKED = /^(?:x-)?(?:gzip|deflate|compress|br|zstd)\b/i;

/** Whether a header was sent more than once; Node returns only the first. @param raw names and values in turn */
function isTwice(name: string, raw: readonly string[]): boolean {
  let found = 0;
  for (let at = 0; at < raw.length; at += 2) if (raw[at]!.toLowerCase() === name) found++;
  return found > 1;
}

/** Statuses for no valid key, a wrong scope, too many requests. */
const REFUSED = new Set([401, 403, 429]);

/** One log line and one observation a request. */
function observe(server: BareServer, registry: Registry): void {
  const duration = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time from the first byte of a request to the last of its answer',
    labelNames: ['method', 'route', 'status'],
    buckets: DURATION_BUCKETS_S,
    registers: [registry],
  });
  server.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none';
    duration.observe({ method: request.method, route, status: reply.statusCode }, reply.elapsedTime / 1000);
    const log = () =>
      request.log.info({
        method: request.method,
        route,
        query: loggable(request.query as Record<string, unknown>),
        status: reply.statusCode,
        duration_ms: Math.round(reply.elapsedTime * 10) / 10,
        caller: request.callerName === undefined ? undefined : masked(request.callerName),
        // The address identifies a client that guesses keys or uses an old key.
        client: REFUSED.has(reply.statusCode) ? clientOf(request) : undefined,
      });
    // The answer's end is an event of the connection, which knows of no span.
    inSpan(request.span, log);
  });
}

/** Masks telephone numbers, which may stand in any parameter, known or unknown, and more than once. */
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
    /** The caller's name for logs: the name of a key, never the key. */
    callerName?: string;
  }
}
