/**
 * The header `traceparent` by which a trace goes on in another process: version, trace, span, flags.
 * https://www.w3.org/TR/trace-context/#traceparent-header
 */

/** A span of another process, or of this one, as others name it. */
export interface SpanAddress {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
}

export interface Traceparent extends SpanAddress {
  /** Whoever wrote the header records this trace. */
  readonly sampled: boolean;
}

const FORM = /^(?!ff)([\da-f]{2})-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})(-.*)?$/;
const SAMPLED = 0x01;

/** @returns undefined for a text that is no traceparent. One of a later version is read as far as it is known */
export function readTraceparent(text: string): Traceparent | undefined {
  const [, version, traceId, spanId, flags, more] = FORM.exec(text) ?? [];
  if (version === undefined || (version === '00' && more !== undefined)) return undefined;
  return { traceId: traceId!, spanId: spanId!, sampled: (Number.parseInt(flags!, 16) & SAMPLED) !== 0 };
}

/** The header of a span that is recorded. */
export const writeTraceparent = ({ traceId, spanId }: SpanAddress): string => `00-${traceId}-${spanId}-01`;
