/**
 * Erases an account: its calls with their versions, its usage and keys, its rejected rows, and its names in imports, sources and
 * other texts. The work has small steps, and each can be repeated: after an interruption at any moment it goes on when the
 * same command is given again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { type Pool, withRepeatedTransaction, withSession } from '#platform/database/pool.ts';
import type { Session } from '#platform/database/session.ts';
import { isNone } from '../absent.ts';
import { tidyCode } from '../account_codes.ts';
import { accountWithCode } from '../accounts/accounts.ts';
import { readRejected } from '../intake/retry.ts';
import { ERASED_HEARD_MS, forgetHeard } from '../pseudonyms/erased.ts';
import { findPseudonyms, makePseudonyms } from '../pseudonyms/pseudonyms.ts';
import { isTelling, scrubCodes } from '../pseudonyms/scrub_codes.ts';
import { accountAsWritten } from '../store/account_edits.ts';
import { accountsBelow } from '../store/account_parents.ts';
import type { AccountRow } from '../store/account_rows.ts';
import { noteAudit } from '../store/audit.ts';
import {
  beginErasure,
  callsOfAccount,
  codesHolding,
  countRowsOf,
  countRowsOfCalls,
  countSources,
  deleteAccount,
  deleteJsonRowsOf,
  deleteRowsOf,
  deleteRowsOfCalls,
  deleteSources,
  type ErasedSources,
  type ErasureRow,
  type FoundRow,
  findErasure,
  finishErasure,
  heldSources,
  hideAccount,
  hideOption,
  listFollowed,
  listTextTables,
  noteErasedCalls,
  noteErasure,
  ownSources,
  sharedSources,
  TABLES_OF_FOLLOWED,
  TABLES_OF_SOURCES,
  type TextTable,
} from '../store/erasures.ts';
import { lockZones } from '../store/partitions.ts';
import { deleteRejected, listRejected, type Rejected } from '../store/rejected.ts';
import type { EraseOptions } from './erase_number.ts';
import { countedAs, type TableCounts, type WalkOptions, walkTables } from './walk.ts';

const ROWS_A_STEP = 5_000;
const PAGE_ROWS = 500;
/** Tables that are erased in another way, or stay. */
const NOT_BY_ACCOUNT = new Set(['accounts', 'account_parents', 'audit', 'former_codes']);
/** Tables of calls' versions, which hold the account within JSON. */
const JSON_CALLS: readonly [table: string, column: string][] = [
  ['cdr_history', 'call'],
  ['provisional_rows', 'before'],
  ['tellings', 'call'],
];

export interface ErasedAccount {
  readonly iAccount: number;
  readonly pseudonym: string;
  /** Rows that were deleted, or changed if they only named the account; by table. */
  readonly counts: TableCounts;
  /** Codes that are too short to search for in texts. */
  readonly shortCodes: readonly string[];
  /** Sources that have its code as their name and bring other accounts' calls: their names stay. */
  readonly sharedSources: readonly string[];
  /** Codes of accounts below it, which must be erased or taken out first. None once it is erased. */
  readonly below: readonly string[];
}

/** @throws Error when there is no such account, others stand below it, or a source with its code as its name is being followed */
export async function eraseAccount(pool: Pool, code: string, options: EraseOptions): Promise<ErasedAccount> {
  const found = await withSession(pool, (session) => findErased(session, code));
  const below = await withSession(pool, (session) => lookAtWhatStandsInTheWay(session, found, options.apply));
  const work = { pool, ...found, ...options, below };
  if (!options.apply) return reportOf(work, await countAll(work));
  const { pseudonym, place } = await register(work, code);
  forgetHeard(pool);
  await sleep(options.heardMs ?? ERASED_HEARD_MS + 1_000, undefined, { signal: options.signal });
  const erasing = { ...work, pseudonym };
  await withRepeatedTransaction(pool, (session) => hide(session, erasing));
  await dropRejected(erasing);
  await withRepeatedTransaction(pool, (session) => forgetSources(session, erasing));
  for (const table of await tablesOfAccounts(work)) await deleteAll(erasing, table);
  await walkTables(pool, await walkOf(erasing, place));
  return reportOf(erasing, await finish(erasing));
}

interface Found {
  readonly account: AccountRow;
  /** The account and its names, as typed if it is being erased already. */
  readonly codes: readonly string[];
}

