/**
 * The span of a request, by OpenTelemetry's conventions for HTTP servers, without what may hold data of a customer: no query,
 * no address of the client, and of the path only its route.
 * https://opentelemetry.io/docs/specs/semconv/http/http-spans/
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { inSpan, isTracing, type Span, startTrace } from '#platform/telemetry/tracing/tracing.ts';

/** Header of an answer whose request was recorded: by its trace a client tells which one it means. */
export const TRACE_RESPONSE_HEADER = 'traceresponse';

declare module 'fastify' {
  interface FastifyRequest {
    /** Undefined: it is not recorded. */
    span?: Span | undefined;
  }
}

/**
 * Records requests, where traces are recorded at all. Must be called before other hooks and routes are added.
 * @param service by whose name its spans are found
 */
export function recordRequests(server: Pick<FastifyInstance, 'addHook'>, service: string): void {
  if (!isTracing()) return;
  server.addHook('onRequest', (request, reply, done) => {
    const span = spanOf(request, service);
    if (!span) return done();
    request.span = span;
    reply.header(TRACE_RESPONSE_HEADER, span.traceparent);
    // Comes also where the client has gone before its answer.
    reply.raw.once('close', () => endSpan(span, request, reply.raw.writableFinished, reply.statusCode));
    inSpan(span, done);
  });
  // A body comes by events of the connection, which knows of no span.
  server.addHook('preValidation', (request, _reply, done) => inSpan(request.span, done));
}

function spanOf(request: FastifyRequest, service: string): Span | undefined {
  const { traceparent } = request.headers;
  const { method } = request;
  const source =
    typeof traceparent === 'string'
      ? { traceparent, address: request.socket.remoteAddress ?? '' }
      : undefined;
  return startTrace(
    service,
    () => ({
      name: method,
      kind: 'server',
      attributes: {
        'http.request.method': method,
        'url.scheme': 'http',
        'network.protocol.version': request.raw.httpVersion,
        'trunkline.request_id': request.id,
      },
    }),
    source,
  );
}

function endSpan(
  span: Span,
  { method, routeOptions }: FastifyRequest,
  answered: boolean,
  status: number,
): void {
  const route = routeOptions.url;
  if (route !== undefined) span.set({ 'http.route': route, 'url.path': route });
  if (answered) span.set({ 'http.response.status_code': status });
  const error = answered ? status >= 500 && String(status) : 'client_gone';
  span.end(error || undefined, route === undefined ? method : `${method} ${route}`);
}
