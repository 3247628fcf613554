/** Statements that erase data, and statements about erasures. */
import { type RawBuilder, sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import type { DB } from '../tables.ts';

const build = sqlBuilder<DB>();

export type ErasureKind = 'code' | 'number';

export interface ErasureRow {
  readonly kind: ErasureKind;
  readonly pseudonym: string;
  readonly begun_at: string;
  readonly finished_at: string | null;
  readonly place: WalkPosition | null;
  readonly counts: Readonly<Record<string, number>>;
}

/** The position up to which an erasure has walked through the tables. */
export interface WalkPosition {
  readonly table: string;
  readonly page: number;
}

export const listErasures = (): Statement<ErasureRow> =>
  build.selectFrom('calls.erasures').selectAll().$castTo<ErasureRow>().compile();

export const findErasure = (kind: ErasureKind, pseudonym: string): Statement<ErasureRow> =>
  build
    .selectFrom('calls.erasures')
    .selectAll()
    .where('kind', '=', kind)
    .where('pseudonym', '=', pseudonym)
    .$castTo<ErasureRow>()
    .compile();

/** Begins an erasure. An interrupted erasure continues; a finished one begins again, for data that came later. */
export const beginErasure = (kind: ErasureKind, pseudonym: string): Statement<ErasureRow> =>
  sql<ErasureRow>`
    INSERT INTO calls.erasures AS was (kind, pseudonym) VALUES (${kind}, ${pseudonym})
    ON CONFLICT (kind, pseudonym) DO UPDATE SET
      begun_at = CASE WHEN was.finished_at IS NULL THEN was.begun_at ELSE now() END,
      counts = CASE WHEN was.finished_at IS NULL THEN was.counts ELSE '{}' END,
      place = CASE WHEN was.finished_at IS NULL THEN was.place END,
      finished_at = NULL
    RETURNING *`.compile(build);

/** Adds to the counts of an erasure, and stores its position. */
export const noteErasure = (
  kind: ErasureKind,
  pseudonym: string,
  counts: Readonly<Record<string, number>>,
  place: WalkPosition | null,
): Statement<unknown> =>
  sql`
    UPDATE calls.erasures SET place = ${place && JSON.stringify(place)}::jsonb, counts = counts || (
      SELECT coalesce(jsonb_object_agg(key, value::bigint + coalesce((counts ->> key)::bigint, 0)), '{}')
      FROM jsonb_each_text(${JSON.stringify(counts)}::jsonb))
    WHERE kind = ${kind} AND pseudonym = ${pseudonym}`.compile(build);

export const finishErasure = (kind: ErasureKind, pseudonym: string): Statement<ErasureRow> =>
  sql<ErasureRow>`
    UPDATE calls.erasures SET finished_at = now(), place = NULL
    WHERE kind = ${kind} AND pseudonym = ${pseudonym} RETURNING *`.compile(build);

/** Ends an erasure's effect on imports: rows that name the erased data are stored again. */
export const forgetErasure = (kind: ErasureKind, pseudonym: string): Statement<unknown> =>
  sql`DELETE FROM calls.erasures WHERE kind = ${kind} AND pseudonym = ${pseudonym}`.compile(build);

/** The countries of accounts, whose national numbers may be stored; null is one of them. */
export const listCountries = (): Statement<{ country: string | null }> =>
  sql<{ country: string | null }>`
    SELECT country FROM calls.accounts GROUP BY 1 UNION SELECT NULL`.compile(build);

/** A table with columns that may hold names and numbers. */
export interface TextTable {
  readonly schema: string;
  readonly name: string;
  /** For a partition: the name of its table. */
  readonly parent: string | null;
  readonly pages: number;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
}

/** All tables of the schemas with all their columns, in order of their names. */
export const listTextTables = (schemas: readonly string[]): Statement<TextTable> =>
  sql<TextTable>`
    SELECT n.nspname::text AS schema, c.relname::text AS name, p.relname::text AS parent, (pg_relation_size(c.oid) / 8192)::int AS pages,
           jsonb_agg(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, NULL)) ORDER BY a.attnum) AS columns
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class p ON p.oid = i.inhparent
    WHERE n.nspname = ANY(${schemas}::text[]) AND c.relkind = 'r'
    GROUP BY c.oid, n.nspname, p.relname ORDER BY (n.nspname || '.' || c.relname) COLLATE "C"`.compile(build);

/** Rows with the values of the columns, and the position of each row in its table. */
export type FoundRow = Readonly<Record<string, unknown>> & { readonly ctid: string };

/**
 * Rows of some pages of a table that may contain the data to erase.
 * @param near a condition on `held.text`, the text of all columns
 * @param lock whether to lock the rows until the end of the transaction
 */
export function findRows(
  [schema, table]: readonly [schema: string, table: string],
  [from, to]: readonly [from: number, to: number],
  columns: TextTable['columns'],
  near: RawBuilder<unknown>,
  lock: boolean,
): Statement<FoundRow> {
  const texts = columns.map(({ name, type }) => {
    if (type === 'text[]') return sql`array_to_string(t.${sql.ref(name)}, ' ')`;
    return type === 'bytea' ? sql`encode(t.${sql.ref(name)}, 'escape')` : sql`t.${sql.ref(name)}::text`;
  });
  return sql<FoundRow>`
    SELECT t.ctid::text AS ctid, t.* FROM ${sql.id(schema, table)} t,
      LATERAL (SELECT concat_ws(' | ', ${sql.join(texts)}) AS text OFFSET 0) AS held
    WHERE t.ctid >= ${`(${from},0)`}::tid AND t.ctid < ${`(${to},0)`}::tid AND (${near})
    ${lock ? sql`FOR UPDATE OF t` : sql``}`.compile(build);
}

/** @param values by column, as text that the column's type can read */
export const updateRow = (
  [schema, table]: readonly [schema: string, table: string],
  ctid: string,
  values: readonly { readonly name: string; readonly type: string; readonly value: unknown }[],
): Statement<unknown> =>
  sql`
    UPDATE ${sql.id(schema, table)} SET ${sql.join(
      values.map(({ name, type, value }) => sql`${sql.id(name)} = ${value}::${sql.raw(type)}`),
    )} WHERE ctid = ${ctid}::tid`.compile(build);

/** Gives a rejected row its erased content. If the quarantine has a row with that content already, this row is deleted. */
export const changeContent = (iRejected: number, content: Buffer): Statement<unknown> =>
  sql`
    WITH there AS (SELECT FROM calls.rejected_cdrs WHERE content = ${content} AND i_rejected <> ${iRejected}),
    gone AS (DELETE FROM calls.rejected_cdrs WHERE i_rejected = ${iRejected} AND EXISTS (SELECT FROM there))
    UPDATE calls.rejected_cdrs SET content = ${content} WHERE i_rejected = ${iRejected} AND NOT EXISTS (SELECT FROM there)`.compile(
    build,
  );

/** Whether a source with one of these names is being read: erased rows of it could return. */
export const heldSources = (codes: readonly string[]): Statement<{ path: string }> =>
  sql<{ path: string }>`
    SELECT DISTINCT s.path FROM calls.followed_sources s, unnest(${codes}::text[]) AS code
    WHERE strpos(s.path, code) > 0 AND s.held_until > now()`.compile(build);

export interface DeletedRow {
  /** null: the row belongs to no call. */
  readonly i_cdr: number | null;
  readonly i_import: number | null;
}

/** At most so many rows of an account, from any table with rows of accounts. */
export const deleteRowsOf = (
  [schema, table]: readonly [schema: string, table: string],
  iAccount: number,
  limit: number,
): Statement<DeletedRow> =>
  sql<DeletedRow>`
    DELETE FROM ${sql.id(schema, table)} t WHERE t.ctid = ANY(ARRAY(
      SELECT ctid FROM ${sql.id(schema, table)} WHERE i_account = ${iAccount} LIMIT ${sql.lit(limit)}))
    RETURNING (to_jsonb(t) ->> 'i_cdr')::bigint AS i_cdr, (to_jsonb(t) ->> 'i_import')::int AS i_import`.compile(
    build,
  );

/** Counts erased calls in their imports. It locks imports in order, because two erasures may run at once. @param counts by import */
export const noteErasedCalls = (counts: ReadonlyMap<number, number>): Statement<unknown> =>
  sql`
    WITH held AS MATERIALIZED (
      SELECT i_import FROM calls.imports WHERE i_import = ANY(${[...counts.keys()]}::int[]) ORDER BY 1 FOR UPDATE)
    UPDATE calls.imports i SET erased = erased + n.count
    FROM held JOIN unnest(${[...counts.keys()]}::int[], ${[...counts.values()]}::bigint[]) AS n (i_import, count) USING (i_import)
    WHERE i.i_import = held.i_import`.compile(build);

export const deleteRowsOfCalls = (
  [schema, table]: readonly [schema: string, table: string],
  iCdrs: readonly number[],
): Statement<unknown> =>
  sql`DELETE FROM ${sql.id(schema, table)} WHERE i_cdr = ANY(${iCdrs}::bigint[])`.compile(build);

export const countRowsOf = (
  [schema, table]: readonly [schema: string, table: string],
  iAccount: number,
): Statement<{ count: number }> =>
  sql<{ count: number }>`
    SELECT count(*) AS count FROM ${sql.id(schema, table)} WHERE i_account = ${iAccount}`.compile(build);

/** Rows that name calls of an account by number, or contain a call as JSON. @param columns with such JSON */
export const countRowsOfCalls = (
  table: string,
  columns: readonly string[],
  iAccount: number,
): Statement<{ count: number }> => {
  const held = columns.map((column) => sql`(t.${sql.ref(column)} ->> 'i_account')::bigint = ${iAccount}`);
  const known = sql`t.i_cdr IN (SELECT c.i_cdr FROM calls.cdrs c WHERE c.i_account = ${iAccount})`;
  return sql<{ count: number }>`
    SELECT count(*) AS count FROM ${sql.id('calls', table)} t WHERE ${sql.join([known, ...held], sql` OR `)}`.compile(
    build,
  );
};

export const fingerprintOf = (iRejected: number): Statement<{ fingerprint: string }> =>
  sql<{ fingerprint: string }>`
    SELECT encode(fingerprint, 'hex') AS fingerprint FROM calls.provisional_rows WHERE i_rejected = ${iRejected}`.compile(
    build,
  );

/** Accounts whose code, or former code, contains these digits in this order, with or without other characters between them. */
export const codesLike = (digits: string): Statement<{ i_account: number; code: string }> =>
  sql<{ i_account: number; code: string }>`
    SELECT i_account, code FROM (SELECT i_account, code FROM calls.accounts UNION ALL SELECT i_account, code FROM calls.former_codes) c
    WHERE regexp_replace(code, '[^0-9]', '', 'g') LIKE ${`%${digits}%`}`.compile(build);

/** Hides an account: its keys are refused, and its name is not shown. */
export const hideAccount = (iAccount: number, pseudonym: string): Statement<unknown> =>
  sql`
    UPDATE calls.accounts SET code = ${pseudonym}, name = ${pseudonym}, closed_from = coalesce(closed_from, now())
    WHERE i_account = ${iAccount}`.compile(build);

/** Imports whose read options name an account (`--account CODE`). */
export const hideOption = (codes: readonly string[], pseudonym: string): Statement<unknown> =>
  sql`
    UPDATE calls.imports SET options = jsonb_set(options, '{account}', to_jsonb(${pseudonym}::text))
    WHERE options ->> 'account' = ANY(${codes}::text[])`.compile(build);

/** The calls among these that belong to the account. */
export const callsOfAccount = (iAccount: number, iCdrs: readonly number[]): Statement<{ i_cdr: number }> =>
  sql<{ i_cdr: number }>`
    SELECT i_cdr FROM calls.cdrs WHERE i_cdr = ANY(${iCdrs}::bigint[]) AND i_account = ${iAccount}`.compile(
    build,
  );

/** Present and former codes that contain one of these codes without being one of them. */
export const codesHolding = (codes: readonly string[]): Statement<{ code: string }> =>
  sql<{ code: string }>`
    SELECT code FROM (SELECT code FROM calls.accounts UNION SELECT code FROM calls.former_codes) AS c
    WHERE code <> ALL(${codes}::text[])
      AND EXISTS (SELECT FROM unnest(${codes}::text[]) AS one WHERE strpos(c.code, one) > 0)`.compile(build);

/** Sources that deliver calls of this account alone. */
export const ownSources = (iAccount: number): Statement<{ source: string }> =>
  sql<{ source: string }>`
    SELECT source FROM calls.account_sources GROUP BY 1 HAVING bool_and(i_account = ${iAccount})`.compile(
    build,
  );

/** Sources that deliver calls of other accounts. */
export const sharedSources = (iAccount: number): Statement<{ source: string }> =>
  sql<{ source: string }>`
    SELECT DISTINCT source FROM calls.account_sources WHERE i_account <> ${iAccount}`.compile(build);

/** The tables about sources, other than imports, by `source`; and the tables about followed sources, by `i_source`. In the order of deletion. */
export const TABLES_OF_SOURCES = ['source_turns', 'source_names', 'watermarks'] as const;
export const TABLES_OF_FOLLOWED = [
  'followed_gaps',
  'followed_documents',
  'followed_files',
  'followed_sources',
] as const;

const isOfSources = (sources: readonly string[]) => sql`source = ANY(${sources}::text[])`;
const isOfFollowed = (iSources: readonly number[]) => sql`i_source = ANY(${iSources}::int[])`;

export interface ErasedSources {
  readonly sources: readonly string[];
  readonly iSources: readonly number[];
}

/** For each table about sources: the condition by which its rows are counted or deleted. */
const sourceRows = ({ sources, iSources }: ErasedSources) => [
  ...TABLES_OF_SOURCES.map((table) => ({ table, where: isOfSources(sources) })),
  ...TABLES_OF_FOLLOWED.map((table) => ({ table, where: isOfFollowed(iSources) })),
];

export const deleteSources = (erased: ErasedSources) =>
  sourceRows(erased).map(({ table, where }) => ({
    table,
    statement: sql`DELETE FROM ${sql.id('calls', table)} WHERE ${where}`.compile(build),
  }));

export const countSources = (erased: ErasedSources) =>
  sourceRows(erased).map(({ table, where }) => ({
    table,
    statement: sql<{
      count: number;
    }>`SELECT count(*) AS count FROM ${sql.id('calls', table)} WHERE ${where}`.compile(build),
  }));

export const listFollowed = (): Statement<{ i_source: number; path: string }> =>
  sql<{ i_source: number; path: string }>`SELECT i_source, path FROM calls.followed_sources`.compile(build);

/** Rows that contain a call of the account as JSON. */
export const deleteJsonRowsOf = (
  [schema, table]: readonly [schema: string, table: string],
  column: string,
  iAccount: number,
): Statement<unknown> =>
  sql`
    DELETE FROM ${sql.id(schema, table)} WHERE (${sql.ref(column)} ->> 'i_account')::bigint = ${iAccount}`.compile(
    build,
  );

export const deleteAccount = (iAccount: number): Statement<unknown> =>
  sql`DELETE FROM calls.accounts WHERE i_account = ${iAccount}`.compile(build);