type Work = Found & EraseOptions & { readonly pool: Pool; readonly below: readonly string[] };
type Erasing = Work & { readonly pseudonym: string };

/** The account. After an interrupted erasure its code is a pseudonym. */
async function findErased(session: Session, code: string): Promise<Found> {
  const pseudonyms = await findPseudonyms(session);
  const pseudonym = pseudonyms?.ofCode(tidyCode(code));
  const hidden = pseudonym === undefined ? undefined : await session.row(accountAsWritten(pseudonym));
  if (hidden) return { account: hidden, codes: [tidyCode(code), ...hidden.former_codes] };
  const erasure = pseudonym === undefined ? undefined : await session.row(findErasure('code', pseudonym));
  if (erasure?.finished_at && !(await session.row(accountAsWritten(code))))
    throw new Error(`the account "${code}" was erased on ${erasure.finished_at.slice(0, 10)}`);
  const account = await accountWithCode(session, code);
  return { account, codes: [account.code, ...account.former_codes] };
}

/** @returns the codes of accounts below it, which only a dry run may find there */
async function lookAtWhatStandsInTheWay(
  session: Session,
  { account, codes }: Found,
  apply: boolean,
): Promise<string[]> {
  const below = (await session.rows(accountsBelow(account.i_account))).map(({ code }) => code);
  if (below.length > 0 && apply) {
    const named = below.map((code) => `"${code}"`).join(', ');
    throw new Error(
      `accounts stand below it: ${named}; erase each of them first (accounts erase CODE), or take them out (accounts set CODE --no-parent)`,
    );
  }
  const [held] = await session.rows(heldSources(codes.filter(isTelling)));
  if (held)
    throw new Error(`${held.path} is being followed, and is called by its code: stop following it first`);
  return below;
}

async function register({ pool, codes, account, by }: Work, code: string): Promise<ErasureRow> {
  return withRepeatedTransaction(pool, async (session) => {
    const pseudonyms = await makePseudonyms(session);
    for (const one of codes) await session.run(beginErasure('code', pseudonyms.ofCode(tidyCode(one))));
    // The user types its code, or else the code that it had when the erasure began.
    const main = codes.includes(tidyCode(code)) ? tidyCode(code) : tidyCode(codes[0]!);
    await session.run(
      noteAudit(by, { action: 'accounts.erase.begin', subject: `account ${account.i_account}` }),
    );
    return (await session.row(beginErasure('code', pseudonyms.ofCode(main))))!;
  });
}

/** From now on its code is its pseudonym, and its keys are refused. */
async function hide(session: Session, { account, codes, pseudonym }: Erasing): Promise<void> {
  await session.run(hideAccount(account.i_account, pseudonym));
  await session.run(hideOption(codes, pseudonym));
}

/** Rejected rows of the account: read as its rows, or in conflict with one of its calls, or possibly its rows. */
async function dropRejected(work: Erasing): Promise<void> {
  await eachRejected(work, async (rows) => {
    const ids = rows.map(({ i_rejected }) => i_rejected);
    await withRepeatedTransaction(work.pool, async (session) => {
      await session.run(deleteRejected(ids));
      await session.run(noteErasure('code', work.pseudonym, { rejected_cdrs: ids.length }, null));
    });
  });
}

async function eachRejected(
  { pool, account, codes, signal }: Work,
  found: (rows: readonly Rejected[]) => Promise<void>,
): Promise<void> {
  const scrub = scrubCodes(codes.filter(isTelling), await othersOf(pool, codes), '');
  const isOurs = (code: string) => codes.includes(tidyCode(code)) || codes.includes(code);
  for (let after = 0; ; ) {
    signal?.throwIfAborted();
    const page = await withSession(pool, (session) =>
      session.rows(listRejected({ alsoTaken: true }, after, PAGE_ROWS)),
    );
    if (page.length === 0) return;
    after = page.at(-1)!.i_rejected;
    const conflicts = page.flatMap(({ conflict }) => conflict?.i_cdr ?? []);
    const own = callsOfAccount(account.i_account, conflicts);
    const ofOurs = new Set(
      (await withSession(pool, (session) => session.rows(own))).map(({ i_cdr }) => i_cdr),
    );
    const ours = page.filter((row) => {
      if (row.conflict) return ofOurs.has(row.conflict.i_cdr);
      const { parsed } = readRejected(row);
      if (parsed.kind === 'record') {
        const { accountCode } = parsed.record;
        return isNone(accountCode) ? isOurs(String(row.options.account ?? '')) : isOurs(accountCode);
      }
      const text = row.bytes.toString();
      return scrub(text) !== text;
    });
    if (ours.length > 0) await found(ours);
  }
}

