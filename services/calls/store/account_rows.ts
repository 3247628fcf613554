/** Accounts as statements take and give them. */

/** A period of time in which an account stands below one parent. */
export interface ParentPeriod {
  /** Its code; null: below nobody. */
  readonly parent: string | null;
  /** RFC 3339; null: since ever. */
  readonly from: string | null;
  /** Not included; null: for good. */
  readonly to: string | null;
}

export interface AccountRow {
  readonly i_account: number;
  readonly code: string;
  readonly name: string;
  readonly currency: string;
  readonly time_zone: string;
  readonly country: string | null;
  /** Code of the customer that it belongs to now. */
  readonly parent: string | null;
  /** Below whom it stood and stands, in order of time; none: it was never moved. */
  readonly parents: readonly ParentPeriod[];
  readonly created_at: string;
  /** From when on it is closed; null: open. */
  readonly closed_from: string | null;
  /** What it was called before; rows that name it so are its rows. */
  readonly former_codes: readonly string[];
}

export interface NewAccount {
  readonly code: string;
  readonly name: string;
  readonly currency: string;
  readonly timeZone: string;
  readonly country: string | null;
  readonly iParent: number | null;
}

/** What is left out stays as it is. */
export interface AccountEdit {
  readonly name?: string | undefined;
  readonly currency?: string | undefined;
  readonly timeZone?: string | undefined;
  readonly country?: string | null | undefined;
  /** Code of the customer; null takes it out from under one. */
  readonly parent?: string | null | undefined;
}

/** What taking rows in needs of an account. */
export interface Account {
  readonly i_account: number;
  readonly code: string;
  readonly currency: string;
  readonly country: string | null;
  /** RFC 3339; null: open. */
  readonly closed_from: string | null;
}
