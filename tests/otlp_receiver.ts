/**
 * A receiver of traces by OTLP over HTTP, strict: it decodes the protobuf itself and refuses what the protocol does not know, so
 * that a test finds what a collector would refuse or ignore.
 * https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after } from 'node:test';
import { until } from '#engines/cluster/processes.ts';

/** A span as it was received. */
export interface ReceivedSpan {
  readonly service: string;
  readonly traceId: string;
  readonly spanId: string;
  /** '' for none. */
  readonly parentId: string;
  readonly name: string;
  readonly kind: 'internal' | 'server' | 'client' | 'producer' | 'consumer';
  /** Nanoseconds since 1970. */
  readonly start: bigint;
  readonly end: bigint;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly isError: boolean;
}

type Behaviour = 'take' | 'refuse' | 'freeze';

export interface OtlpReceiver {
  readonly url: string;
  readonly spans: readonly ReceivedSpan[];
  /** All bytes that came. */
  readonly bytes: () => Buffer;
  /** What was not as the protocol has it. */
  readonly faults: readonly string[];
  readonly requests: readonly IncomingMessage['headers'][];
  /** `refuse`: answers 400. `freeze`: takes the request and never answers. */
  behave(how: Behaviour): void;
  /** Waits until so many spans have come whose names match. */
  waitFor(name: RegExp, count?: number): Promise<ReceivedSpan[]>;
}

const LIMIT_MS = 15_000;

export async function otlpReceiver(): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = [];
  const faults: string[] = [];
  const requests: IncomingMessage['headers'][] = [];
  const chunks: Buffer[] = [];
  let behaviour: Behaviour = 'take';
  async function receive(request: IncomingMessage, answer: ServerResponse): Promise<void> {
    const body = Buffer.concat(await request.toArray());
    if (behaviour === 'freeze') return;
    if (behaviour === 'refuse') return void answer.writeHead(400).end();
    requests.push(request.headers);
    chunks.push(body);
    try {
      const asked = `${request.method} ${request.url} ${request.headers['content-type']}`;
      if (asked !== 'POST /v1/traces application/x-protobuf') throw new Error(asked);
      spans.push(...spansIn(body));
      answer.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
    } catch (error) {
      faults.push(String(error));
      answer.writeHead(400).end();
    }
  }
  const server = createServer((request, answer) => void receive(request, answer)).listen(0, '127.0.0.1');
  await new Promise((listening) => server.once('listening', listening));
  after(() => {
    server.close();
    server.closeAllConnections();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    bytes: () => Buffer.concat(chunks),
    faults,
    requests,
    behave: (how) => {
      behaviour = how;
    },
    waitFor: async (name, count = 1) => {
      const found = () => spans.filter((span) => name.test(span.name));
      if (!(await until(() => found().length >= count, LIMIT_MS)))
        throw new Error(`${found().length} of ${count} spans ${name} came; faults: ${faults.join('; ')}`);
      return found();
    },
  };
}

type Kind = 'string' | 'bytes' | 'varint' | 'fixed32' | 'fixed64' | 'double' | { readonly message: Shape };
/** A message's fields by their numbers; those that end with `*` may be repeated. */
type Shape = { readonly [number: number]: readonly [name: string, kind: Kind] };

const VALUE: Record<number, readonly [string, Kind]> = {
  1: ['string', 'string'],
  2: ['bool', 'varint'],
  3: ['int', 'varint'],
  4: ['double', 'double'],
};
const ATTRIBUTE: Shape = { 1: ['key', 'string'], 2: ['value', { message: VALUE }] };
const ATTRIBUTES = ['attributes*', { message: ATTRIBUTE }] as const;
const DROPPED = ['dropped', 'varint'] as const;
const LINK: Shape = {
  1: ['traceId', 'bytes'],
  2: ['spanId', 'bytes'],
  3: ['traceState', 'string'],
  4: ATTRIBUTES,
  5: DROPPED,
  6: ['flags', 'fixed32'],
};
const SPAN: Shape = {
  1: ['traceId', 'bytes'],
  2: ['spanId', 'bytes'],
  3: ['traceState', 'string'],
  4: ['parentId', 'bytes'],
  5: ['name', 'string'],
  6: ['kind', 'varint'],
  7: ['start', 'fixed64'],
  8: ['end', 'fixed64'],
  9: ATTRIBUTES,
  10: DROPPED,
  12: ['droppedEvents', 'varint'],
  13: ['links*', { message: LINK }],
  14: ['droppedLinks', 'varint'],
  15: ['status', { message: { 2: ['message', 'string'], 3: ['code', 'varint'] } }],
  16: ['flags', 'fixed32'],
};
const SCOPE: Shape = { 1: ['name', 'string'], 2: ['version', 'string'], 3: ATTRIBUTES, 4: DROPPED };
const SCOPE_SPANS: Shape = {
  1: ['scope', { message: SCOPE }],
  2: ['spans*', { message: SPAN }],
  3: ['schema', 'string'],
};
const RESOURCE_SPANS: Shape = {
  1: ['resource', { message: { 1: ATTRIBUTES, 2: DROPPED } }],
  2: ['scopes*', { message: SCOPE_SPANS }],
  3: ['schema', 'string'],
};
const REQUEST: Shape = { 1: ['resources*', { message: RESOURCE_SPANS }] };