/** Sources that brought only its calls, and those that are followed under its code. */
async function sourcesOf(session: Session, { account, codes }: Work): Promise<ErasedSources> {
  const own = await session.rows(ownSources(account.i_account));
  const scrub = scrubCodes(codes.filter(isTelling), [], '');
  const followed = (await session.rows(listFollowed())).filter(({ path }) => scrub(path) !== path);
  return {
    sources: own.map(({ source }) => source),
    iSources: followed.map(({ i_source }) => i_source),
  };
}

/** Forgets sources that brought only its calls, and those that are followed under its code. */
async function forgetSources(session: Session, work: Erasing): Promise<void> {
  const counts: TableCounts = {};
  for (const { table, statement } of deleteSources(await sourcesOf(session, work)))
    counts[table] = await session.run(statement);
  await session.run(noteErasure('code', work.pseudonym, withoutNoughts(counts), null));
}

interface AccountTable extends TextTable {
  /** Tables that refer to its rows by i_cdr, and have no account column. */
  readonly ofCalls: readonly string[];
}

async function tablesOfAccounts({ pool, schemas }: Work): Promise<AccountTable[]> {
  const tables = await withSession(pool, (session) => session.rows(listTextTables(schemas)));
  const has = ({ columns }: TextTable, name: string) => columns.some((column) => column.name === name);
  const ofCalls = tables.filter(
    (table) => table.schema === 'calls' && has(table, 'i_cdr') && !has(table, 'i_account'),
  );
  return tables
    .filter((table) => has(table, 'i_account') && !NOT_BY_ACCOUNT.has(table.name))
    .map((table) => ({ ...table, ofCalls: ofCalls.map(({ name }) => name) }));
}

async function deleteAll(work: Erasing, table: AccountTable): Promise<void> {
  const { pool, account, pseudonym, signal, onProgress } = work;
  const parent = countedAs(table);
  for (let done = 0, count = 1; count > 0; done += count) {
    count = await withRepeatedTransaction(
      pool,
      async (session) => {
        const counts = await deleteSome(session, table, account.i_account);
        await session.run(noteErasure('code', pseudonym, withoutNoughts(counts), null));
        return counts[parent]!;
      },
      { signal },
    );
    onProgress({ table: parent, pages: done + count, ofPages: 0 });
  }
}

/** Some rows of a table, and the rows of other tables for their calls. @returns how many of each */
async function deleteSome(session: Session, table: AccountTable, iAccount: number): Promise<TableCounts> {
  const gone = await session.rows(deleteRowsOf([table.schema, table.name], iAccount, ROWS_A_STEP));
  const counts: TableCounts = { [countedAs(table)]: gone.length };
  const iCdrs = gone.flatMap(({ i_cdr }) => i_cdr ?? []);
  if (iCdrs.length === 0) return counts;
  for (const other of table.ofCalls)
    counts[other] = await session.run(deleteRowsOfCalls(['calls', other], iCdrs));
  if (countedAs(table) === 'cdrs') {
    const ofImports = new Map<number, number>();
    for (const { i_import: of } of gone) if (of !== null) ofImports.set(of, (ofImports.get(of) ?? 0) + 1);
    await session.run(noteErasedCalls(ofImports));
  }
  return counts;
}

/** Versions of calls that belong to another account by now. */
async function deleteVersions(session: Session, { account }: Work): Promise<TableCounts> {
  const counts: TableCounts = {};
  for (const [table, column] of JSON_CALLS)
    counts[table] = await session.run(deleteJsonRowsOf(['calls', table], column, account.i_account));
  return withoutNoughts(counts);
}

const withoutNoughts = (counts: TableCounts): TableCounts =>
  Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));

async function walkOf(
  work: Work & { readonly pseudonym?: string },
  place: WalkOptions['place'] = null,
): Promise<WalkOptions> {
  const { pool, account, codes, apply, signal, onProgress, pseudonym = '' } = work;
  const telling = codes.filter(isTelling);
  const others = await othersOf(pool, codes);
  const shared = new Set(await withSession(pool, (session) => namesOf(session, work)));
  const scrub = scrubCodes(telling, others, pseudonym);
  return {
    kind: 'code',
    schemas: work.schemas,
    pseudonym,
    near: sql`EXISTS (SELECT FROM unnest(${telling}::text[]) AS code WHERE strpos(held.text, code) > 0)`,
    scrub: () => (text) => (shared.has(text) ? text : scrub(text)),
    place,
    apply,
    signal,
    onProgress,
    leaves: (_, iAccount) => iAccount === account.i_account,
  };
}

