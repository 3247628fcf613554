/** Moves an account below another one, from a date on. Earlier calls stay with the parent of their time. */
import { type Pool, withTransaction } from '#platform/database/pool.ts';
import { accountChanged } from '../contract.ts';
import { tellAccounts } from '../store/account_events.ts';
import { lockParents, movedWith, moveParent, movesSince, readMove } from '../store/account_parents.ts';
import type { AccountRow, ParentPeriod } from '../store/account_rows.ts';
import { type Actor, noteAudit } from '../store/audit.ts';
import { readStart } from './account_life.ts';
import { accountWithCode, parentFor } from './accounts.ts';

export interface MoveOptions {
  /** Code of the new parent. Null: no parent. */
  readonly to: string | null;
  /** A date of its own time zone, or an instant. Undefined: now. */
  readonly from?: string | undefined;
  /** False: a dry run, which only reports the effects. */
  readonly apply: boolean;
}

export interface Moved {
  /** The account after the move. */
  readonly account: AccountRow;
  /** RFC 3339 */
  readonly from: string;
  /** Code of the parent of that move. Null: no parent. */
  readonly before: string | null;
  /** The parent from then on. */
  readonly to: AccountRow | null;
  /** The account has this parent already: nothing is changed. */
  readonly isThere: boolean;
  /** Moves of that instant or later, which this move replaces. */
  readonly replaced: readonly ParentPeriod[];
  /** Accounts below it, which move with it, and the stored calls of all of them that start from then on. */
  readonly below: number;
  readonly calls: number;
}

/**
 * Moves an account permanently: later moves of it are replaced. Calls and sums that start before the date stay with the
 * parent of that time. The account's own time zone, currency and country stay as they are.
 * @throws Error when there is no such account or parent, the parent is the account itself or stands below it then or later, or
 *   `from` is no time
 */
export function moveAccount(pool: Pool, code: string, options: MoveOptions, by: Actor): Promise<Moved> {
  return withTransaction(pool, async (session) => {
    await session.run(lockParents());
    const account = await accountWithCode(session, code);
    const { i_account: iAccount } = account;
    const at = options.from === undefined ? 'now' : readStart(options.from, account.time_zone);
    const { from, parent: before, i_parent: iBefore } = (await session.row(readMove(iAccount, at)))!;
    const to = options.to === null ? null : await parentFor(session, account, options.to, from);
    const replaced = await session.rows(movesSince(iAccount, from));
    const iParent = to?.i_account ?? null;
    const isThere = iParent === iBefore && replaced.length === 0;
    const { below, calls } = (await session.row(movedWith(iAccount, from)))!;
    if (options.apply && !isThere) {
      await session.run(moveParent(iAccount, iParent, from));
      const detail = { from, i_parent: iParent, i_parent_before: iBefore, replaced: replaced.length };
      await session.run(noteAudit(by, { action: 'accounts.move', subject: `account ${iAccount}`, detail }));
    }
    const after = await accountWithCode(session, account.code);
    if (options.apply && !isThere) await tellAccounts(session, accountChanged, [after]);
    return { account: after, from, before, to, isThere, replaced, below, calls };
  });
}
