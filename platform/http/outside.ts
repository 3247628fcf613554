/**
 * Sends HTTP requests to other programs, which may answer anything: a body that never ends, that comes a byte a minute,
 * or that is a thousand times as long uncompressed. All outgoing HTTP requests of this program use this module.
 */

import { systemClock } from '#platform/lifecycle/clock.ts';
import { within } from '#platform/lifecycle/within.ts';
import { currentSpan } from '#platform/telemetry/tracing/tracing.ts';

/** Limit of answers of which only the first words are needed. */
export const FEW_BYTES = 4 * 1024;
/** Time limit of the body, if only the status counts. */
const REST_LIMIT_MS = 1_000;

interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Limit of the body, uncompressed. */
  readonly limitBytes: number;
  /**
   * The rule for a longer body. `refuse`: an error, since a part of it is of no use. `cut`: only the status counts; the bytes of the
   * first second are kept up to the limit, and a body that can't be uncompressed is no error.
   */
  readonly longer: 'refuse' | 'cut';
}

/** The limit of the whole request's time: milliseconds, or a signal. */
type Limit =
  | { readonly limitMs: number; readonly signal?: never }
  | { readonly signal: AbortSignal; readonly limitMs?: never };
export type Asking = Asked & Limit;

export interface OutsideAnswer {
  /** The status is 2xx. A redirect is not followed, and is not ok. */
  readonly ok: boolean;
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** @throws the network's error, TimeoutError, the signal's reason, or an error if the answer is too long */
export function askOutside(url: string | URL, asking: Asking): Promise<OutsideAnswer> {
  const { limitMs, signal } = asking;
  if (signal) return ask(url, asking, signal);
  return within(systemClock, limitMs, `asking ${new URL(url).origin}`, (cut) => ask(url, asking, cut));
}

async function ask(url: string | URL, asking: Asked, signal: AbortSignal): Promise<OutsideAnswer> {
  const { method = 'GET', headers = {}, body, limitBytes, longer } = asking;
  const answer = await fetch(url, {
    method,
    headers: { 'accept-encoding': 'identity', ...traceHeaders(), ...headers },
    ...(body !== undefined && { body }),
    signal,
    redirect: 'manual',
  });
  const text = await (longer === 'refuse' ? whole(answer, limitBytes) : beginning(answer, limitBytes));
  return { ok: answer.ok, status: answer.status, headers: answer.headers, text };
}

type Reader = ReadableStreamDefaultReader<Uint8Array>;

/** The other program goes on with the trace, where there is one and it wants to; the header holds random numbers alone. */
function traceHeaders(): Record<string, string> {
  const span = currentSpan();
  return span ? { traceparent: span.traceparent } : {};
}

/** Reads until the end or the limit. At the limit it cancels the rest and closes the connection. */
async function read(reader: Reader, limitBytes: number, chunks: Uint8Array[]): Promise<'ended' | 'longer'> {
  for (let left = limitBytes; ; ) {
    const { done, value } = await reader.read();
    if (done) return 'ended';
    chunks.push(value.subarray(0, left));
    left -= value.length;
    if (left < 0) {
      await reader.cancel();
      return 'longer';
    }
  }
}

async function whole({ body, url }: Response, limitBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  if (body && (await read(body.getReader(), limitBytes, chunks)) === 'longer')
    throw new Error(`the answer of ${new URL(url).origin} is longer than ${limitBytes} bytes`);
  return Buffer.concat(chunks).toString();
}

async function beginning({ body }: Response, limitBytes: number): Promise<string> {
  if (!body) return '';
  const chunks: Uint8Array[] = [];
  const reader = body.getReader();
  const quote = (enough: AbortSignal) => {
    enough.addEventListener('abort', () => void reader.cancel().catch(() => undefined));
    return read(reader, limitBytes, chunks);
  };
  // The status has arrived; the body is only for a quotation, so its errors do not count.
  await within(systemClock, REST_LIMIT_MS, 'the rest of an answer', quote).catch(() => undefined);
  return Buffer.concat(chunks).toString();
}

/** An answer of another status than 2xx to a request for a stream. */
export class StatusError extends Error {
  override name = 'StatusError';
  readonly status: number;
  /** The beginning of its body. */
  readonly text: string;
  constructor(status: number, text: string) {
    super(`answered ${status}`);
    this.status = status;
    this.text = text;
  }
}

/**
 * The data of server-sent events, one after the other, until the server ends the stream.
 * @throws StatusError, the network's error, the signal's reason, or an error if an event is longer than limitBytes
 */
export async function* eventsOutside(
  url: string,
  {
    headers = {},
    signal,
    limitBytes,
  }: Pick<Asked, 'headers' | 'limitBytes'> & { readonly signal: AbortSignal },
): AsyncGenerator<string> {
  const answer = await fetch(url, {
    headers: { 'accept-encoding': 'identity', accept: 'text/event-stream', ...headers },
    signal,
    redirect: 'manual',
  });
  if (!answer.ok) throw new StatusError(answer.status, await beginning(answer, FEW_BYTES));
  let text = '';
  for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const events = text.split('\n\n');
    text = events.pop()!;
    for (const event of events) yield event.replace(/^data: /, '');
    if (text.length > limitBytes) throw new Error(`an event of ${url} is longer than ${limitBytes} bytes`);
  }
}
