/** Accounts as the operator manages them. */
import { type Pool, withTransaction } from '#platform/database/pool.ts';
import type { Session } from '#platform/database/session.ts';
import { isPrintable, printable } from '#platform/telemetry/printable.ts';
import { foldedCode, tidyCode } from '../account_codes.ts';
import { accountChanged, accountCreated } from '../contract.ts';
import { findPseudonyms } from '../pseudonyms/pseudonyms.ts';
import {
  accountAsWritten,
  deleteUsageDays,
  insertAccount,
  rebuildUsageDays,
  updateAccount,
} from '../store/account_edits.ts';
import { tellAccounts } from '../store/account_events.ts';
import { dropFormerCode, renamedFrom } from '../store/account_life.ts';
import { isAbove, lockParents } from '../store/account_parents.ts';
import type { AccountEdit, AccountRow, NewAccount } from '../store/account_rows.ts';
import { type Actor, noteAudit } from '../store/audit.ts';
import { forgetErasure } from '../store/erasures.ts';
import { perhapsAlike } from '../store/intake.ts';
import { lockZones } from '../store/partitions.ts';

/** The longest code that a record may have (formats/posted_record.ts). */
const LONGEST_CODE = 200;

const UNIQUE_VIOLATION = '23505';

/**
 * @param account its code is tidied (account_codes.ts)
 * @param by who creates it, for the audit trail
 * @throws Error when the code is blank, too long, not printable or taken, or the parent does not exist
 */
export async function createAccount(
  pool: Pool,
  account: Omit<NewAccount, 'iParent'>,
  parent: string | null,
  by: Actor,
): Promise<AccountRow> {
  const code = readCode(account.code);
  requirePrintable({ name: account.name });
  return withTransaction(pool, async (session) => {
    const iParent = parent === null ? null : (await accountWithCode(session, parent)).i_account;
    // An account whose code is not tidy already has the calls of the tidied code.
    const there = await session.row(accountAsWritten(code));
    if (there) throw new Error(`there is an account with the code "${there.code}" already`);
    await session.run(dropFormerCode(code));
    // A caller who creates it again wants its rows.
    const pseudonyms = await findPseudonyms(session);
    if (pseudonyms) await session.run(forgetErasure('code', pseudonyms.ofCode(code)));
    try {
      await session.row(insertAccount({ ...account, code, iParent }));
    } catch (error) {
      if ((error as { code?: string }).code !== UNIQUE_VIOLATION) throw error;
      throw new Error(`there is an account with the code "${code}" already`, { cause: error });
    }
    const made = await accountWithCode(session, code);
    const detail = { ...settingsOf(made), i_parent: iParent };
    await session.run(noteAudit(by, { action: 'accounts.create', subject: subjectOf(made), detail }));
    await tellAccounts(session, accountCreated, [made]);
    return made;
  });
}

/**
 * Changes an account. For another time zone its days are summed again, and every import waits meanwhile.
 * @param by who changes it, for the audit trail
 * @throws Error when it or its new parent does not exist, or the parent stands below it
 */
export async function changeAccount(
  pool: Pool,
  code: string,
  edit: AccountEdit,
  by: Actor,
): Promise<AccountRow> {
  requirePrintable({ name: edit.name ?? '' });
  return withTransaction(pool, async (session) => {
    if (edit.timeZone !== undefined) await session.run(lockZones('exclusive'));
    if (edit.parent !== undefined) await session.run(lockParents());
    const account = await accountWithCode(session, code);
    const iParent = await newParent(session, account, edit.parent);
    await session.run(
      updateAccount(account.i_account, { ...edit, ...(iParent !== undefined && { iParent }) }),
    );
    if (edit.timeZone !== undefined && edit.timeZone !== account.time_zone) {
      await session.run(deleteUsageDays(account.i_account));
      await session.run(rebuildUsageDays(account.i_account));
    }
    const changed = await accountWithCode(session, code);
    const detail = {
      ...differing(settingsOf(account), settingsOf(changed)),
      ...(account.name !== changed.name && { name: 'changed' }),
      ...(account.parent !== changed.parent && { i_parent: iParent }),
    };
    if (Object.keys(detail).length > 0) {
      await session.run(noteAudit(by, { action: 'accounts.set', subject: subjectOf(account), detail }));
      await tellAccounts(session, accountChanged, [changed]);
    }
    return changed;
  });
}

/** The audit trail's text for an account. Its name and code may be a person's, and the trail stays when those are erased. */
const settingsOf = ({ currency, time_zone, country }: AccountRow) => ({ currency, time_zone, country });
const subjectOf = ({ i_account }: AccountRow) => `account ${i_account}`;

/** The values of `after` that differ from `before`. */
const differing = <Values extends object>(before: Values, after: Values): Partial<Values> =>
  Object.fromEntries(
    Object.entries(after).filter(([name, value]) => before[name as keyof Values] !== value),
  ) as Partial<Values>;

/**
 * The code of a new or renamed account: tidied (account_codes.ts).
 * @throws Error when it is blank, too long or not printable
 */
export function readCode(written: string): string {
  const code = tidyCode(written);
  if (code === '' || code.length > LONGEST_CODE) {
    throw new Error(
      `the account's code has ${written.length} characters; it must have 1 to ${LONGEST_CODE}, not all blank`,
    );
  }
  requirePrintable({ code });
  return code;
}

/** @throws Error naming the text that has invisible characters */
function requirePrintable(texts: Readonly<Record<string, string>>): void {
  for (const [what, text] of Object.entries(texts)) {
    if (!isPrintable(text))
      throw new Error(
        `the account's ${what} is "${printable(text)}": it must have no control characters, and none that turn the order of text`,
      );
  }
}

async function newParent(
  session: Session,
  account: AccountRow,
  parent: string | null | undefined,
): Promise<number | null | undefined> {
  if (parent === undefined) return undefined;
  if (account.parents.length > 0) {
    throw new Error(
      `"${account.code}" was moved: trunkline accounts move says from when on it stands below another`,
    );
  }
  return parent === null ? null : (await parentFor(session, account, parent, '-infinity')).i_account;
}

/**
 * The new parent of an account.
 * @param from RFC 3339, or an infinity
 * @throws Error when there is no such account, or it is the account itself or stands below it, then or later
 */
export async function parentFor(
  session: Session,
  account: AccountRow,
  parent: string,
  from: string,
): Promise<AccountRow> {
  const wanted = await accountWithCode(session, parent);
  const circle = await session.row(isAbove(account.i_account, wanted.i_account, from));
  if (!circle) return wanted;
  const when = circle.from === null || circle.from === from ? '' : ` from ${circle.from} on`;
  throw new Error(`"${parent}" is "${account.code}" itself or stands below it${when}`);
}

/** Codes of other accounts that differ from this one in case alone. */
export async function codesAlike(session: Session, code: string): Promise<string[]> {
  const codes = (await session.rows(perhapsAlike([code]))).map((row) => row.code);
  return codes.filter((other) => other !== code && foldedCode(other) === foldedCode(code));
}

/** @throws Error when no account has the code */
export async function accountWithCode(session: Session, code: string): Promise<AccountRow> {
  const account = await session.row(accountAsWritten(code));
  if (account) return account;
  const renamed = await session.row(renamedFrom(code));
  if (renamed) throw new Error(`the account "${code}" is called "${renamed.code}" by now`);
  throw new Error(`no account has the code "${code}"; trunkline accounts list shows them`);
}
