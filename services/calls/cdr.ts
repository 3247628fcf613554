/**
 * A call detail record (CDR), from a source's row to the stored record.
 *
 *   source row ──format──▶ SourceRecord ──normalize──▶ Cdr ──store──▶ calls.cdrs
 *        └────────────────── Rejection, at any step: kept in calls.rejected_cdrs with its bytes
 *
 * CLI: calling line identification, the caller's number. CLD: the called number. Leg: one of several records of a call.
 */
import type { CallResult, CdrFlag, Direction, PlainTexts } from './call_fields.ts';

/** The meaning of a word or cause. `cleared`: the normal end of a call (Q.850's 16), which says nothing of an answer. */
export type ToldResult = CallResult | 'cleared';

/** A record as its source gives it: fields named and typed, account and numbers not yet normalized. */
export interface SourceRecord extends PlainTexts {
  /** The row's name for the account, as written; '' where it names none. intake/account_cache.ts finds the account. */
  readonly accountCode: string;
  /** The switch's unique id of the call; '' where the source has none. Several legs may share it. */
  readonly callId: string;
  /**
   * The record's key in versions before this one, so that calls which they stored are recognised. It must stay as it
   * is. A format that they could not read has ''. Like the two below it is made of the row's own values as written,
   * never of resolved times: with another time zone or mapping the same row has the same texts.
   */
  readonly identity: string;
  /**
   * All values of the row beside `identity`. If both are the same, the row is the same as before, and its values need
   * no comparison.
   */
  readonly alsoSays: string;
  /**
   * All values of the row, normalized (formats/normal_values.ts): the key of a row that has no call id, or that perhaps
   * has none only in this reading. '' where the call id is certain.
   */
  readonly wholeRow: string;
  /** `wholeRow` is a name that the source gave the record, and not all its values. */
  readonly wholeRowIsName?: true;
  /**
   * The source's own field for the call of which the record is a leg. Left out where the source has none. Variables in
   * which switches give the call are read from the attributes (intake/linkage.ts).
   */
  readonly linkedId?: string;
  /** As dialled or presented; '' for an anonymous caller. */
  readonly cli: string;
  readonly cld: string;
  /** Null: the two numbers decide. */
  readonly direction: Direction | null;
  /** Milliseconds since 1970, with the fraction the source gave. */
  readonly startTime: number;
  /** Null: unknown, as for an unanswered call. */
  readonly connectTime: number | null;
  readonly disconnectTime: number | null;
  /** Whole call, ringing included, in seconds; fractions kept. */
  readonly durationS: number;
  /** The source does not give the duration; it was taken from the times. */
  readonly durationInferred?: true;
  /** The charged time in seconds. Null: unknown, a blank field included. Not inferred here: see outcome.ts. */
  readonly billedDurationS: number | null;
  /** The source's word for the result, as written: NO ANSWER, busy … Null: none. */
  readonly resultWord: string | null;
  /** The meaning of that word. Null: there is no word, or an unknown one. */
  readonly result: ToldResult | null;
  /** The source's cause for the end, as written: USER_BUSY, 16 … Null: there is none, or only the word. */
  readonly disconnectCause: string | null;
  /** The result that the cause gives for an unanswered call. Null: unknown. */
  readonly causeResult: ToldResult | null;
  /** False: the source has no field that could show whether a call was answered. */
  readonly tellsAnswers: boolean;
  /** ISO 3166-1 alpha-2, where the source gives it. */
  readonly country: string | null;
  /** Decimal string. */
  readonly cost: string | null;
  /** ISO 4217. Null: the account's. */
  readonly currency: string | null;
  /** The possible currencies of a sign beside the cost ($), where no currency is given: the account's must be among them. */
  readonly costCurrencies?: readonly string[];
  readonly flags: readonly CdrFlag[];
  /** The source's other values, by the source's names, without blanks. */
  readonly attributes: Readonly<Record<string, string>>;
}

/** Why a row was rejected. `field` is the source's name of the field at fault. */
export interface Rejection {
  readonly code: RejectionCode;
  /** A sentence that says what is wrong and what would be right. */
  readonly reason: string;
  readonly field?: string;
  /** For a row that contradicts a stored call: that call, and where the two differ. */
  readonly conflict?: Conflict;
}

export interface Conflict {
  readonly i_cdr: number;
  readonly differences: readonly Difference[];
}

/** A value that differs between two reports of a call, as people read it. */
export interface Difference {
  readonly field: string;
  readonly stored: string;
  readonly told: string;
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
  /** its account was erased; nothing of the row is kept */
  'erased_account',
  'too_large',
  /** it contradicts a stored call */
  'conflict',
] as const;
export type RejectionCode = (typeof REJECTION_CODES)[number];

/** The outcome of one row. A value, not an exception: a bad row is nothing unusual. */
export type Parsed =
  | { readonly kind: 'record'; readonly record: SourceRecord }
  | { readonly kind: 'rejected'; readonly rejection: Rejection }
  /** a header, a row of types, a blank line: nothing to store and nothing to report */
  | { readonly kind: 'skipped' };

/** One record's bytes within its source, before they are parsed. */
export interface RawRow {
  /** 1 for the first line. Of a record over several lines, its first. */
  readonly line: number;
  /** Exactly as in the source, without the line end. */
  readonly bytes: Buffer;
  /** Where the bytes begin in the source, unpacked: the number of bytes before them. 0 for a row without a source. */
  readonly offset: number;
  /**
   * False for a row that was given only because its source ended: appended bytes may change the row, or join it with
   * rows given beside it.
   */
  readonly ended: boolean;
  /** True where `bytes` are only the first of more: such a row is never parsed again. */
  readonly cut?: boolean;
}
