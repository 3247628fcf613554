/** Tells other services of an account, in the transaction of its change. */
import type { Session } from '#platform/database/session.ts';
import { publish } from '#platform/messaging/publish.ts';
import { message } from '#platform/messaging/topic.ts';
import type { accountChanged, accountCreated } from '../contract.ts';
import type { ToldAccount } from './account_rows.ts';

/** @param accounts as they are after what has happened */
export async function tellAccounts(
  session: Session,
  what: typeof accountCreated | typeof accountChanged,
  accounts: readonly ToldAccount[],
): Promise<void> {
  const messages = accounts.map(({ i_account, code, currency, time_zone, country, closed_from }) =>
    message(what, { i_account, code, currency, time_zone, country, closed_from }, { key: String(i_account) }),
  );
  await publish(session, messages);
}
