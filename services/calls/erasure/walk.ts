/**
 * Walks all texts of all tables, some pages at a time, each in a transaction of its own. The tables and columns come from
 * PostgreSQL's catalogue, so new ones are walked as well. Each step writes its position into the database.
 */
import type { RawBuilder } from 'kysely';
import { type Pool, withRepeatedTransaction, withSession } from '#platform/database/pool.ts';
import type { Session } from '#platform/database/session.ts';
import { contentOfKept } from '../intake/quarantine.ts';
import { scrubBytes, scrubJson } from '../pseudonyms/scrub_bytes.ts';
import type { Scrub } from '../pseudonyms/scrub_numbers.ts';
import {
  changeContent,
  type ErasureKind,
  type FoundRow,
  findRows,
  fingerprintOf,
  listCountries,
  listTextTables,
  noteErasure,
  type TextTable,
  updateRow,
  type WalkPosition,
} from '../store/erasures.ts';
import { accountsByNumber } from '../store/told_calls.ts';

/** The number of 8 KiB pages in a step. */
const PAGES_A_STEP = 512;
const TEXTS = new Set(['text', 'character varying', 'text[]', 'jsonb', 'json']);
/** Bytes columns that hold rows of a source. All other bytes are hashes and keys. */
const BYTES = new Set(['rejected_cdrs.bytes']);
/** Columns that stay by design (docs/RUNBOOK.md), or hold no personal data. */
const LEFT = new Set([
  'audit',
  'former_codes',
  'erasures',
  'secrets',
  'heartbeat',
  'migrations',
  'migrations_lock',
]);

/** Columns of messages that say where a message goes and what it is about, and not whom. */
const NAMES_OF_MESSAGES = new Set(['queue', 'topic', 'state', 'cause', 'paused_by']);

export interface WalkOptions {
  readonly kind: ErasureKind;
  /** Of all services on the server. */
  readonly schemas: readonly string[];
  readonly pseudonym: string;
  /** A cheap condition on `held.text`, true for all rows in which something must be erased. */
  readonly near: RawBuilder<unknown>;
  /** @param countries of the row's account, or all for a row without an account */
  scrub(countries: readonly (string | null)[]): Scrub;
  /** Where an interrupted walk stopped. */
  readonly place: WalkPosition | null;
  /** False: rows are only counted. */
  readonly apply: boolean;
  /** Rows that are erased in another way. */
  readonly leaves?: (row: FoundRow, iAccount: number | undefined, table: string) => boolean;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress: (progress: WalkProgress) => void;
}

export interface WalkProgress {
  readonly table: string;
  readonly pages: number;
  readonly ofPages: number;
}

/** Rows by table. Partitions count as their parent. */
export type TableCounts = Record<string, number>;

/** Walks all tables once. @returns rows that were changed, or would be */
export async function walkTables(pool: Pool, options: WalkOptions): Promise<TableCounts> {
  const { tables, countries } = await withSession(pool, async (session) => ({
    tables: (await session.rows(listTextTables(options.schemas))).filter(({ name }) => !LEFT.has(name)),
    countries: (await session.rows(listCountries())).map(({ country }) => country),
  }));
  const ofPages = tables.reduce((sum, { pages }) => sum + pages, 0);
  const counts: TableCounts = {};
  let pages = 0;
  for (const table of tables) {
    const { place } = options;
    const first = place?.table === nameOf(table) ? place.page : 0;
    const isDone = place !== null && nameOf(table) < place.table;
    for (let from = isDone ? table.pages : first; from < table.pages; from += PAGES_A_STEP) {
      options.signal?.throwIfAborted();
      const step = { table, from, to: from + PAGES_A_STEP, countries };
      const changed = options.apply
        ? await withRepeatedTransaction(pool, (session) => changeRows(session, step, options), {
            signal: options.signal,
          })
        : await withSession(pool, (session) => changeRows(session, step, options), {
            signal: options.signal,
          });
      const name = countedAs(table);
      if (changed > 0) counts[name] = (counts[name] ?? 0) + changed;
      options.onProgress({ table: name, pages: pages + Math.min(table.pages, step.to), ofPages });
    }
    pages += table.pages;
  }
  return counts;
}

const nameOf = ({ schema, name }: TextTable): string => `${schema}.${name}`;

/** The name under which a table's rows are counted. Tables of other services have their schema in front. */
export const countedAs = ({ schema, name, parent }: TextTable): string =>
  schema === 'calls' ? (parent ?? name) : `${schema}.${parent ?? name}`;

