/** An account comes to stand below another one, from a date on; what was before stays with whom it was below then. */
import { type Pool, withTransaction } from '#platform/database/pool.ts';
import { readStart } from './account_life.ts';
import { accountWithCode, parentFor } from './accounts.ts';
import { lockParents, movedWith, moveParent, movesSince, readMove } from './store/account_parents.ts';
import type { AccountRow, AccountStretch } from './store/account_rows.ts';
import { type Actor, noteAudit } from './store/audit.ts';

export interface MoveOptions {
  /** Code of the account that it is to stand below; null: below nobody. */
  readonly to: string | null;
  /** A date of its own time zone, or an instant; undefined: now. */
  readonly from?: string | undefined;
  /** False: it is only told what would be. */
  readonly apply: boolean;
}

export interface Moved {
  /** As it is after the move. */
  readonly account: AccountRow;
  /** RFC 3339 */
  readonly from: string;
  /** Code of the account that it was to stand below then; null: below nobody. */
  readonly before: string | null;
  /** Where it stands from then on. */
  readonly to: AccountRow | null;
  /** It was there already, and stays there: nothing is changed. */
  readonly isThere: boolean;
  /** Moves of that instant or later, whose place this one takes. */
  readonly replaced: readonly AccountStretch[];
  /** Accounts below it, which come along, and the calls of all of them that start from then on and are stored already. */
  readonly below: number;
  readonly calls: number;
}

/**
 * Moves an account, for good: moves of it that lie later are replaced. Calls and sums that start before stay with those above
 * whom it stood below then. Its own time zone, currency and country stay as they are.
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
    return { account: after, from, before, to, isThere, replaced, below, calls };
  });
}
