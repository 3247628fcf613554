/** Reads a service's readiness and figures. */
import { askOutside } from '#platform/http/outside.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { within } from '#platform/lifecycle/within.ts';
import { splitCredentials } from './credentials.ts';
import type { Sample } from './samples.ts';

/** Time limit of each of the two answers. */
export const SERVICE_TIMEOUT_MS = 3_000;

/** Figures of a service; those of the calls service take some 100 kB. */
const FIGURES_LIMIT_BYTES = 8 * 1024 * 1024;

export interface ServiceSource {
  readonly name: string;
  /** Such as http://127.0.0.1:3006 */
  readonly url: string;
}

/** Parses the figures of the rules from a service's /metrics. */
export type MetricsParser = (text: string) => Sample[];

export interface ServiceReading {
  readonly source: ServiceSource;
  /** Whether it answered at all. */
  readonly up: boolean;
  readonly ready: boolean;
  readonly samples: readonly Sample[];
  readonly fault: string;
}

/** Never rejects. */
export async function readService(
  source: ServiceSource,
  parse: MetricsParser,
  clock: Clock,
): Promise<ServiceReading> {
  const get = (path: string) =>
    within(clock, SERVICE_TIMEOUT_MS, `GET ${path}`, async (signal) => {
      const { url, headers } = splitCredentials(source.url);
      const address = new URL(path, url);
      return askOutside(address, { headers, signal, limitBytes: FIGURES_LIMIT_BYTES, longer: 'refuse' });
    });
  const [ready, metrics] = await Promise.allSettled([get('/health/ready'), get('/metrics')]);
  const faults = [ready, metrics].flatMap((answer) =>
    answer.status === 'rejected' ? [wordsOf(answer.reason)] : [],
  );
  const readable = metrics.status === 'fulfilled' && metrics.value.ok;
  if (metrics.status === 'fulfilled' && !readable) faults.push(`/metrics answers ${metrics.value.status}`);
  if (ready.status === 'fulfilled' && !ready.value.ok) {
    faults.push(`/health/ready answers ${ready.value.status}`);
  }
  return {
    source,
    up: readable,
    ready: ready.status === 'fulfilled' && ready.value.ok,
    samples: readable ? parse(metrics.value.text) : [],
    fault: faults.join('; '),
  };
}

const wordsOf = (error: Error): string =>
  error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
