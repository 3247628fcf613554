/** Which calls a caller asks for. */
import type { Direction } from './call_fields.ts';
import type { CallType } from './contract.ts';
import type { NumberSearch } from './number_pattern.ts';
import type { Micros } from './time/instants.ts';

/** A half-open range of time. Null: open on that side. */
export interface SeenPeriod {
  readonly from: Micros | null;
  readonly to: Micros | null;
}

/** Accounts of one country, and the numbers to look for in them. */
export interface FilterPart extends NumberSearches {
  readonly iAccounts: readonly number[];
  /** The times at which each is visible; an account may be listed several times. Undefined: all are always visible. */
  readonly seen?: readonly SeenPeriod[] | undefined;
}

export interface NumberSearches {
  readonly cli?: NumberSearch | undefined;
  readonly cld?: NumberSearch | undefined;
  /** Either of the two matches. */
  readonly number?: NumberSearch | undefined;
}

/** Instants are RFC 3339 in UTC. An undefined field does not narrow the list. */
export interface CallFilter extends NumberSearches {
  /** Null: all accounts. Only an id finds calls without a full scan, so such a filter has one. */
  readonly iAccount: number | null;
  /** These accounts instead. In parts, since the search for a number depends on the account's country. */
  readonly among?: readonly FilterPart[] | undefined;
  readonly type: CallType;
  /** When the account is visible, if in several ranges. */
  readonly seen?: readonly SeenPeriod[] | undefined;
  /** start_time, half open: from ≤ start_time < to */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly callId?: string | undefined;
  /** Of the legs of one call. */
  readonly linkedId?: string | undefined;
  /** For callers with masked numbers: an id that they don't see finds nothing. */
  readonly numbersHidden?: boolean | undefined;
  readonly direction?: Direction | undefined;
  readonly minDurationS?: number | undefined;
  /** The import that stored them. */
  readonly iImport?: number | undefined;
}

/** Whether all calls of its accounts are visible, at all times. */
export const seesAllTime = ({ seen, among = [] }: CallFilter): boolean =>
  seen === undefined && among.every((part) => part.seen === undefined);

/** Whether the usage tables know the number of matching calls. */
export function isSummed(filter: CallFilter): boolean {
  const { cli, cld, number, callId, linkedId, direction, minDurationS, iImport, among = [] } = filter;
  const parts = among.flatMap((part) => [part.cli, part.cld, part.number]);
  const narrowers = [cli, cld, number, callId, linkedId, direction, minDurationS, iImport, ...parts];
  return narrowers.every((narrower) => narrower === undefined);
}

/** The accounts of the filter. Empty: all accounts. */
export const accountsOf = ({ iAccount, among }: CallFilter): readonly number[] =>
  among ? among.flatMap(({ iAccounts }) => iAccounts) : iAccount === null ? [] : [iAccount];
