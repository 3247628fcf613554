/** The account of a request, as far as its caller may see it. */
import type { Session } from '#platform/database/session.ts';
import { callsError } from '../errors.ts';
import { type VisibleAccount, visibleAccount } from '../store/accounts.ts';
import { boundOf, type Caller } from './caller.ts';

/** @throws ApiError 404, the same for an account of somebody else and one that does not exist */
export async function findAccount(
  session: Session,
  iAccount: number,
  caller: Caller,
): Promise<VisibleAccount> {
  const account = await session.row(visibleAccount(iAccount, boundOf(caller)));
  if (!account) throw callsError('not_found', { message: `There is no account ${iAccount}` });
  return account;
}