interface Step {
  readonly table: TextTable;
  readonly from: number;
  readonly to: number;
  readonly countries: readonly (string | null)[];
}

async function changeRows(session: Session, step: Step, options: WalkOptions): Promise<number> {
  const { table, from, to } = step;
  const parent = table.parent ?? table.name;
  const columns = table.columns.filter(
    ({ name, type }) =>
      (TEXTS.has(type) && !(table.schema === 'messaging' && NAMES_OF_MESSAGES.has(name))) ||
      BYTES.has(`${parent}.${name}`),
  );
  if (columns.length === 0) return 0;
  const at = [table.schema, table.name] as const;
  const found = await session.rows(findRows(at, [from, to], columns, options.near, options.apply));
  const countryOf = await countriesOf(session, found);
  let changed = 0;
  for (const row of found) {
    const iAccount = accountOf(row);
    if (options.leaves?.(row, iAccount, countedAs(table))) continue;
    const country = iAccount === undefined ? undefined : countryOf.get(iAccount);
    const scrub = options.scrub(country === undefined ? step.countries : [country]);
    const values = changedValues(row, columns, scrub);
    if (values.length === 0) continue;
    changed++;
    if (!options.apply) continue;
    await session.run(updateRow(at, row.ctid, values));
    if (countedAs(table) === 'rejected_cdrs') await renameContent(session, row, values);
  }
  if (options.apply)
    await session.run(
      noteErasure(options.kind, options.pseudonym, changed > 0 ? { [countedAs(table)]: changed } : {}, {
        table: nameOf(table),
        page: to,
      }),
    );
  return changed;
}

interface ChangedValue {
  readonly name: string;
  readonly type: string;
  readonly value: unknown;
}

function changedValues(row: FoundRow, columns: TextTable['columns'], scrub: Scrub): ChangedValue[] {
  const changed = new Map<string, ChangedValue>();
  for (const { name, type } of columns) {
    const before = row[name];
    if (before === null || before === undefined) continue;
    const value = scrubValue(before, type, scrub);
    if (value !== before) changed.set(name, { name, type, value });
  }
  // A number as written is kept only where it differs.
  for (const name of ['cli', 'cld']) {
    const written = changed.get(`${name}_in`);
    const current = changed.get(name)?.value ?? row[name];
    if (written && written.value === current) changed.set(written.name, { ...written, value: null });
  }
  return [...changed.values()];
}

/** @returns the same value where nothing is erased */
function scrubValue(value: unknown, type: string, scrub: Scrub): unknown {
  if (type === 'bytea') return scrubBytes(value as Buffer, scrub);
  if (type === 'text[]') {
    const clean = (value as (string | null)[]).map((text) => text && scrub(text));
    return clean.some((text, index) => text !== (value as unknown[])[index]) ? clean : value;
  }
  if (type !== 'json' && type !== 'jsonb') return scrub(value as string);
  const clean = JSON.stringify(scrubJson(value, scrub));
  return clean === JSON.stringify(value) ? value : clean;
}

/** The account of a row. Versions of calls hold it within JSON. */
function accountOf(row: FoundRow): number | undefined {
  const of = (value: unknown) => (value as { i_account?: number } | null | undefined)?.i_account;
  return of(row) ?? of(row.call) ?? of(row.before) ?? undefined;
}

async function countriesOf(
  session: Session,
  rows: readonly FoundRow[],
): Promise<ReadonlyMap<number, string | null>> {
  const iAccounts = [...new Set(rows.flatMap((row) => accountOf(row) ?? []))];
  if (iAccounts.length === 0) return new Map();
  const accounts = await session.rows(accountsByNumber(iAccounts));
  return new Map(accounts.map(({ i_account, country }) => [i_account, country]));
}

async function renameContent(
  session: Session,
  row: FoundRow,
  values: readonly ChangedValue[],
): Promise<void> {
  // A discarded row has no bytes left by which it could be recognised.
  if (row.discarded_at !== null) return;
  const iRejected = row.i_rejected as number;
  const now = { ...row, ...Object.fromEntries(values.map(({ name, value }) => [name, value])) };
  const fingerprint = (await session.row(fingerprintOf(iRejected)))?.fingerprint ?? null;
  const content = contentOfKept({ ...(now as unknown as Parameters<typeof contentOfKept>[0]), fingerprint });
  await session.run(changeContent(iRejected, content));
}
