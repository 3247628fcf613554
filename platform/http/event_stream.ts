/**
 * Streams of events (Server-Sent Events, WHATWG HTML § 9.2). The current value is read once an interval and made into text
 * once for all readers. A slow reader gets the newest text after it has read the last one. A reader that
 * reads nothing for STALLED_MS is cut off.
 */
import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { Clock } from '#platform/lifecycle/clock.ts';

/** A stream ends if its reader reads nothing for this time. */
export const STALLED_MS = 60_000;

export interface EventStreamsOptions {
  readonly intervalMs: number;
  /** The current value. The same object as before means that nothing is new. */
  readonly current: () => object;
  readonly clock: Clock;
  /** All streams end when it aborts. */
  readonly stopping: AbortSignal;
}

export interface EventStreams {
  /**
   * Answers with a stream: the current value at once, and each new value.
   * @param mayStill called each interval, before an event is sent; if it returns false, the stream ends
   */
  open(reply: FastifyReply, mayStill?: () => boolean): FastifyReply;
  /** The number of open streams. */
  readonly size: number;
}

interface Stream {
  readonly readable: Readable;
  readonly mayStill: () => boolean;
  /** The last object that was sent. */
  sent: object | undefined;
  /** Monotonic time since which its reader has read nothing; undefined while it reads. */
  stalledSince: number | undefined;
}

export function createEventStreams(options: EventStreamsOptions): EventStreams {
  const { intervalMs, current, clock, stopping } = options;
  const streams = new Set<Stream>();
  /** The last value, while there are streams, and its text. */
  let latest: { readonly of: object; readonly bytes: Buffer } | undefined;
  let ticking = false;

  /** Reads the current value, and makes its text if the value is new. */
  function look(): NonNullable<typeof latest> {
    const of = current();
    if (latest?.of !== of) latest = { of, bytes: Buffer.from(`data: ${JSON.stringify(of)}\n\n`) };
    return latest;
  }

  function send(stream: Stream): void {
    if (stream.stalledSince !== undefined) return;
    const { of, bytes } = latest ?? look();
    if (stream.sent === of) return;
    stream.sent = of;
    if (!stream.readable.push(bytes)) stream.stalledSince = clock.monotonic();
  }

  function close(stream: Stream, isCut = false): void {
    if (!streams.delete(stream)) return;
    if (isCut) stream.readable.destroy();
    else stream.readable.push(null);
  }

  /** One loop for all streams, which runs while there are streams. */
  async function tick(): Promise<void> {
    if (ticking) return;
    ticking = true;
    while (streams.size > 0) {
      await clock.sleep(intervalMs, stopping).catch(() => undefined);
      const now = clock.monotonic();
      look();
      for (const stream of streams) {
        const { stalledSince } = stream;
        if (stopping.aborted || !stream.mayStill()) close(stream);
        else if (stalledSince !== undefined && now - stalledSince >= STALLED_MS) close(stream, true);
        else send(stream);
      }
    }
    latest = undefined;
    ticking = false;
  }

  return {
    open(reply, mayStill = () => true) {
      const readable = new Readable({
        read: () => {
          stream.stalledSince = undefined;
        },
      });
      const stream: Stream = { readable, mayStill, sent: undefined, stalledSince: undefined };
      streams.add(stream);
      readable.once('close', () => streams.delete(stream));
      reply.raw.once('close', () => close(stream, true));
      if (stopping.aborted || reply.raw.closed) close(stream);
      else send(stream);
      void tick();
      return reply
        .type('text/event-stream; charset=utf-8')
        .header('cache-control', 'no-store')
        .send(readable as never);
    },
    get size() {
      return streams.size;
    },
  };
}
