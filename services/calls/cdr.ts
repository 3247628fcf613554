/**
 * What a call detail record (CDR) is, from a source's row to the stored record.
 *
 *   source row ──format──▶ SourceRecord ──settle──▶ Cdr ──store──▶ calls.cdrs
 *        └────────────────── Rejection, at any step: kept in calls.rejected_cdrs with its bytes
 *
 * CLI: calling line identification, the caller's number. CLD: the called number. Leg: one of several records of a call.
 */

export const DIRECTIONS = ['outbound', 'inbound', 'internal', 'unknown'] as const;
/** Seen from the account: outbound leaves to the network, inbound comes from it, internal stays between extensions. */
export type Direction = (typeof DIRECTIONS)[number];

export const CALL_RESULTS = ['answered', 'no_answer', 'busy', 'cancelled', 'failed'] as const;
/** How a call ended. `failed` is an error on the way (congestion, unallocated number, rejected …), as Sippy's `errors`. */
export type CallResult = (typeof CALL_RESULTS)[number];

/** Odd but real things that do not keep a record out. Stored with it. */
export const CDR_FLAGS = [
  /** billed longer than the call lasted */
  'billed_longer_than_duration',
  /** the wall-clock stamp falls in a repeated hour and nothing told which one; the first was taken */
  'ambiguous_time',
  /** the wall-clock stamp falls in a skipped hour; it was read with the offset before the gap */
  'nonexistent_time',
  /** the stamps contradict each other (answered before started, ended before answered) */
  'times_out_of_order',
  /** starts more than a day after it was taken in */
  'in_the_future',
] as const;
export type CdrFlag = (typeof CDR_FLAGS)[number];

/** A record as its source tells it: fields named and typed, account and numbers not yet settled. */
export interface SourceRecord {
  /** What the switch calls the account; '' where the row names none. */
  readonly accountCode: string;
  /** The switch's unique id of the call; '' where the source has none. Several legs may share it. */
  readonly callId: string;
  /**
   * Text that is the same whenever the same record comes again, from whatever file, and differs between legs. Hashed
   * into `source_key`. Made of the row's own values as written, never of resolved times (a second import with another
   * time zone must find the first).
   */
  readonly identity: string;
  /** As dialled or presented; '' for an anonymous caller. */
  readonly cli: string;
  readonly cld: string;
  /** null: to be told from the two numbers. */
  readonly direction: Direction | null;
  /** Milliseconds since 1970, with the fraction the source gave. */
  readonly startTime: number;
  readonly connectTime: number | null;
  readonly disconnectTime: number | null;
  /** Whole call, ringing included, in seconds; fractions kept. */
  readonly durationS: number;
  /** What is charged, in seconds. */
  readonly billedDurationS: number;
  readonly result: CallResult;
  /** The source's own word or number for how it ended: NO ANSWER, USER_BUSY, 16 … */
  readonly disconnectCause: string | null;
  /** ISO 3166-1 alpha-2, where the source gives it. */
  readonly country: string | null;
  readonly description: string | null;
  /** Decimal string. */
  readonly cost: string | null;
  /** ISO 4217; null: the account's. */
  readonly currency: string | null;
  readonly remoteIp: string | null;
  readonly userAgent: string | null;
  readonly flags: readonly CdrFlag[];
  /** What else the source gave, by the source's names; blanks left out. */
  readonly attributes: Readonly<Record<string, string>>;
}

/** Why a row was set aside. `field` is the source's name of the field at fault. */
export interface Rejection {
  readonly code: RejectionCode;
  /** A sentence that names what is wrong and what would be right. */
  readonly reason: string;
  readonly field?: string;
}

export const REJECTION_CODES = [
  'unreadable_row',
  'unterminated_quote',
  'wrong_column_count',
  'missing_field',
  'bad_time',
  'bad_number',
  'bad_value',
  'no_account',
  'unknown_account',
  'too_large',
] as const;
export type RejectionCode = (typeof REJECTION_CODES)[number];

/** What became of one row. A value, not an exception: a bad row is an everyday thing. */
export type Parsed =
  | { readonly kind: 'record'; readonly record: SourceRecord }
  | { readonly kind: 'rejected'; readonly rejection: Rejection }
  /** a header, a row of types, a blank line: nothing to store and nothing to report */
  | { readonly kind: 'skipped' };

/** One record's bytes within its source, before any meaning is given to them. */
export interface RawRow {
  /** 1 for the first line. Of a record over several lines, its first. */
  readonly line: number;
  /** Exactly as in the source, without the line end. */
  readonly bytes: Buffer;
}
