/** Usage as statements take and give it: the periods of time that are summed, and their sums. */
import type { Micros } from '../time/instants.ts';

/** from ≤ day < to, YYYY-MM-DD or PostgreSQL's -infinity and infinity. */
export interface DaySpan {
  readonly from: string;
  readonly to: string;
}

/** from ≤ time < to */
export interface TimeSpan {
  readonly from: Micros;
  readonly to: Micros;
}

/** The instant at which a day of the account's zone is taken to begin. */
export interface Midnight {
  readonly at: Micros;
  readonly day: string;
}

export interface Cover {
  readonly days: DaySpan | null;
  readonly midnights: readonly Midnight[];
  /** In order of time, as are `calls`. */
  readonly quarters: readonly TimeSpan[];
  readonly calls: readonly TimeSpan[];
}

/** A span and the number of the bucket that it belongs to, from 0. */
export type InBucket<Span> = Span & { readonly bucket: number };

/** What has to be summed for the buckets, of each table, in order of time. */
export interface BucketSpans {
  readonly days: readonly InBucket<DaySpan>[];
  readonly midnights: readonly Midnight[];
  readonly quarters: readonly InBucket<TimeSpan>[];
  readonly calls: readonly InBucket<TimeSpan>[];
}

/** Sums of one bucket, or of one group within it. */
export interface UsageSums {
  readonly calls: number;
  readonly answered: number;
  readonly seconds: number;
  readonly billed_seconds: number;
  /** Of calls with all their legs alone. */
  readonly missed?: number;
  readonly talk_seconds?: number;
  /** By currency; only those in which something was rated. Amounts are decimal strings. */
  readonly cost: readonly { readonly currency: string; readonly amount: string }[];
}

/** As the database gives it: `bucket` null holds the sums of all. */
export interface UsageRow extends UsageSums {
  readonly bucket: number | null;
  /** Of the group, where usage is grouped by it; '' is a country that is not known. */
  readonly i_account?: number | null;
  readonly direction?: string | null;
  readonly country?: string | null;
  readonly currency?: string | null;
}
