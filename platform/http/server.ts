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
import type { Network } from '#platform/config/network.ts';
import type { Logger } from '#platform/telemetry/logger.ts';
import { DURATION_BUCKETS_S, Histogram, type Registry } from '#platform/telemetry/metrics.ts';
import { isTelling, masked, maskNumber } from '#platform/telemetry/telephone_numbers.ts';
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
import { RATE_HEADERS } from './rate_limit.ts';
import { DOCS_POLICY, SAFE_HEADERS } from './safe_headers.ts';
import { utf8Fault } from './utf8.ts';
import { validatorCompiler } from './validation.ts';

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
  readonly translateError?: TranslateError;
  /** Proxies whose `X-Forwarded-For` is believed; none when it is left out. */
  readonly trustedProxies?: readonly Network[];
}

/** A request that was sent whole is answered whole; one that trickles in is cut off. */
export const REQUEST_TIMEOUT_MS = 60_000;
export const KEEP_ALIVE_TIMEOUT_MS = 72_000;

/** Of a body, unless its route says otherwise. */
const BODY_LIMIT_BYTES = 64 * 1024;

/** Headers of answers that a page of another origin may read: without this list it sees none of them. */
const READABLE_HEADERS = ['x-request-id', 'retry-after', 'content-disposition', ...RATE_HEADERS];

const REQUEST_ID = /^[\w.-]{1,64}$/;
/** Query parameters that hold phone numbers: masked in logs. */
const NUMBER_PARAMETERS = new Set(['cli', 'cld', 'number']);

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
    // Node would answer without a body; see answerInOneForm.
    http: { requireHostHeader: false },
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    bodyLimit: BODY_LIMIT_BYTES,
    trustProxy: trustOf(options.trustedProxies ?? []),
    // Stopping: requests that still come in on open connections are answered by the service in its own words, not
    // dropped and not in Fastify's.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    // An address that can't be read at all comes to no route and to no handler of errors.
    frameworkErrors: (error, request, reply) => {
      answerFailure(error, request, reply as FastifyReply, options.translateError);
    },
    clientErrorHandler: (error, socket) => answerUnreadable(options.logger, error, socket),
    routerOptions: { maxParamLength: 200, ignoreTrailingSlash: true },
  }).withTypeProvider<TypeBoxTypeProvider>();

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

/** Fastify itself would read what is no UTF-8, and put U+FFFD in its place. */
function readJsonStrictly(server: JsonReader): void {
  const parse = server.getDefaultJsonParser('error', 'error');
  server.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    const fault = utf8Fault(body as Buffer);
    if (fault) done(httpError('bad_request', { message: `The body can't be read: ${fault}` }));
    else return parse(request, body.toString(), done);
  });
}

type BareServer = Pick<Server, 'addHook' | 'setErrorHandler' | 'setNotFoundHandler' | 'server'>;

/** Whatever goes wrong, wherever: failures.ts. To be called before there are routes. */
function answerInOneForm(server: BareServer, { logger, translateError }: ServerOptions): void {
  const allowed = createAllowedMethods();
  server.addHook('onRoute', ({ url, method }) => allowed.add(url, method));
  const noRoute = (request: FastifyRequest, reply: FastifyReply) =>
    answerNoRoute(request, reply, allowed.of(request.url.split('?', 1)[0]!));
  server.setErrorHandler((thrown: FastifyError, request, reply) =>
    // Of a method that no route has, Fastify asks more before it looks for one.
    thrown.code === 'FST_ERR_ROUTE_MISSING_CONTENT_TYPE'
      ? noRoute(request, reply)
      : answerFailure(thrown, request, reply, translateError),
  );
  server.setNotFoundHandler(noRoute);
  server.server.on('connect', (_request, socket) => answerConnect(logger, socket));
  // What is expected beside 100-continue comes to the hook below, not to Node's own answer.
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
        message: 'The body is packed (Content-Encoding); it must be sent as it is',
      });
    }
    if (expect !== undefined && expect.toLowerCase() !== '100-continue')
      throw httpError('expectation_failed');
  });
}

/** What nobody here unpacks. */
const PACKED = /^(?:x-)?(?:gzip|deflate|compress|br|zstd)\b/i;

/** Whether a header was sent more than once; Node gives the first. @param raw names and values in turn */
function isTwice(name: string, raw: readonly string[]): boolean {
  let found = 0;
  for (let at = 0; at < raw.length; at += 2) if (raw[at]!.toLowerCase() === name) found++;
  return found > 1;
}

/** No valid key, one that may not do this, too many requests. */
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
    request.log.info({
      method: request.method,
      route,
      query: loggable(request.query as Record<string, unknown>),
      status: reply.statusCode,
      duration_ms: Math.round(reply.elapsedTime * 10) / 10,
      caller: request.callerName === undefined ? undefined : masked(request.callerName),
      // Who guesses keys, or uses an old one, is found by its address.
      client: REFUSED.has(reply.statusCode) ? clientOf(request) : undefined,
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
