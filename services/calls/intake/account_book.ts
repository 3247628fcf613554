/** Whose rows these are: accounts by what the switch calls them, kept for the length of a batch. */
import { type Pool, withSession, withTransaction } from '#platform/database/pool.ts';
import type { Session } from '#platform/database/session.ts';
import type { Taken } from '../formats/reader.ts';
import { accountsByCode, createAccounts } from '../store/intake.ts';
import type { Origin } from './intake.ts';
import type { Account } from './settle.ts';
import { storable } from './storable.ts';

/** Finds accounts by their codes; those that nobody has are left out. */
export type FindAccounts = (codes: readonly string[]) => Promise<readonly Account[]>;

export interface AccountBook {
  /** The accounts that the rows name, and others, by code. */
  of(rows: readonly Taken[]): Promise<ReadonlyMap<string, Account>>;
  /** A batch begins: the accounts are asked for anew, so that a change made meanwhile counts from here on. */
  renew(): void;
}

export function createAccountBook(find: FindAccounts): AccountBook {
  const known = new Map<string, Account>();
  /** Asked for and not there. */
  const unknown = new Set<string>();
  /** Codes that the batch has named, and so most likely the next one will. */
  let named = new Set<string>();
  let ahead: ReadonlySet<string> = new Set();
  return {
    async of(rows) {
      const missing = new Set<string>();
      for (const { parsed } of rows) {
        if (parsed.kind === 'rejected' || parsed.record.accountCode === '') continue;
        const code = storable(parsed.record.accountCode);
        named.add(code);
        if (!known.has(code) && !unknown.has(code)) missing.add(code);
      }
      if (missing.size > 0) {
        const asked = [...new Set([...missing, ...ahead])];
        ahead = new Set();
        for (const account of await find(asked)) known.set(account.code, account);
        for (const code of asked) if (!known.has(code)) unknown.add(code);
      }
      return known;
    },
    renew() {
      known.clear();
      unknown.clear();
      ahead = named;
      named = new Set();
    },
  };
}

/** Accounts of the database; those that nobody has are made where the origin says how. */
export function storedAccounts(
  pool: Pool,
  newAccounts: Origin['newAccounts'],
  signal?: AbortSignal,
): FindAccounts {
  const find = (codes: readonly string[]) =>
    withSession(pool, (session) => session.rows(accountsByCode(codes)), { signal });
  return async (codes) => {
    const found = await find(codes);
    if (newAccounts === null || found.length === codes.length) return found;
    const there = new Set(found.map((account) => account.code));
    const missing = codes.filter((code) => !there.has(code));
    // In a transaction of its own: accounts that exist are worth keeping even if their batch is tried again.
    const making = createAccounts({ ...newAccounts, codes: missing });
    await withTransaction(pool, (session) => session.run(making), { signal });
    return [...found, ...(await find(missing))];
  };
}

/** As `storedAccounts`, but making none: that would hold up an import that makes them too. */
export function pretendedAccounts(session: Session, newAccounts: Origin['newAccounts']): FindAccounts {
  return async (codes) => {
    const found = await session.rows(accountsByCode(codes));
    if (newAccounts === null) return found;
    const { currency, country } = newAccounts;
    const there = new Set(found.map((account) => account.code));
    const made = codes.filter((code) => !there.has(code));
    return [...found, ...made.map((code) => ({ i_account: 0, code, currency, country }))];
  };
}
