/**
 * Sends spans by OTLP over HTTP, as protobuf, with OpenTelemetry's own exporter. tracing.ts imports this file only where a
 * receiver is set: all of OpenTelemetry's SDK that is loaded is loaded here.
 */
import { type SpanContext, SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import type { EndedSpan } from './span.ts';
import { EXPORT_LIMIT_MS, type SendSpans } from './span_buffer.ts';
import type { SpanAddress, Traceparent } from './traceparent.ts';

type ReadableSpan = Parameters<OTLPTraceExporter['export']>[0][number];

/** 0: what it exports successfully (ExportResultCode of @opentelemetry/core). */
const SUCCESS = 0;

export interface OtlpSender {
  readonly send: SendSpans;
  close(): void;
}

export interface OtlpOptions {
  /** Of a receiver of OTLP over HTTP; `/v1/traces` is added. */
  readonly url: string;
  /** Sent with each batch, such as a receiver's key. */
  readonly headers: Readonly<Record<string, string>>;
  /** The program's, for the receiver. */
  readonly version: string;
}

export function createOtlpSender({ url, headers, version }: OtlpOptions): OtlpSender {
  const exporter = new OTLPTraceExporter({
    url: `${url.replace(/\/$/, '')}/v1/traces`,
    headers: { ...headers },
    timeoutMillis: EXPORT_LIMIT_MS,
    concurrencyLimit: 1,
  });
  const resources = new Map<string, ReadableSpan['resource']>();
  const resourceOf = (service: string) => {
    const known = resources.get(service) ?? resourceNamed(service, version);
    resources.set(service, known);
    return known;
  };
  return {
    send: (spans) =>
      new Promise((sent, failed) => {
        exporter.export(
          spans.map((span) => readable(span, resourceOf(span.service))),
          ({ code, error }) => {
            if (code === SUCCESS) sent();
            else failed(error ?? new Error('the receiver of traces has not taken them'));
          },
        );
      }),
    close: () => void exporter.shutdown().catch(() => undefined),
  };
}

const resourceNamed = (service: string, version: string): ReadableSpan['resource'] => {
  const attributes = {
    'service.namespace': 'trunkline',
    'service.name': service,
    'service.version': version,
    'process.pid': process.pid,
  };
  return {
    attributes,
    merge: () => resourceNamed(service, version),
    getRawAttributes: () => Object.entries(attributes),
  };
};

const KINDS = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
} as const satisfies Record<EndedSpan['kind'], SpanKind>;

const SCOPE = { name: 'trunkline' };

/** A span in the form that the exporter reads. */
function readable(span: EndedSpan, resource: ReadableSpan['resource']): ReadableSpan {
  const { name, kind, startedAt, endedAt, attributes, parent, links, error } = span;
  const own = contextOf(span, false);
  return {
    name,
    kind: KINDS[kind],
    spanContext: () => own,
    ...(parent && { parentSpanContext: contextOf(parent, parent.remote) }),
    startTime: hrTime(startedAt),
    endTime: hrTime(endedAt),
    duration: hrTime(endedAt - startedAt),
    ended: true,
    status: { code: error === undefined ? SpanStatusCode.UNSET : SpanStatusCode.ERROR },
    attributes: error === undefined ? attributes : { ...attributes, 'error.type': error },
    links: links.map((link) => ({ context: { ...contextOf(link, true), traceFlags: flagsOf(link) } })),
    events: [],
    resource,
    instrumentationScope: SCOPE,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

const flagsOf = ({ sampled }: Traceparent): TraceFlags => (sampled ? TraceFlags.SAMPLED : TraceFlags.NONE);

const contextOf = ({ traceId, spanId }: SpanAddress, isRemote: boolean): SpanContext => ({
  traceId,
  spanId,
  traceFlags: TraceFlags.SAMPLED,
  isRemote,
});

/** Seconds and nanoseconds. @param ms milliseconds, with fractions */
function hrTime(ms: number): [number, number] {
  const micros = Math.round(ms * 1_000);
  return [Math.floor(micros / 1e6), (micros % 1e6) * 1_000];
}
