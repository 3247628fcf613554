/**
 * Finds the accounts of rows: accounts by the switch's names for them, cached for the length of a batch.
 *
 * A row's text is looked up as it stands, then tidied (account_codes.ts), then among accounts whose own code is not tidy:
 * accounts that were created with raw codes keep their calls. A text that means "none" (absent.ts), and that is no
 * account's code, names no account: such rows belong to the default account, where there is one.
 */
import { type Pool, withSession, withTransaction } from '#platform/database/pool.ts';
import type { Session } from '#platform/database/session.ts';
import { isPrintable } from '#platform/telemetry/printable.ts';
import { isNone } from '../absent.ts';
import { foldedCode, tidyCode } from '../account_codes.ts';
import { accountCreated } from '../contract.ts';
import type { ParsedRow } from '../formats/source_reader.ts';
import { type Erased, erasedOf, readErased } from '../pseudonyms/erased.ts';
import { tellAccounts } from '../store/account_events.ts';
import type { Account } from '../store/account_rows.ts';
import { accountsByCode, accountsByTidiedCode, createAccounts, perhapsAlike } from '../store/intake.ts';
import { storable } from '../store/storable.ts';
import type { ImportSource } from './import_source.ts';

export interface FindAccounts {
  /**
   * Accounts by their codes, untidy ones by their tidied code too. Codes without an account are left out.
   * @param make which of the codes may become accounts
   */
  byCode(codes: readonly string[], make: (code: string) => boolean): Promise<readonly Account[]>;
  /** Pseudonyms of erased accounts. */
  erased(): Promise<Erased>;
  /** Codes of accounts that may differ from one of these in case alone. */
  alike(codes: readonly string[]): Promise<readonly string[]>;
}

/** Accounts by the rows' names for them. */
export interface AccountsOfRows {
  get(text: string): Account | undefined;
  readonly erased: Erased;
  /** For a text without an account: a code that differs from it in case alone. */
  alike(text: string): string | undefined;
}

export interface AccountCache {
  /** The accounts of these rows, and of others. */
  of(rows: readonly ParsedRow[]): Promise<AccountsOfRows>;
  /** Begins a batch: the accounts are queried again, so that a change made meanwhile counts from here on. */
  renew(): void;
  /** All codes so far that differ in case alone, or in their edges, from each other or from an account's code; in groups. */
  alikeCodes(): Promise<string[][]>;
}

/** @param defaultCode of the account for rows that name none; '' where there is none */
export function createAccountCache(find: FindAccounts, defaultCode: string): AccountCache {
  /** By the rows' names. */
  const known = new Map<string, Account>();
  /** Queried and not found. */
  const unknown = new Set<string>();
  /** Codes of unknown accounts that an account has in other case. */
  const alike = new Map<string, string>();
  /** Of all batches: codes of accounts, and codes without an account. */
  const codes = new Set<string>();
  /** The names in the batch's rows, which the next batch most likely uses too. */
  let named = new Set<string>();
  let ahead: ReadonlySet<string> = new Set();
  let erased: Erased | undefined;

  /** @param unsure codes of rows whose end may be cut: such codes find accounts, but create none */
  async function lookUp(sure: readonly string[], unsure: readonly string[], gone: Erased): Promise<void> {
    const texts = [...sure, ...unsure];
    const asked = new Set<string>();
    for (const text of defaultCode === '' ? texts : [...texts, defaultCode]) {
      const code = storable(text);
      if (code !== '') asked.add(code);
      const tidy = tidyCode(code);
      if (tidy !== '') asked.add(tidy);
    }
    const wanted = new Set(sure.map((text) => tidyCode(storable(text))));
    const usesDefault = sure.some(isNone);
    const make = (code: string) =>
      isPrintable(code) &&
      !gone.isCode(code) &&
      ((usesDefault && code === tidyCode(defaultCode)) ||
        (wanted.has(code) && code === tidyCode(code) && !isNone(code)));
    const found = asked.size === 0 ? [] : await find.byCode([...asked], make);
    const byCode = new Map(found.map((account) => [account.code, account]));
    const byTidied = new Map(found.map((account) => [tidyCode(account.code), account]));
    const accountOf = (text: string) => {
      const code = storable(text);
      return byCode.get(code) ?? byCode.get(tidyCode(code)) ?? byTidied.get(tidyCode(code));
    };
    for (const text of texts) {
      // Until its erasure is done the account still has its calls.
      if (gone.isCode(storable(text))) continue;
      const account = accountOf(text) ?? (isNone(text) ? accountOf(defaultCode) : undefined);
      if (account) known.set(text, account);
    }
    for (const text of sure) {
      const code = known.get(text)?.code ?? tidyCode(storable(text));
      if (!known.has(text)) unknown.add(text);
      if (code !== '') codes.add(code);
    }
    const inVain = texts.filter((text) => !known.has(text) && !isNone(text));
    if (inVain.length === 0) return;
    const codesInVain = inVain.map((text) => tidyCode(storable(text)));
    const others = new Map((await find.alike(codesInVain)).map((code) => [foldedCode(code), code]));
    for (const text of inVain) {
      const other = others.get(foldedCode(text));
      if (other !== undefined) alike.set(text, other);
    }
  }

  return {
    async alikeCodes() {
      const groups = Map.groupBy(new Set([...codes, ...(await find.alike([...codes]))]), foldedCode);
      return [...groups.values()].filter((group) => group.length > 1);
    },
    async of(rows) {
      const missing = new Set<string>();
      const unsure = new Set<string>();
      for (const { parsed, accountMayGoOn } of rows) {
        if (parsed.kind === 'rejected') continue;
        const text = parsed.record.accountCode;
        if (!accountMayGoOn) named.add(text);
        if (!known.has(text) && !unknown.has(text)) (accountMayGoOn ? unsure : missing).add(text);
      }
      erased ??= await find.erased();
      if (missing.size + unsure.size > 0) {
        const sure = new Set([...missing, ...ahead]);
        ahead = new Set();
        await lookUp(
          [...sure],
          [...unsure].filter((text) => !sure.has(text)),
          erased,
        );
      }
      return { get: (text) => known.get(text), alike: (text) => alike.get(text), erased };
    },
    renew() {
      known.clear();
      unknown.clear();
      alike.clear();
      ahead = named;
      erased = undefined;
      named = new Set();
    },
  };
}

