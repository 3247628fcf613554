/**
 * What a call detail record (CDR) is, from a source's row to the stored record.
 *
 *   source row ──format──▶ SourceRecord ──settle──▶ Cdr ──store──▶ calls.cdrs
 *        └────────────────── Rejection, at any step: kept in calls.rejected_cdrs with its bytes
 *
 * CLI: calling line identification, the caller's number. CLD: the called number. Leg: one of several records of a call.
 */
import type { CallResult, CdrFlag, Direction, PlainTexts } from './call_fields.ts';

/** What a word or cause tells. `cleared`: the normal end of a call (Q.850's 16), which says nothing of an answer. */
export type ToldResult = CallResult | 'cleared';

/** A record as its source tells it: fields named and typed, account and numbers not yet settled. */
export interface SourceRecord extends PlainTexts {
  /** What the row calls the account, as written; '' where it names none. Whose it is: intake/account_book.ts. */
  readonly accountCode: string;
  /** The switch's unique id of the call; '' where the source has none. Several legs may share it. */
  readonly callId: string;
  /**
   * What versions before this one knew the record by, so that calls which they stored are recognised; it must stay as it
   * is. A format that they could not read has ''. Like the two below it is made of the row's own values as written,
   * never of resolved times: with another time zone or mapping the same row has the same texts.
   */
  readonly identity: string;
  /**
   * All that the row says beside `identity`. Where both are the same the row says the same as before, and nobody needs
   * to compare its values.
   */
  readonly alsoSays: string;
  /**
   * All that the row says, whatever the writing (formats/normal_values.ts): what a row is known by that bears no call
   * id, or perhaps only in this reading bears none. '' where the call id is sure.
   */
  readonly wholeRow: string;
  /** `wholeRow` is a name that the source gave the record, and not all that it says. */
  readonly wholeRowIsName?: true;
  /**
   * What the source says of which call the record is a leg, in a field of its own; left out where it has none. What
   * switches tell in variables of theirs is read from the attributes (intake/linkage.ts).
   */
  readonly linkedId?: string;
  /** As dialled or presented; '' for an anonymous caller. */
  readonly cli: string;
  readonly cld: string;
  /** null: to be told from the two numbers. */
  readonly direction: Direction | null;
  /** Milliseconds since 1970, with the fraction the source gave. */
  readonly startTime: number;
  /** null: not told, as for a call that nobody answered. */
  readonly connectTime: number | null;
  readonly disconnectTime: number | null;
  /** Whole call, ringing included, in seconds; fractions kept. */
  readonly durationS: number;
  /** The source does not tell the duration; it was taken from the times. */
  readonly durationInferred?: true;
  /** What is charged, in seconds; null: not told, a blank field included. Not inferred here: see outcome.ts. */
  readonly billedDurationS: number | null;
  /** The source's word for the result, as written: NO ANSWER, busy … null: none. */
  readonly resultWord: string | null;
  /** What that word means; null: there is none, or none that is known. */
  readonly result: ToldResult | null;
  /** The source's cause for the end, as written: USER_BUSY, 16 … null: none, or its word is all there is. */
  readonly disconnectCause: string | null;
  /** How a call with that cause ended, if it was not answered; null: not told. */
  readonly causeResult: ToldResult | null;
  /** false: the source has no field that could tell of a call that it was answered or was not. */
  readonly tellsAnswers: boolean;
  /** ISO 3166-1 alpha-2, where the source gives it. */
  readonly country: string | null;
  /** Decimal string. */
  readonly cost: string | null;
  /** ISO 4217; null: the account's. */
  readonly currency: string | null;
  /** What a sign beside the cost may mean ($), where no currency is told: the account's must be among them. */
  readonly costCurrencies?: readonly string[];
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
  /** Of a row that contradicts a stored call: that call, and where the two differ. */
  readonly conflict?: Conflict;
}

export interface Conflict {
  readonly i_cdr: number;
  readonly differences: readonly Difference[];
}

/** A value that two tellings of a call tell differently, as people read it. */
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
  /** its account was erased; of the row nothing is kept */
  'erased_account',
  'too_large',
  /** it contradicts a call that is stored */
  'conflict',
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
  /** Where they begin in the source, unpacked: how many bytes stand before them. Of a row without a source, 0. */
  readonly offset: number;
  /**
   * False for a row that was given only because its source ended: what is appended to the source may make another row
   * of it, or join it with rows given beside it.
   */
  readonly ended: boolean;
  /** True where `bytes` are only the first of more: such a row is never read again. */
  readonly cut?: boolean;
}
