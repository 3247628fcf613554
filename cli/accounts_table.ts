/** How commands show accounts. */
import type { AccountRow } from '#services/calls/store/account_rows.ts';
import { note, print, printJson, table } from './print.ts';

/** An account as the commands that make or change one show it. */
export function showAccount(account: AccountRow, json?: true): void {
  if (json) {
    printJson(account);
    return;
  }
  print(accountsTable([account]));
  if (account.former_codes.length > 0) note(`called before: ${account.former_codes.join(', ')}`);
}

export const accountsTable = (accounts: readonly AccountRow[]): string =>
  table(
    ['i_account', 'code', 'name', 'currency', 'time_zone', 'country', 'parent', 'closed_from'],
    accounts.map((a) => [
      ...[a.i_account, a.code, a.name, a.currency, a.time_zone, a.country, a.parent],
      a.closed_from,
    ]),
  );
