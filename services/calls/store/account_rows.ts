/** Accounts as statements take and give them. */

export interface AccountRow {
  readonly i_account: number;
  readonly code: string;
  readonly name: string;
  readonly currency: string;
  readonly time_zone: string;
  readonly country: string | null;
  /** Code of the customer that it belongs to. */
  readonly parent: string | null;
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
