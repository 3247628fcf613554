/** Figures in Prometheus' form, from any source, and their history of some minutes. */

export type Labels = Readonly<Record<string, string>>;

/** One figure. NaN: the source answered, but does not know it. */
export interface Sample {
  readonly name: string;
  readonly labels: Labels;
  readonly value: number;
}

export const sample = (name: string, labels: Labels, value: number): Sample => ({ name, labels, value });

/** A point of a series: when it was read (steady milliseconds) and its value. */
type Point = readonly [at: number, value: number];

export interface Series {
  readonly labels: Labels;
  readonly points: Point[];
}

/** Series by metric; those of the last poll end at `now`. */
export interface History {
  /** The time of the last poll, steady milliseconds. */
  readonly now: number;
  /** Adds the samples of one poll, and removes points and series that are older than the history keeps. */
  add(now: number, samples: readonly Sample[]): void;
  of(metric: string): Iterable<Series>;
}

const keys = new WeakMap<Labels, string>();

/** A text that is equal for equal labels; cached, since the same labels come at every poll. */
export function labelKey(labels: Labels): string {
  const known = keys.get(labels);
  if (known !== undefined) return known;
  const key = Object.keys(labels)
    .sort()
    .map((name) => `${name}=${labels[name]}`)
    .join(',');
  keys.set(labels, key);
  return key;
}

/**
 * @param keepMs the longest window of rates
 * @param longer metrics that are kept for longer, in milliseconds
 */
export function createHistory(keepMs: number, longer: ReadonlyMap<string, number> = new Map()): History {
  const metrics = new Map<string, Map<string, Series>>();
  let latest = 0;

  function forget(): void {
    for (const [metric, series] of metrics) {
      const from = latest - (longer.get(metric) ?? keepMs);
      for (const [key, { points }] of series) {
        const kept = points.findIndex(([at]) => at >= from);
        if (kept < 0) series.delete(key);
        else points.splice(0, kept);
      }
    }
  }

  return {
    get now() {
      return latest;
    },
    add: (now, samples) => {
      latest = now;
      for (const { name, labels, value } of samples) {
        const series = metrics.get(name) ?? new Map<string, Series>();
        metrics.set(name, series);
        const key = labelKey(labels);
        const known = series.get(key);
        if (known) known.points.push([now, value]);
        else series.set(key, { labels, points: [[now, value]] });
      }
      forget();
    },
    of: (metric) => metrics.get(metric)?.values() ?? [],
  };
}
