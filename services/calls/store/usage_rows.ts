/** The periods that statements sum, and the rows of sums that they return. */
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

/** The instant at which Node says that a day of the account's zone begins. */
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

/** A span, and the number of its bucket, from 0. */
export type InBucket<Span> = Span & { readonly bucket: number };

/** The spans to sum for the buckets, for each table, in order of time. */
export interface BucketSpans {
  readonly days: readonly InBucket<DaySpan>[];
  readonly midnights: readonly Midnight[];
  readonly quarters: readonly InBucket<TimeSpan>[];
  readonly calls: readonly InBucket<TimeSpan>[];
}

/** The sums of one bucket, or of one group within the bucket. */
export interface UsageSums {
  readonly calls: number;
  readonly answered: number;
  readonly seconds: number;
  readonly billed_seconds: number;
  /** Only in sums of calls that are joined from their legs. */
  readonly missed?: number;
  readonly talk_seconds?: number;
  /** By currency, for currencies with a rated call. Amounts are decimal strings. */
  readonly cost: readonly { readonly currency: string; readonly amount: string }[];
}

/** A row of the database. `bucket` null: the sums of all buckets. */
export interface UsageRow extends UsageSums {
  readonly bucket: number | null;
  /** The value of the group, if usage is grouped by it; '' is an unknown country. */
  readonly i_account?: number | null;
  readonly direction?: string | null;
  readonly country?: string | null;
  readonly currency?: string | null;
}