const WIRE_TYPES = { varint: 0, fixed64: 1, double: 1, string: 2, bytes: 2, fixed32: 5 } as const;

// biome-ignore lint/suspicious/noExplicitAny: what a message holds is said by its shape
type Decoded = Record<string, any>;

/** @throws Error for a field that the shape does not have, of another wire type, or twice where it stands once */
function decode(bytes: Buffer, shape: Shape): Decoded {
  const decoded: Decoded = {};
  for (const [name] of Object.values(shape)) if (name.endsWith('*')) decoded[name.slice(0, -1)] = [];
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes.readUInt8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const take = (length: number) => {
    if (at + length > bytes.length) throw new Error('a field is longer than its message');
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const [name, kind] = shape[tag >> 3] ?? [];
    if (name === undefined || kind === undefined) throw new Error(`there is no field ${tag >> 3}`);
    const wireType = typeof kind === 'string' ? WIRE_TYPES[kind] : 2;
    if ((tag & 7) !== wireType) throw new Error(`${name} is of the wire type ${tag & 7}`);
    const read = () => {
      if (typeof kind !== 'string') return decode(take(Number(varint())), kind.message);
      switch (kind) {
        case 'varint':
          return Number(varint());
        case 'fixed32':
          return take(4).readUInt32LE();
        case 'fixed64':
          return take(8).readBigUInt64LE();
        case 'double':
          return take(8).readDoubleLE();
        case 'string':
          return new TextDecoder('utf-8', { fatal: true }).decode(take(Number(varint())));
        case 'bytes':
          return take(Number(varint())).toString('hex');
      }
    };
    if (name.endsWith('*')) decoded[name.slice(0, -1)].push(read());
    else if (name in decoded) throw new Error(`${name} stands twice`);
    else decoded[name] = read();
  }
  return decoded;
}

const KINDS = [undefined, 'internal', 'server', 'client', 'producer', 'consumer'] as const;
const TRACE_ID = /^(?!0{32})[\da-f]{32}$/;
const SPAN_ID = /^(?!0{16})[\da-f]{16}$/;
const ERROR = 2;

function spansIn(body: Buffer): ReceivedSpan[] {
  return decode(body, REQUEST).resources.flatMap(({ resource, scopes }: Decoded) => {
    const { 'service.name': service } = attributesOf(resource);
    if (typeof service !== 'string' || service === '') throw new Error('a resource has no service.name');
    return scopes.flatMap(({ spans }: Decoded) => spans.map((span: Decoded) => spanOf(service, span)));
  });
}

function spanOf(service: string, span: Decoded): ReceivedSpan {
  const { traceId, spanId, parentId = '', name, start, end, links, status } = span;
  const kind = KINDS[span.kind];
  if (!TRACE_ID.test(traceId) || !SPAN_ID.test(spanId)) throw new Error(`ids ${traceId} ${spanId}`);
  if (parentId !== '' && !SPAN_ID.test(parentId)) throw new Error(`parent ${parentId}`);
  if (!name || !kind) throw new Error(`name ${name}, kind ${span.kind}`);
  if (!(start > 0n && start <= end)) throw new Error(`from ${start} to ${end}`);
  for (const link of links)
    if (!TRACE_ID.test(link.traceId) || !SPAN_ID.test(link.spanId))
      throw new Error(`link to ${link.traceId}`);
  const attributes = attributesOf(span);
  return {
    ...{ service, traceId, spanId, parentId, name, kind, start, end, attributes },
    links: links.map((link: Decoded) => ({ traceId: link.traceId, spanId: link.spanId })),
    isError: status?.code === ERROR,
  };
}

function attributesOf({ attributes }: Decoded): Record<string, unknown> {
  const read: Record<string, unknown> = {};
  for (const { key, value } of attributes) {
    if (!key || key in read) throw new Error(`attribute ${key} stands twice, or has no name`);
    const [only, ...others] = Object.values(value ?? {});
    if (only === undefined || others.length > 0) throw new Error(`attribute ${key} has not one value`);
    read[key] = only;
  }
  return read;
}
