/**
 * How long work takes lately. The queue uses it to tell whether a deadline can still be met.
 *
 * The estimate is the 90th percentile of the last samples and half as much again. In an overloaded queue that serves the
 * oldest first, every request that is begun has hardly more time left than the estimate: by the median half of them
 * would end too late, and a quarter of the database's work would be for nobody (bench/queue_order.ts). One slow report
 * among many quick look-ups must not make short deadlines look too short, though, as a mean or the longest would.
 */

export const SERVICE_TIME_SAMPLES = 31;
export const SERVICE_TIME_SHARE = 0.9;
export const SERVICE_TIME_MARGIN = 1.5;
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
      if (bySize.length < SERVICE_TIME_MIN_SAMPLES) return 0;
      return bySize[Math.floor(bySize.length * SERVICE_TIME_SHARE)]! * SERVICE_TIME_MARGIN;
    },
    clear() {
      byAge.length = 0;
      bySize.length = 0;
      oldest = 0;
    },
  };
}
