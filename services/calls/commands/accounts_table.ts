/** How commands show accounts. */
import { note, print, printJson, table } from '#platform/terminal/print.ts';
import type { AccountRow, ParentPeriod } from '../store/account_rows.ts';

/** An account as the commands that make or change one show it. */
export function showAccount(account: AccountRow, json?: true): void {
  if (json) {
    printJson(account);
    return;
  }
  print(accountsTable([account]));
  for (const period of account.parents) note(periodText(period));
  if (account.former_codes.length > 0) note(`called before: ${account.former_codes.join(', ')}`);
}

/** `below acme until 2026-10-31T23:00:00Z` */
function periodText({ parent, from, to }: ParentPeriod): string {
  const since = from === null ? '' : ` from ${from}`;
  return `${parentText(parent)}${since}${to === null ? (from === null ? '' : ' on') : ` until ${to}`}`;
}

/** Where an account stands, in words. */
export const parentText = (parent: string | null): string =>
  parent === null ? 'below nobody' : `below ${parent}`;

export const accountsTable = (accounts: readonly AccountRow[]): string =>
  table(
    ['i_account', 'code', 'name', 'currency', 'time_zone', 'country', 'parent', 'closed_from'],
    accounts.map((a) => [
      ...[a.i_account, a.code, a.name, a.currency, a.time_zone, a.country, a.parent],
      a.closed_from,
    ]),
  );
