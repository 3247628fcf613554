/**
 * How long work takes lately. The queue uses it to tell whether a deadline can still be met.
 *
 * The estimate is the median of the last samples: one slow report among many quick look-ups must not make short
 * deadlines look hopeless, as a mean would; and where half of the work takes longer than a request has left, it is
 * more likely than not that its answer would come too late.
 */

export const SERVICE_TIME_SAMPLES = 31;
/** With fewer samples than this there is no estimate, and only deadlines that have passed count as missed. */
export const SERVICE_TIME_MIN_SAMPLES = 5;

export interface ServiceTimes {
  /** Adds a sample, milliseconds. */
  add(ms: number): void;
  /** Milliseconds; 0 while there are too few samples to say. */
  readonly estimateMs: number;
  clear(): void;
}

export function createServiceTimes(): ServiceTimes {
  const byAge: number[] = [];
  const bySize: number[] = [];
  let oldest = 0;
  return {
    add(ms) {
      if (byAge.length < SERVICE_TIME_SAMPLES) {
        byAge.push(ms);
      } else {
        bySize.splice(bySize.indexOf(byAge[oldest]!), 1);
        byAge[oldest] = ms;
        oldest = (oldest + 1) % SERVICE_TIME_SAMPLES;
      }
      const larger = bySize.findIndex((sample) => sample > ms);
      if (larger === -1) bySize.push(ms);
      else bySize.splice(larger, 0, ms);
    },
    get estimateMs() {
      return bySize.length < SERVICE_TIME_MIN_SAMPLES ? 0 : bySize[bySize.length >> 1]!;
    },
    clear() {
      byAge.length = 0;
      bySize.length = 0;
      oldest = 0;
    },
  };
}
