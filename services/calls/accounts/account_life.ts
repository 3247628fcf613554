/** The life of an account: it is renamed, closed, reopened. */
import { type Pool, withTransaction } from '#platform/database/pool.ts';
import { accountChanged } from '../contract.ts';
import { accountAsWritten } from '../store/account_edits.ts';
import { tellAccounts } from '../store/account_events.ts';
import { callsSince, dropFormerCode, keepFormerCode, setClosedFrom, setCode } from '../store/account_life.ts';
import type { AccountRow } from '../store/account_rows.ts';
import { type Actor, noteAudit } from '../store/audit.ts';
import { MICROS_PER_MS, readDate, readInstant, utcText } from '../time/instants.ts';
import { zoneClock } from '../time/zone_clock.ts';
import { accountWithCode, readCode } from './accounts.ts';

export interface Renamed {
  readonly account: AccountRow;
  /** Its code until now. */
  readonly before: string;
}

/**
 * Gives an account another code. Rows that still name it by the old code are its rows, until that code is given to
 * another account.
 * @throws Error when there is no such account, or the new code is blank, too long, not printable or taken
 */
export function renameAccount(pool: Pool, code: string, newCode: string, by: Actor): Promise<Renamed> {
  return withTransaction(pool, async (session) => {
    const wanted = readCode(newCode);
    const account = await accountWithCode(session, code);
    const other = await session.row(accountAsWritten(wanted));
    if (other && other.i_account !== account.i_account) {
      throw new Error(`there is an account with the code "${other.code}" already`);
    }
    const isOther = account.code !== wanted;
    if (isOther) {
      await session.run(dropFormerCode(wanted));
      await session.run(keepFormerCode(account.i_account, account.code));
      await session.run(setCode(account.i_account, wanted));
      await session.run(
        noteAudit(by, { action: 'accounts.rename', subject: `account ${account.i_account}` }),
      );
    }
    const after = await accountWithCode(session, wanted);
    if (isOther) await tellAccounts(session, accountChanged, [after]);
    return { account: after, before: account.code };
  });
}

export interface Closed {
  readonly account: AccountRow;
  /** Stored calls that start after the account is closed. They stay as they are. */
  readonly calls: number;
}

/**
 * Closes an account: from then on its keys are refused, no new keys are made, and calls that start later are kept with the
 * flag `account_closed`.
 * @param from a date of its own time zone, or an instant; undefined: now
 * @throws Error when there is no such account, or `from` is no time
 */
export function closeAccount(pool: Pool, code: string, from: string | undefined, by: Actor): Promise<Closed> {
  return withTransaction(pool, async (session) => {
    const account = await accountWithCode(session, code);
    const at = from === undefined ? 'now' : readStart(from, account.time_zone);
    const { closed_from } = (await session.row(setClosedFrom(account.i_account, at)))!;
    const subject = `account ${account.i_account}`;
    await session.run(noteAudit(by, { action: 'accounts.close', subject, detail: { closed_from } }));
    const calls = (await session.row(callsSince(account.i_account)))!.calls;
    const after = await accountWithCode(session, account.code);
    await tellAccounts(session, accountChanged, [after]);
    return { account: after, calls };
  });
}

/** Reopens it. Flags of calls that came in meanwhile stay. */
export function reopenAccount(pool: Pool, code: string, by: Actor): Promise<AccountRow> {
  return withTransaction(pool, async (session) => {
    const account = await accountWithCode(session, code);
    await session.run(setClosedFrom(account.i_account, null));
    await session.run(noteAudit(by, { action: 'accounts.reopen', subject: `account ${account.i_account}` }));
    const after = await accountWithCode(session, account.code);
    await tellAccounts(session, accountChanged, [after]);
    return after;
  });
}

/**
 * The instant of a given date or instant.
 * @returns RFC 3339 in UTC
 * @throws Error that says what would be right
 */
export function readStart(text: string, timeZone: string): string {
  const date = readDate(text);
  if (date !== undefined) return utcText(zoneClock(timeZone)!.startOfDay(date));
  const read = readInstant(text);
  if (read.kind === 'bad') throw new Error(`"${text}" ${read.reason}; or a date such as 2026-11-01`);
  return new Date(read.at / MICROS_PER_MS).toISOString();
}
