/**
 * The spans of messages, by OpenTelemetry's conventions for messaging. A message carries its publisher's `traceparent` among
 * its headers; each attempt to handle it is a span below the publisher's, with a link to it. Keys and bodies are left out.
 * https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
 */
import { type Span, startSpan, startTrace } from '#platform/telemetry/tracing/tracing.ts';
import type { Taken } from './queue.ts';
import type { Outgoing } from './topic.ts';

/** What carries messages; without a broker they stay in PostgreSQL. */
export type Carrier = 'postgresql' | 'rabbitmq';

/** The span of messages that are published together. They are written to PostgreSQL, whatever carries them on. */
export const publishingSpan = (messages: readonly Outgoing[]): Span | undefined =>
  startSpan(() => {
    const [topic = '', ...others] = new Set(messages.map((message) => message.topic.name));
    const isOne = others.length === 0;
    return {
      name: isOne ? `publish ${topic}` : 'publish',
      kind: 'producer',
      attributes: {
        'messaging.system': 'postgresql',
        'messaging.operation.name': 'publish',
        'messaging.operation.type': 'send',
        ...(isOne && { 'messaging.destination.name': topic }),
        ...(messages.length > 1 && { 'messaging.batch.message_count': messages.length }),
      },
    };
  });

/** The headers of a message that is published within a span; headers of its own come first. */
export const headersWithin = (span: Span | undefined, headers: Outgoing['headers']): Outgoing['headers'] =>
  span ? { traceparent: span.traceparent, ...headers } : headers;

/** The span of an attempt to handle a message. @param service of the consumer */
export function handlingSpan(
  service: string,
  carrier: Carrier,
  queue: string,
  { id, topic, attempt, headers }: Taken,
): Span | undefined {
  const traceparent = headers?.traceparent;
  return startTrace(
    service,
    () => ({
      name: `process ${topic}`,
      kind: 'consumer',
      attributes: {
        'messaging.system': carrier,
        'messaging.operation.name': 'process',
        'messaging.operation.type': 'process',
        'messaging.destination.name': topic,
        'messaging.consumer.group.name': queue,
        'messaging.message.id': id,
        'trunkline.message.attempt': attempt,
      },
    }),
    traceparent === undefined ? undefined : { traceparent },
  );
}
