/** The rows of accounts that statements take and return. */

/** A period in which an account has one parent. */
export interface ParentPeriod {
  /** The parent's code; null: no parent. */
  readonly parent: string | null;
  /** RFC 3339; null: no beginning. */
  readonly from: string | null;
  /** The end, not included; null: no end. */
  readonly to: string | null;
}

export interface AccountRow {
  readonly i_account: number;
  readonly code: string;
  readonly name: string;
  readonly currency: string;
  readonly time_zone: string;
  readonly country: string | null;
  /** Code of the present parent customer. */
  readonly parent: string | null;
  /** The parents in order of time; empty: the account was never moved. */
  readonly parents: readonly ParentPeriod[];
  readonly created_at: string;
  /** The instant of closing; null: open. */
  readonly closed_from: string | null;
  /** Former codes. A row that names one of them belongs to the account. */
  readonly former_codes: readonly string[];
}

/** What other services are told of it. */
export type ToldAccount = Pick<
  AccountRow,
  'i_account' | 'code' | 'currency' | 'time_zone' | 'country' | 'closed_from'
>;

export interface NewAccount {
  readonly code: string;
  readonly name: string;
  readonly currency: string;
  readonly timeZone: string;
  readonly country: string | null;
  readonly iParent: number | null;
}

/** A change of an account. A field that is left out keeps its value. */
export interface AccountEdit {
  readonly name?: string | undefined;
  readonly currency?: string | undefined;
  readonly timeZone?: string | undefined;
  readonly country?: string | null | undefined;
  /** Code of the parent customer; null: no parent. */
  readonly parent?: string | null | undefined;
}

/** The part of an account that an import needs. */
export interface Account {
  readonly i_account: number;
  readonly code: string;
  readonly currency: string;
  readonly country: string | null;
  /** RFC 3339; null: open. */
  readonly closed_from: string | null;
}
