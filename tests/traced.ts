/** Traces of a test's own process, received by a strict receiver. */
import { after } from 'node:test';
import { type Clock, systemClock } from '#platform/lifecycle/clock.ts';
import { startTracing, type TracingOptions } from '#platform/telemetry/tracing/tracing.ts';
import { type OtlpReceiver, otlpReceiver } from './otlp_receiver.ts';

export interface TracedProcess {
  readonly receiver: OtlpReceiver;
  /** Sends what there is, and ends it. */
  stop(): Promise<void>;
}

/** Batches of spans that are not full wait so long (span_buffer.ts); a test does not. */
const EXPORT_EVERY_MS = 5_000;
const impatientClock: Clock = {
  ...systemClock,
  after: (ms, run, keepsAlive) => systemClock.after(ms === EXPORT_EVERY_MS ? 20 : ms, run, keepsAlive),
};

/** Records every trace of this process until the file's last test, unless told otherwise. */
export async function traceThisProcess(options: Partial<TracingOptions> = {}): Promise<TracedProcess> {
  const receiver = await otlpReceiver();
  const stop = await startTracing({
    ...{ url: receiver.url, headers: {}, ratio: 1, believes: () => false, version: '1' },
    ...{ clock: impatientClock, random: Math.random, onReceiver: () => undefined },
    ...options,
  });
  after(stop);
  return { receiver, stop };
}