const othersOf = async (pool: Pool, codes: readonly string[]): Promise<string[]> =>
  (await withSession(pool, (session) => session.rows(codesHolding(codes)))).map(({ code }) => code);

/** Sources that have its code as their name and bring calls of other accounts. */
async function namesOf(session: Session, { account, codes }: Work): Promise<string[]> {
  const scrub = scrubCodes(codes.filter(isTelling), [], '');
  const shared = await session.rows(sharedSources(account.i_account));
  return shared.map(({ source }) => source).filter((source) => scrub(source) !== source);
}

/** Waits for writers that store calls meanwhile. Their calls of the account are erased, too. */
async function finish(work: Erasing): Promise<TableCounts> {
  const { pool, account, codes, pseudonym, by } = work;
  const tables = await tablesOfAccounts(work);
  return withRepeatedTransaction(pool, async (session) => {
    await session.run(lockZones('exclusive'));
    for (const table of tables) await deleteSome(session, table, account.i_account);
    const last = { ...(await deleteVersions(session, work)), accounts: 1 };
    await session.run(noteErasure('code', pseudonym, last, null));
    await session.run(deleteAccount(account.i_account));
    const pseudonyms = (await findPseudonyms(session))!;
    for (const code of codes) await session.run(finishErasure('code', pseudonyms.ofCode(tidyCode(code))));
    const { counts } = (await session.row(finishErasure('code', pseudonym)))!;
    const subject = `account ${account.i_account}`;
    await session.run(noteAudit(by, { action: 'accounts.erase', subject, detail: { rows: counts } }));
    return counts;
  });
}

/** The report of a dry run. */
async function countAll(work: Work): Promise<TableCounts> {
  const counts: TableCounts = {};
  const add = (name: string, count: number) => {
    if (count > 0) counts[name] = (counts[name] ?? 0) + count;
  };
  const rejectedIds = new Set<unknown>();
  await eachRejected(work, async (rows) => {
    for (const { i_rejected } of rows) rejectedIds.add(i_rejected);
  });
  add('rejected_cdrs', rejectedIds.size);
  const tables = await tablesOfAccounts(work);
  for (const table of tables) {
    const statement = countRowsOf([table.schema, table.name], work.account.i_account);
    add(countedAs(table), (await withSession(work.pool, (session) => session.row(statement)))!.count);
  }
  const sources = await withSession(work.pool, (session) => sourcesOf(session, work));
  for (const { table, statement } of countSources(sources))
    add(table, (await withSession(work.pool, (session) => session.row(statement)))!.count);
  for (const table of new Set(tables.flatMap(({ ofCalls }) => ofCalls))) {
    const columns = JSON_CALLS.flatMap(([name, column]) => (name === table ? [column] : []));
    const statement = countRowsOfCalls(table, columns, work.account.i_account);
    add(table, (await withSession(work.pool, (session) => session.row(statement)))!.count);
  }
  const walk = await walkOf(work);
  const isForgotten = (row: FoundRow, table: string) =>
    isIn(TABLES_OF_SOURCES, table)
      ? isIn(sources.sources, row.source)
      : isIn(TABLES_OF_FOLLOWED, table) && isIn(sources.iSources, row.i_source);
  const leaves: WalkOptions['leaves'] = (row, iAccount, table) =>
    rejectedIds.has(row.i_rejected) || isForgotten(row, table) || walk.leaves!(row, iAccount, table);
  for (const [name, count] of Object.entries(await walkTables(work.pool, { ...walk, leaves })))
    add(name, count);
  add('accounts', 1);
  return counts;
}

const isIn = (list: readonly unknown[], value: unknown): boolean => list.includes(value);

async function reportOf(
  work: Work & { readonly pseudonym?: string },
  counts: TableCounts,
): Promise<ErasedAccount> {
  return {
    iAccount: work.account.i_account,
    pseudonym: work.pseudonym ?? '',
    counts,
    shortCodes: work.codes.filter((code) => !isTelling(code)),
    sharedSources: await withSession(work.pool, (session) => namesOf(session, work)),
    below: work.below,
  };
}