/** Accounts of the database. Missing ones are created if the import source says how. */
export function storedAccounts(
  pool: Pool,
  newAccounts: ImportSource['newAccounts'],
  signal?: AbortSignal,
): FindAccounts {
  return {
    erased: () => erasedOf(pool),
    alike: (codes) => withSession(pool, (session) => alikeOnes(session, codes), { signal }),
    byCode: async (codes, make) => {
      const found = await withSession(pool, (session) => storedOnes(session, codes), { signal });
      const missing = newAccounts === null ? [] : missingOf(codes, found).filter(make);
      if (newAccounts === null || missing.length === 0) return found;
      // In a transaction of its own: the accounts stay even if their batch is retried.
      const making = createAccounts({ ...newAccounts, codes: missing });
      await withTransaction(
        pool,
        async (session) => tellAccounts(session, accountCreated, await session.rows(making)),
        { signal },
      );
      const made = await withSession(pool, (session) => session.rows(accountsByCode(missing)), { signal });
      return [...found, ...made];
    },
  };
}

/** Like `storedAccounts`, but creates none: that would hold up an import that creates them too. */
export function pretendedAccounts(session: Session, newAccounts: ImportSource['newAccounts']): FindAccounts {
  return {
    erased: () => readErased(session),
    alike: (codes) => alikeOnes(session, codes),
    byCode: async (codes, make) => {
      const found = await storedOnes(session, codes);
      if (newAccounts === null) return found;
      const { currency, country } = newAccounts;
      const made = missingOf(codes, found).filter(make);
      return [
        ...found,
        ...made.map((code) => ({ i_account: 0, code, currency, country, closed_from: null })),
      ];
    },
  };
}

async function alikeOnes(session: Session, codes: readonly string[]): Promise<string[]> {
  return (await session.rows(perhapsAlike(codes))).map(({ code }) => code);
}

/** Most codes are found as written. The others are looked up among accounts whose code is not tidy. */
async function storedOnes(session: Session, codes: readonly string[]): Promise<Account[]> {
  const found = await session.rows(accountsByCode(codes));
  const missing = missingOf(codes, found);
  return missing.length === 0 ? found : [...found, ...(await session.rows(accountsByTidiedCode(missing)))];
}

/** Codes without an account, tidied or not. */
function missingOf(codes: readonly string[], found: readonly Account[]): string[] {
  const there = new Set(found.flatMap(({ code }) => [code, tidyCode(code)]));
  return codes.filter((code) => !there.has(code));
}
