/** Which calls are asked for. */
import type { Direction } from './call_fields.ts';
import type { CallType } from './contract.ts';
import type { NumberSearch } from './number_pattern.ts';
import type { Micros } from './time/instants.ts';

/** A stretch of time, half open; null: open on that side. */
export interface SeenStretch {
  readonly from: Micros | null;
  readonly to: Micros | null;
}

/** Accounts of one country, and what is looked for in them. */
export interface FilterPart extends NumberSearches {
  readonly iAccounts: readonly number[];
  /** Of each of them, which may be named several times, when it is seen; undefined: all are always. */
  readonly seen?: readonly SeenStretch[] | undefined;
}

export interface NumberSearches {
  readonly cli?: NumberSearch | undefined;
  readonly cld?: NumberSearch | undefined;
  /** Either of the two is it. */
  readonly number?: NumberSearch | undefined;
}

/** Instants are RFC 3339 in UTC. What is undefined does not narrow the list. */
export interface CallFilter extends NumberSearches {
  /** null: everybody's. Only an id finds calls without reading them all, so such a filter has one. */
  readonly iAccount: number | null;
  /** Of these accounts instead; in parts, since how a number is looked for depends on the account's country. */
  readonly among?: readonly FilterPart[] | undefined;
  readonly type: CallType;
  /** When the account is seen, where that is several stretches. */
  readonly seen?: readonly SeenStretch[] | undefined;
  /** start_time, half open: from ≤ start_time < to */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly callId?: string | undefined;
  /** Of the legs of one call. */
  readonly linkedId?: string | undefined;
  /** For those who see numbers masked: an id that they don't see finds nothing. */
  readonly numbersHidden?: boolean | undefined;
  readonly direction?: Direction | undefined;
  readonly minDurationS?: number | undefined;
  /** The import that stored them. */
  readonly iImport?: number | undefined;
}

/** Whether all calls of its accounts are seen, whenever they were. */
export const seesAllTime = ({ seen, among = [] }: CallFilter): boolean =>
  seen === undefined && among.every((part) => part.seen === undefined);

/** Whether the usage tables know how many calls it matches. */
export function isSummed(filter: CallFilter): boolean {
  const { cli, cld, number, callId, linkedId, direction, minDurationS, iImport, among = [] } = filter;
  const parts = among.flatMap((part) => [part.cli, part.cld, part.number]);
  const narrowers = [cli, cld, number, callId, linkedId, direction, minDurationS, iImport, ...parts];
  return narrowers.every((narrower) => narrower === undefined);
}

/** The accounts whose calls it asks for; none: everybody's. */
export const accountsOf = ({ iAccount, among }: CallFilter): readonly number[] =>
  among ? among.flatMap(({ iAccounts }) => iAccounts) : iAccount === null ? [] : [iAccount];
