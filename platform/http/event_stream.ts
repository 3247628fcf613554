/**
 * Streams of events (Server-Sent Events, WHATWG HTML § 9.2): what changes is looked at once an interval and made into text
 * once, however many read it. A reader that does not keep up gets the newest text when it has read the last one; one that
 * has read nothing for STALLED_MS is cut off.
 */
import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { Clock } from '#platform/lifecycle/clock.ts';

/** A stream whose reader takes nothing for so long ends. */
export const STALLED_MS = 60_000;

export interface EventStreamsOptions {
  readonly intervalMs: number;
  /** What there is to tell now. The same object as before: nothing new. */
  readonly current: () => object;
  readonly clock: Clock;
  /** Aborted: all streams end. */
  readonly stopping: AbortSignal;
}

export interface EventStreams {
  /**
   * Answers with a stream: what there is at once, and each time that there is something new.
   * @param mayStill asked each interval, before anything is sent; false: the stream ends
   */
  open(reply: FastifyReply, mayStill?: () => boolean): FastifyReply;
  /** Streams that are open now. */
  readonly size: number;
}

interface Stream {
  readonly readable: Readable;
  readonly mayStill: () => boolean;
  /** The object that was sent last. */
  sent: object | undefined;
  /** Since when its reader has taken nothing, monotonic; undefined: it takes more. */
  stalledSince: number | undefined;
}

export function createEventStreams(options: EventStreamsOptions): EventStreams {
  const { intervalMs, current, clock, stopping } = options;
  const streams = new Set<Stream>();
  /** What there was to tell last, while there are streams; and its text. */
  let latest: { readonly of: object; readonly bytes: Buffer } | undefined;
  let ticking = false;

  /** Looks what there is to tell now, and makes its text where it is new. */
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

  /** One loop for all, while there are any. */
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
