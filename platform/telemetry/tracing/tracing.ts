/**
 * Traces, the door of this folder: which requests and messages are recorded, and the span that is under way.
 *
 * Whether a trace is recorded is decided before any span of it exists. What is not recorded costs one look whether a span is
 * under way, and where no receiver is set nothing of OpenTelemetry's is loaded.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { Counter, type Registry } from '../metrics.ts';
import type { OtlpOptions } from './otlp.ts';
import { beginSpan, type EndedSpan, type Span, type SpanStart } from './span.ts';
import { createSpanBuffer, type DropReason } from './span_buffer.ts';
import { readTraceparent } from './traceparent.ts';

export type { Span, SpanStart } from './span.ts';

export interface TracingOptions extends OtlpOptions {
  /** The share of requests and messages that is recorded, from 0 to 1, where nobody else has decided. */
  readonly ratio: number;
  /** Whether a peer's `traceparent` decides: its address is the gateway's, or another one that is believed. */
  readonly believes: (address: string) => boolean;
  readonly clock: Clock;
  /** From 0 up to, not including, 1; Math.random in production. */
  readonly random: () => number;
  /** Told when the receiver begins to fail, with the error; and when it takes spans again. */
  readonly onReceiver: (state: 'failing' | 'working', error?: unknown) => void;
}

interface Tracing extends Pick<TracingOptions, 'ratio' | 'random' | 'clock' | 'believes'> {
  readonly onEnd: (span: EndedSpan) => void;
}

let tracing: Tracing | undefined;
const underWay = new AsyncLocalStorage<Span>();

/** How long the last spans may take at a stop. */
const CLOSE_LIMIT_MS = 1_000;

/**
 * Records traces from now on, in the whole process.
 * @returns sends what is left, and ends it
 */
export async function startTracing(options: TracingOptions): Promise<() => Promise<void>> {
  const { createOtlpSender } = await import('./otlp.ts');
  const sender = createOtlpSender(options);
  let failing = false;
  const note = (nowFailing: boolean, error?: unknown) => {
    if (failing === nowFailing) return;
    failing = nowFailing;
    options.onReceiver(failing ? 'failing' : 'working', error);
  };
  const buffer = createSpanBuffer({
    send: sender.send,
    clock: options.clock,
    onExported: (spans) => {
      note(false);
      for (const { service } of spans) countsOf(service).exported++;
    },
    onDropped: (spans, reason, error) => {
      if (reason === 'export_failed') note(true, error);
      for (const { service } of spans) countsOf(service)[reason]++;
    },
  });
  const started: Tracing = { ...options, onEnd: buffer.add };
  tracing = started;
  return async () => {
    if (tracing === started) tracing = undefined;
    await buffer.close(CLOSE_LIMIT_MS);
    sender.close();
  };
}

/** Whether traces are recorded. Settled before services are started. */
export const isTracing = (): boolean => tracing !== undefined;

/** Where a trace comes from. */
export interface TraceSource {
  /** The header `traceparent` that came with the request or message. */
  readonly traceparent: string;
  /** The address of whoever sent it; undefined: this installation itself, by a message that it has written. */
  readonly address?: string | undefined;
}

/**
 * Begins the span of a request or message, if it is recorded. A `traceparent` that is believed decides. Any other one is only
 * noted as a link, and the ratio decides: nobody outside can have everything recorded, or mix his traces with others'.
 * @param service by whose name the span is found
 */
export function startTrace(service: string, start: () => SpanStart, source?: TraceSource): Span | undefined {
  if (!tracing) return undefined;
  const { ratio, random, clock, believes, onEnd } = tracing;
  const given = source && readTraceparent(source.traceparent);
  const isMessage = source?.address === undefined;
  const parent = given && (isMessage || believes(source.address)) ? given : undefined;
  if (!(parent ? parent.sampled : random() < ratio)) return undefined;
  // A message has its publisher as a link as well: the convention of OpenTelemetry asks for the link, and allows the parent.
  const links = given && (isMessage || !parent) ? [given] : [];
  return beginSpan(start(), { service, parent, links, clock, onEnd });
}

/** Does `work` within a span, which stays open. */
export const inSpan = <T>(span: Span | undefined, work: () => T): T =>
  span ? underWay.run(span, work) : work();

/** The span that is under way here, in whatever was begun within it; undefined where nothing is recorded. */
export function currentSpan(): Span | undefined {
  const span = underWay.getStore();
  return span?.ended ? undefined : span;
}

/** Begins a span below the one under way. */
export const startSpan = (start: () => SpanStart): Span | undefined => currentSpan()?.child(start());

/** The ids of the trace, as log lines have them. */
export function traceFields(): { trace_id?: string; span_id?: string } {
  const span = currentSpan();
  return span ? { trace_id: span.traceId, span_id: span.spanId } : {};
}

type Counts = Record<DropReason | 'exported', number>;
const counts = new Map<string, Counts>();

function countsOf(service: string): Counts {
  const known = counts.get(service) ?? { exported: 0, buffer_full: 0, export_failed: 0, stopped: 0 };
  counts.set(service, known);
  return known;
}

/** Exports how many spans of a service the receiver took, and how many were dropped, where traces are recorded. */
export function exportTraceMetrics(registry: Registry, service: string): void {
  if (!isTracing()) return;
  const registers = [registry];
  const told = countsOf(service);
  new Counter({
    name: 'trace_spans_exported_total',
    help: 'Spans that the receiver of traces has taken',
    registers,
    collect() {
      this.reset();
      this.inc(told.exported);
    },
  });
  new Counter({
    name: 'trace_spans_dropped_total',
    help: 'Spans that were dropped: buffer_full, export_failed, stopped',
    labelNames: ['reason'],
    registers,
    collect() {
      this.reset();
      for (const reason of ['buffer_full', 'export_failed', 'stopped'] as const)
        this.inc({ reason }, told[reason]);
    },
  });
}
