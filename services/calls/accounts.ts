/** Accounts as the operator keeps them. */
import { type Pool, withTransaction } from '#platform/database/pool.ts';
import type { Session } from '#platform/database/session.ts';
import {
  deleteUsageDays,
  findAccount,
  insertAccount,
  isAtOrAbove,
  rebuildUsageDays,
  updateAccount,
} from './store/account_edits.ts';
import { lockZones } from './store/partitions.ts';

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

/** As long as a record may name it (api/posted_record.ts). */
const LONGEST_CODE = 200;

const UNIQUE_VIOLATION = '23505';

/**
 * @throws Error when the code is blank, too long or taken, or the parent does not exist
 */
export async function createAccount(
  pool: Pool,
  account: Omit<NewAccount, 'iParent'>,
  parent: string | null,
): Promise<AccountRow> {
  if (account.code.trim() === '' || account.code.length > LONGEST_CODE) {
    throw new Error(
      `the account's code has ${account.code.length} characters; it must have 1 to ${LONGEST_CODE}, not all blank`,
    );
  }
  return withTransaction(pool, async (session) => {
    const iParent = parent === null ? null : (await accountWithCode(session, parent)).i_account;
    try {
      await session.row(insertAccount({ ...account, iParent }));
    } catch (error) {
      if ((error as { code?: string }).code !== UNIQUE_VIOLATION) throw error;
      throw new Error(`there is an account with the code "${account.code}" already`, { cause: error });
    }
    return accountWithCode(session, account.code);
  });
}

/**
 * Changes an account. Another time zone sums its days anew, with every import held for that moment.
 * @throws Error when it or its new parent does not exist, or the parent stands below it
 */
export function changeAccount(pool: Pool, code: string, edit: AccountEdit): Promise<AccountRow> {
  return withTransaction(pool, async (session) => {
    if (edit.timeZone !== undefined) await session.run(lockZones('exclusive'));
    const account = await accountWithCode(session, code);
    const iParent = await newParent(session, account, edit.parent);
    await session.run(
      updateAccount(account.i_account, { ...edit, ...(iParent !== undefined && { iParent }) }),
    );
    if (edit.timeZone !== undefined && edit.timeZone !== account.time_zone) {
      await session.run(deleteUsageDays(account.i_account));
      await session.run(rebuildUsageDays(account.i_account));
    }
    return accountWithCode(session, code);
  });
}

async function newParent(
  session: Session,
  account: AccountRow,
  parent: string | null | undefined,
): Promise<number | null | undefined> {
  if (parent === undefined || parent === null) return parent;
  const { i_account: iParent } = await accountWithCode(session, parent);
  const circle = await session.row(isAtOrAbove(account.i_account, iParent));
  if (circle?.above) throw new Error(`"${parent}" is "${account.code}" itself or stands below it`);
  return iParent;
}

/** @throws Error when no account has the code */
export async function accountWithCode(session: Session, code: string): Promise<AccountRow> {
  const account = await session.row(findAccount(code));
  if (!account) throw new Error(`no account has the code "${code}"; trunkline accounts list shows them`);
  return account;
}
