/** A span: one step of a request, with its times. Only spans of traces that are recorded exist (tracing.ts). */
import { randomBytes } from 'node:crypto';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { type SpanAddress, type Traceparent, writeTraceparent } from './traceparent.ts';

/** Named as OpenTelemetry's semantic conventions name them, or `trunkline.…`. No value holds anything of a customer. */
export type Attributes = Readonly<Record<string, string | number>>;

/** The role of a span between programs. */
export type SpanKind = 'internal' | 'server' | 'client' | 'producer' | 'consumer';

export interface SpanStart {
  /** Of few different values, such as a route's and never an address's. */
  readonly name: string;
  readonly kind: SpanKind;
  readonly attributes?: Attributes;
}

/** A span as it is exported. Times are milliseconds since 1970, with fractions. */
export interface EndedSpan extends SpanAddress {
  readonly service: string;
  readonly parent: (SpanAddress & { readonly remote: boolean }) | undefined;
  readonly links: readonly Traceparent[];
  readonly name: string;
  readonly kind: SpanKind;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly attributes: Attributes;
  /** A word for what went wrong (`error.type`). */
  readonly error: string | undefined;
}

export interface Span extends SpanAddress {
  readonly ended: boolean;
  /** The header by which another process goes on with the trace. */
  readonly traceparent: string;
  /** Adds to its attributes. */
  set(attributes: Attributes): void;
  /**
   * Ends it; only the first call counts.
   * @param error a word for what went wrong; never a message, which may quote data
   * @param name in place of the first one
   */
  end(error?: string, name?: string): void;
  /** A span within this one, in the same service. */
  child(start: SpanStart): Span;
}

export interface SpanOrigin {
  readonly service: string;
  /** Undefined: the span begins a trace. */
  readonly parent: SpanAddress | undefined;
  readonly links: readonly Traceparent[];
  readonly clock: Clock;
  readonly onEnd: (span: EndedSpan) => void;
}

const TRACE_ID_BYTES = 16;
const SPAN_ID_BYTES = 8;

/** Begins the first span of a trace in this process. */
export function beginSpan(start: SpanStart, origin: SpanOrigin): Span {
  const { clock, parent } = origin;
  // One reading of the wall clock for all spans here, so that setting the clock moves none of them against another.
  const wallClock = clock.now() - clock.monotonic();
  const traceId = parent?.traceId ?? randomBytes(TRACE_ID_BYTES).toString('hex');

  function begin(
    { name: firstName, kind, attributes: given }: SpanStart,
    above: EndedSpan['parent'],
    links: readonly Traceparent[],
  ): Span {
    const address = { traceId, spanId: randomBytes(SPAN_ID_BYTES).toString('hex') };
    const startedAt = wallClock + clock.monotonic();
    let attributes = given ?? {};
    let ended = false;
    return {
      ...address,
      get ended() {
        return ended;
      },
      traceparent: writeTraceparent(address),
      set: (more) => {
        attributes = { ...attributes, ...more };
      },
      end: (error, name = firstName) => {
        if (ended) return;
        ended = true;
        const { service, onEnd } = origin;
        const endedAt = wallClock + clock.monotonic();
        onEnd({
          ...address,
          service,
          parent: above,
          links,
          name,
          kind,
          startedAt,
          endedAt,
          attributes,
          error,
        });
      },
      child: (more) => begin(more, { ...address, remote: false }, []),
    };
  }
  return begin(start, parent && { ...parent, remote: true }, origin.links);
}
