/**
 * Spans on their way out: they are kept until a batch is full or EXPORT_EVERY_MS is over, and sent one batch at a time. The
 * buffer has a limit: whoever adds a span never waits, and a receiver that is down or frozen costs spans and nothing else.
 */
import type { Clock } from '#platform/lifecycle/clock.ts';
import { TimeoutError, within } from '#platform/lifecycle/within.ts';
import type { EndedSpan } from './span.ts';

/** So many spans wait at most, those under way among them; some 1 KiB each. */
export const BUFFER_LIMIT = 2_048;
/** As the SDKs of OpenTelemetry do. */
export const BATCH_SPANS = 512;
export const EXPORT_EVERY_MS = 5_000;
/** A receiver that does not answer for so long has not got the batch. */
export const EXPORT_LIMIT_MS = 10_000;
/** The sender ends by itself at its limit; it is given up so much later. */
const EXPORT_SLACK_MS = 1_000;

/** Why spans were dropped: no room for them, not taken by the receiver, or too late at a stop. */
export type DropReason = 'buffer_full' | 'export_failed' | 'stopped';

/** Sends spans. @throws Error when the receiver has not taken them */
export type SendSpans = (spans: readonly EndedSpan[]) => Promise<void>;

export interface SpanBufferOptions {
  readonly send: SendSpans;
  readonly clock: Clock;
  readonly onExported: (spans: readonly EndedSpan[]) => void;
  readonly onDropped: (spans: readonly EndedSpan[], reason: DropReason, error?: unknown) => void;
}

export interface SpanBuffer {
  add(span: EndedSpan): void;
  /** Sends what there is, within `limitMs`; what is left then is dropped. Nothing is taken any more. */
  close(limitMs: number): Promise<void>;
}

export function createSpanBuffer({ send, clock, onExported, onDropped }: SpanBufferOptions): SpanBuffer {
  let waiting: EndedSpan[] = [];
  let underWay: readonly EndedSpan[] = [];
  let sending: Promise<void> | undefined;
  let cancelTimer: (() => void) | undefined;
  let closed = false;

  async function sendBatch(): Promise<void> {
    const batch = waiting.splice(0, BATCH_SPANS);
    underWay = batch;
    try {
      await within(clock, EXPORT_LIMIT_MS + EXPORT_SLACK_MS, 'sending spans', () => send(batch));
      if (underWay === batch) onExported(batch);
    } catch (error) {
      if (underWay === batch) onDropped(batch, 'export_failed', error);
    }
    if (underWay === batch) underWay = [];
  }

  /** Sends batch after batch, as long as they are full or everything is to go. */
  function start(all: boolean): Promise<void> {
    cancelTimer?.();
    cancelTimer = undefined;
    sending ??= (async () => {
      do await sendBatch();
      while (waiting.length >= (all || closed ? 1 : BATCH_SPANS));
    })().finally(() => {
      sending = undefined;
      if (waiting.length > 0 && !closed) setTimer();
    });
    return sending;
  }

  function setTimer(): void {
    if (sending) return;
    cancelTimer ??= clock.after(EXPORT_EVERY_MS, () => void start(false));
  }

  return {
    add(span) {
      if (closed) return onDropped([span], 'stopped');
      if (waiting.length + underWay.length >= BUFFER_LIMIT) return onDropped([span], 'buffer_full');
      waiting.push(span);
      if (waiting.length >= BATCH_SPANS) void start(false);
      else setTimer();
    },
    async close(limitMs) {
      closed = true;
      cancelTimer?.();
      const rest = async () => {
        await sending;
        if (waiting.length > 0) await start(true);
      };
      await within(clock, limitMs, 'sending the last spans', rest).catch((error) => {
        if (!(error instanceof TimeoutError)) throw error;
      });
      const left = [...underWay, ...waiting];
      underWay = [];
      waiting = [];
      if (left.length > 0) onDropped(left, 'stopped');
    },
  };
}
