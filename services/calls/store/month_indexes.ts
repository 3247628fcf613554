/** Statements that make indexes (migrations 0008, 0014 to 0017) for months that are older than the migration. */
import { type RawBuilder, sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import { LONGEST_WRITTEN } from './call_conditions.ts';

const build = sqlBuilder<unknown>();

/** How long the statement waits for a month in use, as a migration does (platform/database/migrate.ts). */
const LOCK_TIMEOUT_MS = 800;

interface MonthIndex {
  /** The name of the index of the whole table. */
  readonly name: string;
  /** The text behind CREATE INDEX … ON month. */
  readonly on: RawBuilder<unknown>;
}

const asWritten = (column: 'cli_in' | 'cld_in'): MonthIndex => ({
  name: `cdrs_by_${column}`,
  on: sql`(i_account, ${sql.id(column)} COLLATE "C", start_time, i_cdr)
          WHERE length(${sql.id(column)}) <= ${sql.lit(LONGEST_WRITTEN)}`,
});

const INDEXES: readonly MonthIndex[] = [
  asWritten('cli_in'),
  asWritten('cld_in'),
  { name: 'cdrs_by_import', on: sql`(i_import, i_account, start_time, i_cdr)` },
  { name: 'cdrs_by_linkage', on: sql`(i_account, coalesce(linked_id, call_id), start_time)` },
  { name: 'cdrs_long', on: sql`(i_account, start_time) WHERE duration_s > 21600` },
];

/** The newest month without some of the indexes, and their names. */
export const monthWithoutIndexes = (): Statement<{ month: number; missing: string[] }> =>
  sql<{ month: number; missing: string[] }>`
    SELECT substring(t.relname FROM 6)::int AS month, missing.names AS missing
    FROM pg_inherits i JOIN pg_class t ON t.oid = i.inhrelid
    CROSS JOIN LATERAL (
      SELECT array_agg(name) AS names FROM unnest(${INDEXES.map(({ name }) => name)}::text[]) AS name
      WHERE NOT EXISTS (
        SELECT FROM pg_index x JOIN pg_inherits j ON j.inhrelid = x.indexrelid
        WHERE x.indrelid = i.inhrelid AND j.inhparent = ('calls.' || name)::regclass)) AS missing
    WHERE i.inhparent = 'calls.cdrs'::regclass AND missing.names IS NOT NULL
    ORDER BY 1 DESC LIMIT 1`.compile(build);

/**
 * Makes the indexes. Readers of the month do not wait. Writers wait for a second or so for a million calls.
 * @param month yyyymm
 * @param missing the names of the indexes
 */
export const makeIndexes = (month: number, missing: readonly string[]): Statement<unknown>[] => [
  sql`SET LOCAL lock_timeout = ${sql.lit(LOCK_TIMEOUT_MS)}`.compile(build),
  sql`SET LOCAL statement_timeout = 0`.compile(build),
  ...INDEXES.filter(({ name }) => missing.includes(name)).flatMap(({ name, on }) => {
    const own = name.replace(/^cdrs_(?:by_)?/, `cdrs_${month}_`);
    return [
      sql`CREATE INDEX ${sql.id(own)} ON ${sql.id('calls', `cdrs_${month}`)} ${on}`.compile(build),
      sql`ALTER INDEX ${sql.id('calls', name)} ATTACH PARTITION ${sql.id('calls', own)}`.compile(build),
    ];
  }),
];
