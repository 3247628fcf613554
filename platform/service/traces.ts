/** Traces of a whole process, as its settings say. */
import type { Network } from '#platform/config/network.ts';
import { trustOf } from '#platform/http/client_address.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import type { Lifetime } from '#platform/lifecycle/lifetime.ts';
import { version } from '#platform/lifecycle/version.ts';
import { errorText } from '#platform/telemetry/error_text.ts';
import type { Logger } from '#platform/telemetry/logger.ts';
import { startTracing } from '#platform/telemetry/tracing/tracing.ts';

/** By their names in the environment. */
export interface TraceSettings {
  readonly OTEL_EXPORTER_OTLP_ENDPOINT?: string | undefined;
  readonly OTEL_EXPORTER_OTLP_HEADERS?: Readonly<Record<string, string>> | undefined;
  readonly TRACE_RATIO: number;
  readonly TRACEPARENT_FROM: readonly Network[];
}

/** Records traces where a receiver is set, until `lifetime` stops. Services are started after it. */
export async function startTraces(
  settings: TraceSettings,
  logger: Logger,
  lifetime: Lifetime,
): Promise<void> {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_EXPORTER_OTLP_HEADERS: headers = {} } = settings;
  if (url === undefined) return;
  const stop = await startTracing({
    ...{ url, headers, version, clock: systemClock, random: Math.random },
    ratio: settings.TRACE_RATIO,
    believes: trustOf(settings.TRACEPARENT_FROM),
    onReceiver: (state, error) => {
      if (state === 'working') logger.info('the receiver of traces takes them again');
      else logger.warn({ reason: errorText(error) }, 'the receiver does not take traces; they are dropped');
    },
  });
  lifetime.onStop('traces', stop);
}
