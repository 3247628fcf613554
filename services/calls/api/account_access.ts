/** The account of a request, as far as its caller may see it. */
import type { Session } from '#platform/database/session.ts';
import { callsError } from '../errors.ts';
import { type VisibleAccount, visibleAccount } from '../store/accounts.ts';
import { boundOf, type Caller } from './caller.ts';

/** @throws noAccount */
export async function findAccount(
  session: Session,
  iAccount: number,
  caller: Caller,
): Promise<VisibleAccount> {
  const account = await session.row(visibleAccount(iAccount, boundOf(caller)));
  if (!account) throw noAccount(iAccount);
  return account;
}

/** The same for an account of somebody else and one that does not exist. */
export const noAccount = (iAccount: number) =>
  callsError('not_found', { message: `There is no account ${iAccount}` });
