/** The accounts of a request that are visible to its caller. */

import type { Caller } from '#platform/access/caller.ts';
import type { Session } from '#platform/database/session.ts';
import type { Statement } from '#platform/database/statement.ts';
import type { SeenPeriod } from '../../call_filter.ts';
import { callsError } from '../../errors.ts';
import {
  everyAccount,
  type TreeAccount,
  type VisibleAccount,
  visibleAccount,
  visibleTree,
} from '../../store/accounts.ts';
import type { SeenAccounts } from '../../store/usage.ts';
import type { Range } from '../../usage/usage_cover.ts';
import { visibleRootOf } from '../../visibility.ts';

/** The accounts of a request. */
export interface AccountsAsked {
  /** Null: all accounts, for a caller that may see them. */
  readonly iAccount: number | null;
  /** With all accounts below it. */
  readonly children: boolean;
}

export interface FoundAccounts {
  /** The requested account, whose zone and country count. */
  readonly account: VisibleAccount;
  /** It and all below it, if requested. Undefined: it alone. */
  readonly tree?: readonly TreeAccount[];
}

/** The statement that finds the requested account. */
export const accountAsked = (iAccount: number | null, caller: Caller): Statement<VisibleAccount> =>
  iAccount === null ? everyAccount() : visibleAccount(iAccount, visibleRootOf(caller));

/** @throws noAccount */
export async function findVisibleAccounts(
  session: Session,
  { iAccount, children }: AccountsAsked,
  caller: Caller,
): Promise<FoundAccounts> {
  if (!children || iAccount === null) {
    const account = await session.row(accountAsked(iAccount, caller));
    if (!account) throw noAccount(iAccount);
    return { account };
  }
  const tree = await session.rows(visibleTree(iAccount, visibleRootOf(caller)));
  const account = tree.find((one) => one.i_account === iAccount);
  if (!account) throw noAccount(iAccount);
  return { account, tree };
}

const ALL_TIME: SeenPeriod = { from: null, to: null };

/** Accounts in groups of one zone for their days, and of one time of visibility. */
export function seenByZone({ account, tree }: FoundAccounts, iAccount: number): SeenAccounts[] {
  const accounts = tree ?? [{ ...account, i_account: iAccount }];
  const each = accounts.flatMap(({ i_account, time_zone, seen }) =>
    (seen ?? [ALL_TIME]).map((period) => ({ i_account, time_zone, period })),
  );
  return [
    ...Map.groupBy(each, ({ time_zone, period: { from, to } }) => `${time_zone} ${from} ${to}`).values(),
  ].map((alike) => ({
    iAccounts: alike.map(({ i_account }) => i_account),
    timeZone: alike[0]!.time_zone,
    seen: alike[0]!.period,
  }));
}

/** The part of a range within another one. Undefined where they do not overlap. */
export function seenRange({ from, to }: Range, seen: SeenPeriod): Range | undefined {
  const begin = from === null ? seen.from : Math.max(from, seen.from ?? from);
  const end = to === null ? seen.to : Math.min(to, seen.to ?? to);
  return begin !== null && end !== null && begin >= end ? undefined : { from: begin, to: end };
}

/** The same for another customer's account and one that does not exist. */
export const noAccount = (iAccount: number | null) =>
  callsError('not_found', { message: `There is no account ${iAccount}` });
